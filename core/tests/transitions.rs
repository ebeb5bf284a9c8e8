//! The picture of a request's life, as drawn in the module's doc, is what happens: all of it, and nothing else.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::lifecycle::{Effect, Input, Phase};
use tollgate_core::memory::Local;

use world::{Tilt, Watch};

/// Targets by phase and kind of input.
type Table = BTreeMap<(String, &'static str), BTreeSet<String>>;

#[test]
fn transitions_match_the_table() {
    let mut seen = Seen {
        table: Table::new(),
        drawn: drawn(),
    };
    assert!(10 < seen.drawn.len(), "the table is where it is looked for");
    // Until every row has been seen; how long that takes depends on nothing but these seeds.
    for round in 0..400 {
        world::run::<Local>((8 << 40) + round * 100, 100 * world::STEPS, &Tilt::default(), &mut seen);
        if seen.table == seen.drawn {
            return;
        }
    }
    let rest = |row: &(_, BTreeSet<String>)| seen.table.get(row.0).is_none_or(|to| !row.1.is_subset(to));
    let rest: Vec<_> = seen
        .drawn
        .iter()
        .filter(|(from, to)| rest(&(*from, (*to).clone())))
        .collect();
    panic!("never happens: {rest:?}, what does: {:?}", seen.table);
}

/// What was seen, held against what was drawn.
struct Seen {
    table: Table,
    drawn: Table,
}

impl Watch for Seen {
    fn step(&mut self, from: Phase, input: Input, to: Phase, effects: &[Effect]) {
        let row = (format!("{from:?}"), kind(input));
        let target = format!("{to:?}");
        let Some(targets) = self.drawn.get(&row) else {
            // Not in the table: nothing may come of it, except that a used-up wake-up is asked for again.
            let asked_again = |effect: &Effect| matches!(effect, Effect::WakeAt { .. });
            assert!(
                from == to && effects.iter().all(asked_again),
                "{row:?} -> {to:?} is not in the table"
            );
            assert!(
                effects.is_empty() || input == Input::Wake,
                "{row:?} has effects: {effects:?}"
            );
            return;
        };
        let is_ignored = from == to && effects.is_empty();
        assert!(
            targets.contains(&target) || is_ignored,
            "{row:?} -> {to:?} is not in the table"
        );
        if targets.contains(&target) {
            self.table.entry(row).or_default().insert(target);
        }
    }
}

/// The table of the module's doc.
fn drawn() -> Table {
    let doc = include_str!("../src/lifecycle/mod.rs");
    let rows = doc
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    let rows = rows.filter_map(|row| <[&str; 3]>::try_from(row.split(" | ").collect::<Vec<_>>()).ok());
    let mut table = Table::new();
    for [from, input, to] in rows.filter(|[from, ..]| *from != "From") {
        let (from, to) = (from.replace('`', ""), to.replace('`', ""));
        let input = KINDS.into_iter().find(|kind| *kind == input).expect("a kind of input");
        let targets = to.split(", ").map(String::from).collect();
        let twice = table.insert((from, input), targets);
        assert_eq!(twice, None, "one row for each phase and input");
    }
    table
}

const KINDS: [&str; 6] = ["Start", "Wake", "Dequeue", "Rule", "Attempt", "Abandon"];

fn kind(input: Input) -> &'static str {
    match input {
        Input::Start => "Start",
        Input::Wake => "Wake",
        Input::Dequeue { .. } => "Dequeue",
        Input::Rule { .. } => "Rule",
        Input::Attempt { .. } => "Attempt",
        Input::Abandon => "Abandon",
    }
}

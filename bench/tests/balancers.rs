//! Every balancer over the same traffic: the figures say what theory does.

use tollgate_bench::balancers::{BALANCERS, Row, compare};

#[test]
fn the_figures_say_what_theory_does() {
    let rows = compare(7).expect("the files are right");
    assert_eq!(rows.len(), BALANCERS.len());
    let row = |word: &str| -> &Row {
        let found = rows.iter().find(|row| row.balance == word);
        found.unwrap_or_else(|| panic!("{word} is not compared"))
    };
    let best = row("{ kind = \"shortest-expected-delay\" }");
    let blind = row("{ kind = \"weighted-random\" }");
    let turns = row("{ kind = \"weighted-round-robin\" }");
    let herding = row("{ kind = \"least-latency\" }");
    assert!(best.mean < turns.mean && turns.mean < blind.mean, "{rows:#?}");
    assert!(turns.herd < blind.herd && blind.herd < herding.herd, "{rows:#?}");
    assert!(
        turns.imbalance < 1.1 && turns.imbalance < herding.imbalance,
        "{rows:#?}"
    );
    for row in [best, blind, turns] {
        assert!(row.left.is_some_and(|secs| secs < 30.0), "{rows:#?}");
        assert!(row.back.is_some_and(|secs| secs < 30.0), "{rows:#?}");
    }
}

//! From findings to tables, pictures and an answer.

use tollgate_reports::lineup::{Column, Lineup, Panels, Row, Table, Unit};
use tollgate_reports::table::Better::Lower;

use super::Options;
use super::contender::Contender;
use super::watch::Findings;
use super::world::{ENDPOINTS, FAULT, World};

const COLUMNS: [Column; 4] = [
    Column::new("mean", "mean", "request to last token", Unit::Seconds, Some(Lower)),
    Column::new("p99", "p99", "slowest in a hundred", Unit::Seconds, Some(Lower)),
    Column::new(
        "imbalance",
        "imbalance",
        "busiest endpoint over the mean",
        Unit::Number,
        Some(Lower),
    ),
    Column::new(
        "herd",
        "herd",
        "most at one in 200 ms, over fair",
        Unit::Number,
        Some(Lower),
    ),
];

const FAILURE: [Column; 3] = [
    Column::new(
        "unanswered",
        "unanswered",
        "share of requests",
        Unit::Share,
        Some(Lower),
    ),
    Column::new(
        "left",
        "left",
        "90 % has left the failing one",
        Unit::Seconds,
        Some(Lower),
    ),
    Column::new("back", "back", "90 % has come back", Unit::Seconds, Some(Lower)),
];

pub(super) fn lineup(
    options: &Options,
    contenders: &[Contender],
    worlds: &[World],
    findings: &[&[Findings]],
) -> Lineup {
    let tables = worlds
        .iter()
        .zip(findings)
        .map(|(world, findings)| table(contenders, world, findings));
    let failures = worlds.iter().zip(findings).filter(|(world, _)| world.fails());
    let panels = failures.map(|(_, findings)| panels(contenders, findings));
    Lineup {
        name: "balancers".to_owned(),
        title: "Balancers side by side".to_owned(),
        question: "Which balancer keeps latency low and even, when endpoints differ, signals are old, and one fails?"
            .to_owned(),
        answer: answer(contenders, worlds, findings),
        notes: Vec::new(),
        conditions: vec![
            (
                "Length of each world".to_owned(),
                format!("{} min of virtual time", options.minutes),
            ),
            (
                "Left out".to_owned(),
                "the first 30 s, of latencies and counts".to_owned(),
            ),
            ("Seed".to_owned(), options.seed.to_string()),
            ("Made by".to_owned(), format!("tollgate {}", env!("CARGO_PKG_VERSION"))),
        ],
        panels: panels.collect(),
        tables: tables.collect(),
    }
}

fn table(contenders: &[Contender], world: &World, findings: &[Findings]) -> Table {
    let mut columns = COLUMNS.to_vec();
    if world.fails() {
        columns.extend(FAILURE);
    }
    let rows = contenders
        .iter()
        .zip(findings)
        .filter(|(contender, _)| world.concerns(contender));
    let rows = rows.map(|(contender, found)| {
        let mut values = vec![found.mean, found.p99, found.imbalance, found.herd];
        if world.fails() {
            values.extend([found.unanswered, found.left, found.back]);
        }
        Row {
            name: contender.name.to_owned(),
            values,
        }
    });
    Table {
        key: world.key.to_owned(),
        title: world.title.to_owned(),
        meaning: world.meaning.to_owned(),
        rows: rows.collect(),
        columns,
    }
}

fn panels(contenders: &[Contender], findings: &[Findings]) -> Panels {
    let lines = contenders.iter().zip(findings);
    Panels {
        key: "failure-share".to_owned(),
        title: "The share of the endpoint that fails".to_owned(),
        caption:
            "How soon traffic leaves a failing endpoint, how much of it is lured back by answers that fail fast, and \
                  how soon its fair share is back once it is well."
                .to_owned(),
        value: "share of all attempts".to_owned(),
        level: Some((1.0 / f64::from(ENDPOINTS), "its fair share".to_owned())),
        windows: vec![(FAULT.0, FAULT.1, "it fails".to_owned())],
        lines: lines
            .map(|(contender, found)| (contender.name.to_owned(), found.first.clone()))
            .collect(),
    }
}

/// Who has the lowest p99 in each world.
fn answer(contenders: &[Contender], worlds: &[World], findings: &[&[Findings]]) -> String {
    let best = worlds.iter().zip(findings).filter_map(|(world, findings)| {
        let known = contenders.iter().zip(findings.iter());
        let known = known.filter_map(|(contender, found)| Some((contender.name, found.p99?)));
        let best = known.min_by(|one, other| one.1.total_cmp(&other.1))?;
        Some(format!("{} ({})", best.0, world.title.to_lowercase()))
    });
    let best: Vec<String> = best.collect();
    let failure = worlds.iter().zip(findings).find(|(world, _)| world.fails());
    let lost = failure.map_or(Vec::new(), |(_, findings)| {
        /// Longer than a breaker keeps an endpoint out by far.
        const LONG: f64 = 60.0;
        let back = contenders.iter().zip(findings.iter());
        let slow = back.filter(|(_, found)| found.back.is_none_or(|after| LONG < after));
        slow.map(|(contender, _)| contender.name).collect()
    });
    let lost = if lost.is_empty() {
        String::new()
    } else {
        format!(
            " An endpoint that has failed is not given its share again within a minute by {}.",
            lost.join(" and ")
        )
    };
    format!("The lowest p99 has {}.{lost}", best.join(", "))
}

//! From findings to tables, pictures and an answer.

use tollgate_reports::lineup::{Column, Lineup, Panels, Row, Table, Unit as Written};
use tollgate_reports::table::Better::Lower;

use super::arrivals::Pattern;
use super::contender::Contender;
use super::cost::Cost;
use super::findings::Findings;
use super::{Options, Unit};

const COST: [Column; 4] = [
    Column::new(
        "one_key",
        "one key",
        "a decision, on the processor",
        Written::Seconds,
        Some(Lower),
    ),
    Column::new(
        "many_keys",
        "10,000 keys",
        "with finding the key",
        Written::Seconds,
        Some(Lower),
    ),
    Column::new(
        "instructions",
        "instructions",
        "of a decision, one key",
        Written::Number,
        Some(Lower),
    ),
    Column::new("bytes", "bytes", "a key, at most", Written::Number, Some(Lower)),
];

const FINDINGS: [Column; 7] = [
    Column::new("rate_held", "rate", "passed, over the quota", Written::Number, None),
    Column::new(
        "worst_window",
        "worst window",
        "in one period, over the quota",
        Written::Number,
        Some(Lower),
    ),
    Column::new("refused", "refused", "share of requests", Written::Share, Some(Lower)),
    Column::new(
        "come_back_mean",
        "come back",
        "what refusals name, mean",
        Written::Seconds,
        None,
    ),
    Column::new(
        "come_back_p99",
        "come back p99",
        "slowest in a hundred",
        Written::Seconds,
        None,
    ),
    Column::new(
        "delay_mean",
        "delay",
        "of what passed, mean",
        Written::Seconds,
        Some(Lower),
    ),
    Column::new(
        "delay_p99",
        "delay p99",
        "slowest in a hundred",
        Written::Seconds,
        Some(Lower),
    ),
];

pub(super) fn lineup(
    options: &Options,
    contenders: &[Contender],
    costs: &[Cost],
    patterns: &[Pattern],
    findings: &[Vec<Findings>],
) -> Lineup {
    let mut tables = vec![cost_table(options, contenders, costs)];
    for (pattern, findings) in patterns.iter().zip(findings) {
        let rows = contenders.iter().zip(findings).map(|(contender, findings)| Row {
            name: contender.name.to_owned(),
            values: values(findings),
        });
        tables.push(Table {
            key: pattern.key.to_owned(),
            title: pattern.title.clone(),
            meaning: pattern.meaning.clone(),
            columns: FINDINGS.to_vec(),
            rows: rows.collect(),
        });
    }
    let panels = patterns
        .iter()
        .zip(findings)
        .filter(|(pattern, _)| matches!(pattern.key, "adversarial" | "bursty"));
    let panels = panels.map(|(pattern, findings)| over_time(options, contenders, pattern, findings));
    let mut notes = Vec::new();
    if let Err(why) = &options.instructions {
        notes.push(format!("instructions were not counted: {why}"));
    }
    Lineup {
        name: "limiters".to_owned(),
        title: "Rate limiters side by side".to_owned(),
        question: "Which limiter holds its quota how exactly, and what does it cost?".to_owned(),
        answer: answer(contenders, patterns, findings),
        notes,
        conditions: conditions(options),
        panels: panels.collect(),
        tables,
    }
}

fn cost_table(options: &Options, contenders: &[Contender], costs: &[Cost]) -> Table {
    let rows = contenders
        .iter()
        .zip(costs)
        .enumerate()
        .map(|(nth, (contender, cost))| Row {
            name: contender.name.to_owned(),
            values: vec![
                Some(cost.one_key * 1e-9),
                Some(cost.many_keys * 1e-9),
                options
                    .instructions
                    .as_ref()
                    .ok()
                    .and_then(|counts| counts.get(nth).copied()),
                u32::try_from(cost.bytes).ok().map(f64::from),
            ],
        });
    Table {
        key: "cost".to_owned(),
        title: "What a decision costs".to_owned(),
        meaning:
            "A third of the decisions are refusals; the loop around them is counted too. Times are of this machine, \
                  the fastest of several rounds."
                .to_owned(),
        columns: COST.to_vec(),
        rows: rows.collect(),
    }
}

fn values(findings: &Findings) -> Vec<Option<f64>> {
    let delayed = findings.delay[1].is_some_and(|slow| 0.0 < slow);
    vec![
        findings.rate_held,
        Some(findings.worst_window),
        findings.refused,
        findings.come_back[0],
        findings.come_back[1],
        findings.delay[0].filter(|_| delayed),
        findings.delay[1].filter(|_| delayed),
    ]
}

fn over_time(options: &Options, contenders: &[Contender], pattern: &Pattern, findings: &[Findings]) -> Panels {
    let lines = contenders
        .iter()
        .zip(findings)
        .map(|(contender, findings)| (contender.name.to_owned(), part(options, &findings.window_over_time)));
    #[expect(clippy::cast_precision_loss, reason = "a level in a picture")]
    let level = options.quota.amount.get() as f64;
    Panels {
        key: format!("{}-windows", pattern.key),
        title: format!("{}: units in the period before", pattern.title),
        caption:
            "What the quota is meant to bound. Above the dashed line a limiter has let through more than the quota \
                  within one period's length."
                .to_owned(),
        value: "units that went ahead within the last period".to_owned(),
        level: Some((level, "the quota".to_owned())),
        windows: Vec::new(),
        lines: lines.collect(),
    }
}

/// The first forty periods from the first unit on: more cannot be seen.
fn part(options: &Options, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let first = points.first().map_or(0.0, |(at, _)| *at);
    let end = first + 40.0 * options.quota.period.as_secs_f64();
    points.iter().copied().take_while(|(at, _)| *at <= end).collect()
}

/// Who lets most through when it matters, and who least.
fn answer(contenders: &[Contender], patterns: &[Pattern], findings: &[Vec<Findings>]) -> String {
    let Some(at) = patterns.iter().position(|pattern| pattern.key == "adversarial") else {
        return String::new();
    };
    let windows = || {
        contenders
            .iter()
            .zip(&findings[at])
            .map(|(contender, found)| (contender.name, found.worst_window))
    };
    let by = |a: &(&str, f64), b: &(&str, f64)| a.1.total_cmp(&b.1);
    let (Some(least), Some(most)) = (windows().min_by(by), windows().max_by(by)) else {
        return String::new();
    };
    format!(
        "Under a flood at the worst moment {} lets {:.2} times the quota through within one period, {} {:.2} times.",
        most.0, most.1, least.0, least.1
    )
}

fn conditions(options: &Options) -> Vec<(String, String)> {
    let quota = options.quota;
    let unit = match options.unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
    };
    let mut conditions = vec![
        (
            "Quota".to_owned(),
            format!("{} {unit} in {}, burst {}", quota.amount, quota.period, quota.burst),
        ),
        (
            "Length of each pattern".to_owned(),
            format!("{} periods", options.periods),
        ),
        ("Seed".to_owned(), options.seed.to_string()),
        ("Rounds of timing".to_owned(), options.rounds.to_string()),
    ];
    if let Some(recorded) = &options.trace {
        conditions.push((
            "Trace".to_owned(),
            format!("{}, {} calls", recorded.name, recorded.trace.len()),
        ));
    }
    conditions.push(("Made by".to_owned(), format!("tollgate {}", env!("CARGO_PKG_VERSION"))));
    conditions
}

//! The answer in one or two sentences, as a person would give it.

use crate::figure::scale;
use crate::figure::scale::{percent, plain};
use crate::result::{StrategySummary, Summary};

/// What the faults cost and how fast each strategy recovered; without faults, who met the targets most often.
#[must_use]
pub fn headline(summary: &Summary) -> String {
    if summary.strategies.is_empty() {
        return "No strategy was compared.".to_owned();
    }
    if summary.strategies.iter().any(|strategy| !strategy.faults.is_empty()) {
        format!("{} {}", cost(summary), recovery(summary))
    } else {
        attainment(summary)
    }
}

fn cost(summary: &Summary) -> String {
    let what = faults(summary);
    let lost: Vec<(f64, &StrategySummary)> = summary
        .strategies
        .iter()
        .filter(|strategy| !strategy.faults.is_empty())
        .map(|strategy| {
            (
                strategy.faults.iter().map(|fault| fault.failed + fault.refused).sum(),
                strategy,
            )
        })
        .collect();
    let least = lost.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let most = lost.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    match (least, most) {
        (Some(least), Some(most)) if least.0 < most.0 => format!(
            "{what} cost {} under “{}” and {} under “{}”.",
            requests(least.0),
            least.1.name,
            plain(most.0),
            most.1.name
        ),
        (Some(only), _) if only.0 > 0.0 => format!("{what} cost {}.", requests(only.0)),
        (_, _) => format!("{what} cost no request."),
    }
}

/// `1 request`, `2 requests`.
fn requests(count: f64) -> String {
    let count = plain(count);
    let s = if count == "1" { "" } else { "s" };
    format!("{count} request{s}")
}

/// The faults in words: the only one by name, several by number.
fn faults(summary: &Summary) -> String {
    let mut seen: Vec<(&str, &str, u64, u64)> = Vec::new();
    let mut first = String::new();
    for fault in summary.strategies.iter().flat_map(|strategy| &strategy.faults) {
        let this = (
            fault.backend.as_str(),
            fault.kind.as_str(),
            fault.start.to_bits(),
            fault.end.to_bits(),
        );
        if !seen.contains(&this) {
            if seen.is_empty() {
                first = format!(
                    "The {} of {} ({})",
                    fault.kind,
                    fault.backend,
                    seconds(fault.end - fault.start)
                );
            }
            seen.push(this);
        }
    }
    if seen.len() == 1 {
        first
    } else {
        format!("The {} faults together", seen.len())
    }
}

fn recovery(summary: &Summary) -> String {
    const MOST: usize = 5;

    let mut after: Vec<(f64, &str)> = summary
        .strategies
        .iter()
        .filter(|strategy| !strategy.faults.is_empty())
        .map(|strategy| {
            let all = strategy
                .faults
                .iter()
                .map(|fault| fault.recovery_seconds.unwrap_or(f64::INFINITY));
            (all.fold(0.0, f64::max), strategy.name.as_str())
        })
        .collect();
    after.sort_by(|a, b| a.0.total_cmp(&b.0));
    let said = |(after, name): &(f64, &str)| match *after {
        after if after.is_infinite() => format!("“{name}” not within the run"),
        0.0 => format!("“{name}” at once"),
        after => format!("“{name}” after {}", seconds(after)),
    };
    if let [(only, _)] = after.as_slice() {
        return match *only {
            only if only.is_infinite() => "It was not over within the run.".to_owned(),
            0.0 => "All was as before at once.".to_owned(),
            only => format!("All was as before {} after its end.", seconds(only)),
        };
    }
    let left_out = after.len().saturating_sub(MOST);
    let shown: Vec<String> = if left_out == 0 {
        after.iter().map(said).collect()
    } else {
        let ends = after[..MOST - 1].iter().chain(after.last());
        ends.map(said).collect()
    };
    let others = if left_out == 0 {
        String::new()
    } else {
        format!(" ({left_out} more between)")
    };
    let (last, before) = shown.split_last().expect("there is a fault, so there is a strategy");
    format!("Back to normal: {}{others} and {last}.", before.join(", "))
}

fn attainment(summary: &Summary) -> String {
    let mut known: Vec<(f64, &str)> = summary
        .strategies
        .iter()
        .filter_map(|strategy| {
            strategy
                .attainment
                .map(|attainment| (attainment, strategy.name.as_str()))
        })
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0));
    match known.as_slice() {
        [] => "No targets were set, so none can be met: compare latencies and refusals below.".to_owned(),
        [(only, name)] => format!("“{name}” met all targets for {} of calls.", percent(*only)),
        [(best, name), .., (worst, last)] if worst < best => format!(
            "“{name}” met all targets for {} of calls, “{last}” for {}.",
            percent(*best),
            percent(*worst)
        ),
        [(all, _), ..] => format!("Every strategy met all targets for {} of calls.", percent(*all)),
    }
}

/// Seconds whose unit does not wrap onto the next line.
fn seconds(value: f64) -> String {
    scale::seconds(value).replace(' ', "\u{a0}")
}

//! The answer in one or two sentences, as a person would give it.

use crate::figure::scale;
use crate::figure::scale::{percent, plain};
use crate::result::Summary;
use crate::table::{self, Better, Cell, Standing};

/// What the faults cost and how fast each strategy recovered; without faults, who met the targets most often.
///
/// Where a strategy never recovers, most of what a fault costs comes after it: then too the targets are told, of the
/// whole run.
#[must_use]
pub fn headline(summary: &Summary) -> String {
    if summary.strategies.is_empty() {
        return "No strategy was compared.".to_owned();
    }
    let mut faults = summary
        .strategies
        .iter()
        .flat_map(|strategy| &strategy.faults)
        .peekable();
    if faults.peek().is_none() {
        attainment(summary)
    } else if faults.any(|fault| fault.recovery_seconds.is_none()) {
        format!("{} {}", attainment(summary), recovery(summary))
    } else {
        format!("{} {}", cost(summary), recovery(summary))
    }
}

fn cost(summary: &Summary) -> String {
    let what = faults(summary);
    let lost = Ranking::of(summary, "lost in faults");
    match lost {
        Ranking::Alike(all) if 0.0 < all => format!("{what} cost {}.", requests(all)),
        Ranking::Unknown | Ranking::Alike(_) => format!("{what} cost no request."),
        Ranking::Level { best, worst } => format!(
            "{what} cost {} to {}, under no strategy clearly fewer.",
            plain(best),
            requests(worst)
        ),
        Ranking::Apart { best, level, worst } => format!(
            "{what} cost {} under “{}”{} and {} under “{}”.",
            requests(best.0),
            best.1,
            others(level),
            plain(worst.0),
            worst.1
        ),
    }
}

/// How the strategies stand in one figure, as far as the table tells them apart.
enum Ranking<'a> {
    /// No strategy has it.
    Unknown,
    /// There is one value only, as people read it.
    Alike(f64),
    /// None is told apart from the best.
    Level { best: f64, worst: f64 },
    /// The best, how many are not told apart from it, and the worst, which is.
    Apart {
        best: (f64, &'a str),
        level: usize,
        worst: (f64, &'a str),
    },
}

impl<'a> Ranking<'a> {
    fn of(summary: &'a Summary, figure: &str) -> Ranking<'a> {
        let rows = table::compare(summary);
        let Some(row) = rows.iter().find(|row| row.figure == figure) else {
            return Ranking::Unknown;
        };
        let named = row.cells.iter().zip(&summary.strategies);
        let known: Vec<(f64, &Cell, &str)> = named
            .filter_map(|(cell, strategy)| Some((cell.value()?, cell, strategy.name.as_str())))
            .collect();
        let worth = |value: f64| match row.better {
            Better::Lower => -value,
            Better::Higher => value,
        };
        let best = known.iter().find(|(_, cell, _)| cell.standing == Standing::Best);
        let worst = known.iter().reduce(|a, b| if worth(b.0) < worth(a.0) { b } else { a });
        let (Some(best), Some(worst)) = (best, worst) else {
            return known.first().map_or(Ranking::Unknown, |first| Ranking::Alike(first.0));
        };
        if best.1.text == worst.1.text {
            return Ranking::Alike(best.0);
        }
        match worst.1.standing {
            Standing::Behind => Ranking::Apart {
                best: (best.0, best.2),
                level: known
                    .iter()
                    .filter(|(_, cell, _)| cell.standing == Standing::Level)
                    .count(),
                worst: (worst.0, worst.2),
            },
            Standing::Best | Standing::Level => Ranking::Level {
                best: best.0,
                worst: worst.0,
            },
        }
    }
}

/// How many others the table does not tell apart from the best.
fn others(level: usize) -> String {
    match level {
        0 => String::new(),
        1 => " (1 other is not told apart from it)".to_owned(),
        more => format!(" ({more} others are not told apart from it)"),
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
    match Ranking::of(summary, "attainment") {
        Ranking::Unknown => "No targets were set, so none can be met: compare latencies and refusals below.".to_owned(),
        Ranking::Alike(all) => match summary.strategies.as_slice() {
            [only] => format!("“{}” met all targets for {} of calls.", only.name, percent(all)),
            _ => format!("Every strategy met all targets for {} of calls.", percent(all)),
        },
        Ranking::Level { best, worst } => format!(
            "No strategy is told apart from the best: all targets were met for {} to {} of calls.",
            percent(worst),
            percent(best)
        ),
        Ranking::Apart { best, level, worst } => format!(
            "“{}” met all targets for {} of calls{}, “{}” for {}.",
            best.1,
            percent(best.0),
            others(level),
            worst.1,
            percent(worst.0)
        ),
    }
}

/// Seconds whose unit does not wrap onto the next line.
fn seconds(value: f64) -> String {
    scale::seconds(value).replace(' ', "\u{a0}")
}

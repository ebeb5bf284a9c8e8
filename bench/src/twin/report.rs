//! What a twin shows: tables for people, for Markdown, and as data.

use std::fmt::Write as _;

use tollgate_reports::twin::Curve;

use super::compare::{Comparison, QUANTILES, percentage};
use super::sorted::Sorted;

/// Every strategy of a scenario, simulated and live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The version that ran.
    pub tollgate: String,
    /// The name of the scenario.
    pub scenario: String,
    /// Hash over it.
    pub scenario_hash: String,
    /// The root of all randomness.
    pub seed: u64,
    /// Which run of this seed.
    pub replication: u64,
    /// How many seconds passed in one of the machine.
    pub scale: f64,
    /// For how long calls began, in seconds of the scenario.
    pub seconds: f64,
    /// What is left out of counts, of these.
    pub warmup: f64,
    /// How long everything took, in seconds of the machine.
    pub wall: f64,
    /// What it ran on.
    pub machine: String,
    /// What to know besides.
    pub notes: Vec<String>,
    /// Each strategy.
    pub strategies: Vec<Strategy>,
}

/// A strategy, simulated and live.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// Its name.
    pub name: String,
    /// How far both sides are apart.
    pub comparison: Comparison,
    /// How late the client sent, at the median and at 99 %, in seconds of the machine.
    pub lag: [Option<f64>; 2],
    /// What went wrong beside it.
    pub notes: Vec<String>,
    /// Its distributions on both sides.
    pub curves: Vec<Curve>,
}

impl Report {
    /// What is further off than it may be, by strategy.
    #[must_use]
    pub fn misses(&self) -> Vec<(&str, Vec<String>)> {
        let strategies = self.strategies.iter();
        let misses = strategies.map(|strategy| (strategy.name.as_str(), strategy.comparison.misses()));
        misses.filter(|(_, misses)| !misses.is_empty()).collect()
    }

    /// The tables, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for strategy in &self.strategies {
            let _ = writeln!(text, "{}", strategy.name);
            let rows = latency_rows(&strategy.comparison);
            table(&mut text, &LATENCY_HEAD, &rows);
            text.push('\n');
            let rows = count_rows(&strategy.comparison);
            table(&mut text, &COUNT_HEAD, &rows);
            text.push('\n');
            for why in self.why(strategy) {
                let _ = writeln!(text, "  {why}");
            }
            text.push('\n');
        }
        text
    }

    /// The tables, for a page of documentation.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "## {}\n\n{} s of the scenario, {} of them left out, at {} seconds in one of the machine; seed {}, replication {}.\n\n",
            self.scenario, self.seconds, self.warmup, self.scale, self.seed, self.replication
        );
        let line = |text: &mut String, cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        let owned = |cells: &[&str]| -> Vec<String> { cells.iter().map(|cell| (*cell).to_owned()).collect() };
        line(
            &mut text,
            &owned(&[
                "strategy",
                "TTFT p50",
                "p90",
                "p99",
                "KS",
                "E2E p50",
                "p90",
                "p99",
                "KS",
                "counts judged",
                "misses",
            ]),
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
        for strategy in &self.strategies {
            let comparison = &strategy.comparison;
            let mut cells = vec![strategy.name.clone()];
            for metric in ["ttft", "e2e"] {
                let of = comparison
                    .latencies
                    .iter()
                    .find(|latency| latency.metric.name() == metric);
                let errors = QUANTILES
                    .iter()
                    .enumerate()
                    .map(|(at, _)| percentage(of.and_then(|of| of.quantiles[at].error())));
                cells.extend(errors);
                cells.push(share(of.and_then(|of| of.distance)));
            }
            cells.push(
                comparison
                    .counts
                    .iter()
                    .filter(|counted| counted.is_judged())
                    .count()
                    .to_string(),
            );
            let misses = comparison.misses();
            cells.push(if misses.is_empty() {
                "none".to_owned()
            } else {
                misses.join("; ")
            });
            line(&mut text, &cells);
        }
        text.push('\n');
        for strategy in &self.strategies {
            let _ = writeln!(text, "**{}**", strategy.name);
            text.push('\n');
            for (head, rows) in [
                (owned(&LATENCY_HEAD), latency_rows(&strategy.comparison)),
                (owned(&COUNT_HEAD), count_rows(&strategy.comparison)),
            ] {
                line(&mut text, &head);
                let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
                for row in rows {
                    line(&mut text, &row);
                }
                text.push('\n');
            }
            for why in self.why(strategy) {
                let _ = writeln!(text, "{why}");
            }
            text.push('\n');
        }
        text
    }

    /// What makes the live side another, as far as it was measured: in sentences.
    #[must_use]
    pub fn why(&self, strategy: &Strategy) -> Vec<String> {
        let mut why = Vec::new();
        let added = &strategy.comparison.added;
        let at = |sample: &Sorted, at: f64| sample.quantile(at).map(|seconds| (seconds, seconds / self.scale));
        if let (Some(half), Some(most)) = (at(&added.e2e, 0.5), at(&added.e2e, 0.99)) {
            why.push(format!(
                "Network, scheduler and timers add {} to a whole answer ({} at 99 %), by {} requests that the same endpoint \
                 answered at once on both sides: {} ({}) of the machine, times {}.",
                seconds(half.0),
                seconds(most.0),
                added.e2e.len(),
                seconds(half.1),
                seconds(most.1),
                self.scale,
            ));
        }
        if let (Some(half), Some(most)) = (at(&added.ttft, 0.5), at(&added.ttft, 0.99)) {
            why.push(format!(
                "To a first token they add {} ({} at 99 %).",
                seconds(half.0),
                seconds(most.0)
            ));
        }
        if let [Some(half), Some(most)] = strategy.lag {
            why.push(format!(
                "The client sent {} late ({} at 99 %), in the machine's time.",
                seconds(half),
                seconds(most)
            ));
        }
        why.extend(strategy.notes.iter().cloned());
        let misses = strategy.comparison.misses();
        why.push(if misses.is_empty() {
            "Nothing is further off than it may be.".to_owned()
        } else {
            format!("Further off than it may be: {}.", misses.join("; "))
        });
        why
    }
}

pub(super) const LATENCY_HEAD: [&str; 11] = [
    "latency", "sim p50", "live", "error", "sim p90", "live", "error", "sim p99", "live", "error", "KS",
];
pub(super) const COUNT_HEAD: [&str; 5] = ["count", "simulated", "live", "difference", "standard errors"];

pub(super) fn latency_rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let rows = comparison.latencies.iter().map(|latency| {
        let mut row = vec![latency.metric.name().to_owned()];
        for pair in latency.quantiles {
            row.extend([
                pair.simulated.map_or_else(dash, seconds),
                pair.live.map_or_else(dash, seconds),
                percentage(pair.error()),
            ]);
        }
        row.push(share(latency.distance));
        row
    });
    rows.collect()
}

pub(super) fn count_rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let rows = comparison.counts.iter().map(|counted| {
        vec![
            counted.tally.to_string(),
            counted.simulated.to_string(),
            counted.live.to_string(),
            percentage(counted.difference()),
            counted.errors().map_or_else(dash, |errors| format!("{errors:+.1}")),
        ]
    });
    rows.collect()
}

/// Rows under a head: the first column to the left, all others to the right.
fn table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([head[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (at, cell) in cells.enumerate() {
            let width = widths[at];
            let _ = match at {
                0 => write!(text, "  {cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn share(of: Option<f64>) -> String {
    of.map_or_else(dash, |of| format!("{of:.3}"))
}

/// A length in the unit in which it reads best, to three digits.
#[must_use]
pub fn seconds(length: f64) -> String {
    let (value, unit) = match length.abs() {
        long if 1.0 <= long => (length, "s"),
        short if 1e-3 <= short => (length * 1e3, "ms"),
        tiny if 0.0 < tiny => (length * 1e6, "us"),
        _ => return "0 s".to_owned(),
    };
    let decimals = match value.abs() {
        large if 100.0 <= large => 0,
        middle if 10.0 <= middle => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use tollgate_reports::result::Metric;

    use super::super::{Side, Tally};
    use super::*;

    fn report() -> Report {
        let side = |scale: f64, limited| Side {
            counts: BTreeMap::from([(Tally::Offered, 1_000), (Tally::Refused("limited".into()), limited)]),
            samples: BTreeMap::from([(
                Metric::E2e,
                Sorted::new((1..=100).map(|at| f64::from(at) * scale).collect()),
            )]),
            ..Side::default()
        };
        Report {
            scenario: "outage".into(),
            scale: 16.0,
            strategies: vec![Strategy {
                name: "a | b".into(),
                comparison: Comparison::new(&side(0.01, 200), &side(0.011, 300)),
                lag: [Some(1e-4), Some(2e-3)],
                notes: Vec::new(),
                curves: Vec::new(),
            }],
            ..Report::default()
        }
    }

    #[test]
    fn a_report_is_read_in_every_form() {
        let report = report();
        let text = report.text();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        let expected = "e2e 500 ms 550 ms +10.0 % 900 ms 990 ms +10.0 % 990 ms 1.09 s +10.0 %";
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{text}");
        assert!(
            lines.iter().any(|line| line == "refused: limited 200 300 +50.0 % +7.1"),
            "{text}"
        );
        assert!(text.contains("The client sent 100 us late (2.00 ms at 99 %)"), "{text}");
        assert!(text.contains("Further off than it may be: e2e p50 +10.0 %"), "{text}");
        let json: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(json["strategies"][0]["counts"]["refused: limited"]["missed"], true);
        assert_eq!(json["strategies"][0]["latencies"]["e2e"]["p50"]["simulated"], 0.5);
        let csv = String::from_utf8(report.csv()).expect("text");
        assert!(csv.contains("a | b,refused: limited,200,300,0.5,"), "{csv}");
        let markdown = report.markdown();
        assert!(markdown.contains("| a \\| b | – | – | – | – | +10.0 % |"), "{markdown}");
        assert_eq!(report.misses().len(), 1);
    }

    #[test]
    fn lengths_read_well() {
        for (length, text) in [
            (0.0, "0 s"),
            (12.34, "12.3 s"),
            (0.0123, "12.3 ms"),
            (-0.2, "-200 ms"),
            (4.5e-6, "4.50 us"),
            (321.0, "321 s"),
        ] {
            assert_eq!(seconds(length), text);
        }
    }
}

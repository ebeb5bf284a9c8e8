//! Strategies side by side: a plain-text table for the terminal, and who wins each figure.
//!
//! A winner is the best value. Where the 95 % confidence intervals of two strategies overlap, or both read the same to
//! three digits, the table says so (`~`) instead of naming a winner by noise. Less work is faster and cheaper, so in what
//! falls when requests are refused or failed only strategies are compared whose attainment is not clearly lower.
//!
//! ```
//! use tollgate_reports::result::{StrategySummary, Summary};
//! use tollgate_reports::table;
//!
//! let strategy = |name: &str, attainment| StrategySummary {
//!     name: name.into(),
//!     attainment: Some(attainment),
//!     ..Default::default()
//! };
//! let summary = Summary { strategies: vec![strategy("a", 0.9), strategy("b", 0.99)], ..Default::default() };
//! let winners = table::winners(&summary);
//! assert_eq!((winners[0].figure, winners[0].strategy.as_str()), ("attainment", "b"));
//! ```

mod text;

pub use text::text;
pub(crate) use text::{columns_of, end_line, padded, right, shortened};

use crate::figure::scale::{percent, plain, seconds};
use crate::result::{FaultWindow, StrategySummary, Summary};

/// Which way a figure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
}

/// One figure over all strategies.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The figure's name, such as `E2E p99`.
    pub figure: &'static str,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// Which way it is good.
    pub better: Better,
    /// One cell a strategy, in the order of the summary.
    pub cells: Vec<Cell>,
}

/// One figure of one strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The value as people read it, with its unit; `–` if undefined.
    pub text: String,
    /// How it stands against the others.
    pub standing: Standing,
    value: Option<f64>,
}

/// How a strategy stands in one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The best value.
    Best,
    /// Not told apart from the best: the confidence intervals overlap, or the values read the same.
    Level,
    /// Neither.
    Behind,
}

/// Who wins a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The figure's name, such as `E2E p99`.
    pub figure: &'static str,
    /// The strategy with the best value.
    pub strategy: String,
    /// Its value as people read it.
    pub value: String,
    /// Strategies that cannot be told apart from it; empty if the win is clear.
    pub level_with: Vec<String>,
}

/// A figure: its name, its meaning, which way it is good, how it is found and written, and its interval's name.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    meaning: &'static str,
    better: Better,
    value: fn(&StrategySummary) -> Option<f64>,
    text: fn(f64) -> String,
    interval: &'static str,
    /// Whether it also falls when requests are not answered at all.
    falls_with_work: bool,
}

const fn figure(
    name: &'static str,
    meaning: &'static str,
    better: Better,
    value: fn(&StrategySummary) -> Option<f64>,
    text: fn(f64) -> String,
    interval: &'static str,
) -> Figure {
    Figure {
        name,
        meaning,
        better,
        value,
        text,
        interval,
        falls_with_work: false,
    }
}

/// The same figure, for those it may flatter.
const fn falling(figure: Figure) -> Figure {
    Figure {
        falls_with_work: true,
        ..figure
    }
}

const FIGURES: [Figure; 13] = [
    figure(
        "attainment",
        "share of calls that met all their targets",
        Better::Higher,
        |s| s.attainment,
        percent,
        "attainment",
    ),
    figure(
        "goodput",
        "requests per second that met all their targets",
        Better::Higher,
        |s| s.goodput,
        per_second,
        "goodput",
    ),
    figure(
        "no answer",
        "share of requests failed, refused or abandoned",
        Better::Lower,
        no_answer,
        percent,
        "no_answer",
    ),
    falling(figure(
        "E2E p50",
        "request to last token, median",
        Better::Lower,
        |s| s.e2e.p50,
        seconds,
        "e2e.p50",
    )),
    falling(figure(
        "E2E p99",
        "request to last token, slowest in a hundred",
        Better::Lower,
        |s| s.e2e.p99,
        seconds,
        "e2e.p99",
    )),
    falling(figure(
        "TTFT p50",
        "request to first token, median",
        Better::Lower,
        |s| s.ttft.p50,
        seconds,
        "ttft.p50",
    )),
    falling(figure(
        "TTFT p99",
        "request to first token, slowest in a hundred",
        Better::Lower,
        |s| s.ttft.p99,
        seconds,
        "ttft.p99",
    )),
    falling(figure(
        "amplification",
        "attempts per call",
        Better::Lower,
        |s| s.amplification,
        plain,
        "amplification",
    )),
    figure(
        "fairness",
        "Jain's index over tenants",
        Better::Higher,
        |s| s.fairness,
        share,
        "fairness",
    ),
    falling(figure(
        "cost",
        "what the attempts cost",
        Better::Lower,
        |s| s.cost_usd,
        dollars,
        "cost_usd",
    )),
    falling(figure(
        "wasted",
        "tokens thrown away by hedges and retries",
        Better::Lower,
        |s| s.wasted_tokens,
        tokens,
        "wasted_tokens",
    )),
    figure(
        "lost in faults",
        "requests failed, abandoned or refused in fault windows, but for limits",
        Better::Lower,
        lost_in_faults,
        plain,
        "lost_in_faults",
    ),
    figure(
        "recovery",
        "after the faults until all was as before, in sum",
        Better::Lower,
        recovery,
        or_never,
        "",
    ),
];

fn per_second(value: f64) -> String {
    format!("{}/s", plain(value))
}

fn dollars(value: f64) -> String {
    if (0.01..1e6).contains(&value) {
        format!("${value:.2}")
    } else {
        format!("${}", plain(value))
    }
}

fn tokens(value: f64) -> String {
    format!("{} tokens", plain(value))
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}

fn or_never(value: f64) -> String {
    if value.is_infinite() {
        "never".to_owned()
    } else {
        seconds(value)
    }
}

fn no_answer(strategy: &StrategySummary) -> Option<f64> {
    let requests = &strategy.requests;
    let lost = requests.failed + requests.abandoned + requests.refused_total();
    (requests.offered > 0.0).then(|| lost / requests.offered)
}

fn lost_in_faults(strategy: &StrategySummary) -> Option<f64> {
    let lost = strategy.faults.iter().map(FaultWindow::lost).sum();
    (!strategy.faults.is_empty()).then_some(lost)
}

/// Infinite if one of the faults was never recovered from.
fn recovery(strategy: &StrategySummary) -> Option<f64> {
    let sum = strategy
        .faults
        .iter()
        .map(|fault| fault.recovery_seconds.unwrap_or(f64::INFINITY))
        .sum();
    (!strategy.faults.is_empty()).then_some(sum)
}

/// Every figure that at least one strategy has, in the order of the report.
#[must_use]
pub fn compare(summary: &Summary) -> Vec<Comparison> {
    FIGURES
        .iter()
        .filter_map(|figure| comparison(summary, figure))
        .collect()
}

fn comparison(summary: &Summary, figure: &Figure) -> Option<Comparison> {
    let strategies = &summary.strategies;
    let values: Vec<Option<f64>> = strategies
        .iter()
        .map(|strategy| (figure.value)(strategy).filter(|value| !value.is_nan()))
        .collect();
    if values.iter().all(Option::is_none) {
        return None;
    }

    let text = |value: &Option<f64>| value.map_or("–".to_owned(), figure.text);
    let is_out: Vec<bool> = if figure.falls_with_work {
        clearly_worse(strategies)
    } else {
        vec![false; strategies.len()]
    };
    let best = best(figure.better, &values, &is_out);
    let standing = |i: usize| match (best, values[i]) {
        (Some(best), Some(_)) if best == i => Standing::Best,
        (Some(best), Some(_)) if !is_out[i] => {
            let overlap = overlap(&strategies[i], &strategies[best], figure.interval);
            if overlap == Some(true) || text(&values[i]) == text(&values[best]) {
                Standing::Level
            } else {
                Standing::Behind
            }
        }
        (_, _) => Standing::Behind,
    };
    let cell = |i: usize| Cell {
        text: text(&values[i]),
        standing: standing(i),
        value: values[i],
    };
    Some(Comparison {
        figure: figure.name,
        meaning: figure.meaning,
        better: figure.better,
        cells: (0..strategies.len()).map(cell).collect(),
    })
}

/// Whether the intervals of a figure overlap; none where one of them is not known.
fn overlap(a: &StrategySummary, b: &StrategySummary, interval: &str) -> Option<bool> {
    let (a, b) = (a.ci95.get(interval)?, b.ci95.get(interval)?);
    Some(a[0] <= b[1] && b[0] <= a[1])
}

/// Which strategies leave so many calls without a good answer that less work is no merit of theirs: those whose attainment
/// is clearly below the best.
fn clearly_worse(strategies: &[StrategySummary]) -> Vec<bool> {
    /// What is clear without intervals, which one replication does not give.
    const CLEAR: f64 = 0.01;

    let attainment = |strategy: &StrategySummary| strategy.attainment.filter(|share| !share.is_nan());
    let of_best = |a: &&StrategySummary, b: &&StrategySummary| {
        let or_none = |strategy: &StrategySummary| attainment(strategy).unwrap_or(f64::NEG_INFINITY);
        or_none(a).total_cmp(&or_none(b))
    };
    let best = strategies.iter().max_by(of_best);
    let is_worse = |strategy: &StrategySummary| {
        let (Some(best), Some(here)) = (best, attainment(strategy)) else {
            return false;
        };
        let Some(most) = attainment(best) else {
            return false;
        };
        match overlap(strategy, best, "attainment") {
            Some(overlap) => !overlap,
            None => here < most - CLEAR,
        }
    };
    strategies.iter().map(is_worse).collect()
}

/// Whether a strategy is kept from winning a figure by its attainment.
fn is_held_back(summary: &Summary) -> bool {
    clearly_worse(&summary.strategies).contains(&true)
}

/// The index of the best finite value of those that are not out; none if there is nobody to compare with, or all are
/// equal.
fn best(better: Better, values: &[Option<f64>], is_out: &[bool]) -> Option<usize> {
    let known = || {
        values
            .iter()
            .enumerate()
            .filter_map(|(i, value)| value.map(|value| (i, value)))
    };
    let (_, first) = known().next()?;
    if known().count() < 2 || known().all(|(_, value)| value.to_bits() == first.to_bits()) {
        return None;
    }
    let worth = |value: f64| match better {
        Better::Lower => -value,
        Better::Higher => value,
    };
    let better_of = |a: (usize, f64), b: (usize, f64)| if worth(a.1) < worth(b.1) { b } else { a };
    known()
        .filter(|(i, _)| !is_out[*i])
        .reduce(better_of)
        .filter(|(_, value)| value.is_finite())
        .map(|(i, _)| i)
}

/// Who wins each figure, in the order of the report; figures in which all are equal have no winner.
#[must_use]
pub fn winners(summary: &Summary) -> Vec<Winner> {
    let name = |i: usize| summary.strategies[i].name.clone();
    let at = |comparison: &Comparison, standing| -> Vec<usize> {
        let stands = |i: &usize| comparison.cells[*i].standing == standing;
        (0..comparison.cells.len()).filter(stands).collect()
    };
    compare(summary)
        .iter()
        .filter_map(|comparison| {
            let best = *at(comparison, Standing::Best).first()?;
            Some(Winner {
                figure: comparison.figure,
                strategy: name(best),
                value: comparison.cells[best].text.clone(),
                level_with: at(comparison, Standing::Level).into_iter().map(name).collect(),
            })
        })
        .collect()
}

impl Cell {
    /// The value itself: seconds, counts or shares, infinite for a recovery that never came; `None` if undefined.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }
}

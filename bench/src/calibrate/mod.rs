//! Backends fitted to the access log of a gateway, so that somebody's own providers can be simulated.
//!
//! | Of the backend | From the log |
//! |---|---|
//! | `ttft`, `slow_share`, `slow_factor`, `prefill` | the time from launch to first token of streams that were answered by their only attempt; what was stopped beside a hedge counts as longer than it was seen |
//! | `tpot` | of the same streams, from first to last token, over the tokens after the first |
//! | `error_share`, `hang_share` | the attempts that failed with an error of the endpoint, and those that were given up |
//! | `quota` | what was let through while others were refused for want of it |
//!
//! What the log cannot tell is said, and not guessed: a load that drifts shows as spread, and a quota that was never met is
//! unknown. Latencies were measured at the gateway, so the way to the backend and back is in them.

mod lognormal;
mod present;
mod quota;

use std::collections::BTreeMap;
use std::time::SystemTime;

pub use lognormal::{Law, Lognormal, fit, fit_mixed, misfit, per_token};
pub use quota::{Quota, Try, find};

use crate::log::{Entry, Log};
use crate::twin::{Sorted, count};

/// The endpoints of a log, as backends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Each endpoint, by name.
    pub backends: Vec<Fitted>,
    /// Lines that were read, and what of the log is missing.
    pub lines: u64,
    /// In sentences.
    pub gaps: Vec<String>,
}

/// An endpoint as a backend.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Its name.
    pub name: String,
    /// Attempts that ended there.
    pub attempts: u64,
    /// Time to the first token without what the prompt takes, in seconds.
    pub ttft: Option<Fit>,
    /// Seconds that a token of the prompt takes.
    pub prefill: f64,
    /// Seconds per token after the first.
    pub tpot: Option<Fit>,
    /// Attempts that failed, by fault.
    pub faults: BTreeMap<String, u64>,
    /// What is known of its quota.
    pub quota: Quota,
    /// What to know besides, in sentences.
    pub notes: Vec<String>,
}

/// A law and how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The law.
    pub law: Law,
    /// Values that it was fitted to.
    pub values: usize,
    /// Values of which only is known that they were longer.
    pub cut: usize,
    /// How far its quantiles are from those of the values, at each of [`AT`], as a share.
    pub errors: Vec<f64>,
    /// The largest difference of the distribution functions.
    pub distance: f64,
}

/// Where a fit is compared with what was measured.
pub const AT: [f64; 7] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// Faults that are an error of the endpoint itself.
const ERRORS: [&str; 3] = ["server", "overloaded", "stream"];
/// Faults that are its silence.
const HANGS: [&str; 1] = ["timeout"];
/// The fault of a quota.
const LIMITED: &str = "rate-limited";
/// Fewer values than this are fitted, and told to be few.
const FEW: usize = 200;

/// What was seen of one endpoint.
#[derive(Default)]
struct Seen {
    ttft: Vec<f64>,
    prompts: Vec<f64>,
    tpot: Vec<f64>,
    cut: Vec<f64>,
    tries: Vec<Try>,
    faults: BTreeMap<String, u64>,
    attempts: u64,
    /// When errors happened, in seconds.
    errors_at: Vec<f64>,
}

impl Calibration {
    /// The endpoints of `log`.
    #[must_use]
    pub fn new(log: &Log) -> Calibration {
        let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
        for entry in &log.entries {
            note(entry, &mut seen);
        }
        Calibration {
            backends: seen.into_iter().map(|(name, seen)| Fitted::new(name, seen)).collect(),
            lines: log.lines,
            gaps: log.gaps(),
        }
    }
}

/// Takes down what a request tells of the endpoints that it was sent to.
fn note<'l>(entry: &'l Entry, seen: &mut BTreeMap<&'l str, Seen>) {
    let arrived = entry
        .time
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let arrived = arrived.unwrap_or_default().as_secs_f64();
    let tokens = f64::from(entry.prompt.unwrap_or(0)) + f64::from(entry.max_tokens.or(entry.output).unwrap_or(0));
    for lost in &entry.lost {
        let of = seen.entry(&lost.endpoint).or_default();
        let at = arrived + lost.launched_ms / 1e3;
        of.attempts += 1;
        let fault = lost.fault.as_deref();
        of.tries.push(Try {
            at,
            refused: fault == Some(LIMITED),
            tokens,
        });
        if let Some(fault) = fault {
            *of.faults.entry(fault.to_owned()).or_default() += 1;
            if ERRORS.contains(&fault) {
                of.errors_at.push(at);
            }
        } else if entry.end == "completed" && entry.stream == Some(true) {
            // Stopped as another began to answer: by then it had not.
            of.cut.extend(entry.ttft_ms.map(|ttft| (ttft - lost.launched_ms) / 1e3));
        }
    }
    let (Some(endpoint), Some(launched), "completed") = (&entry.endpoint, entry.overhead_ms, entry.end.as_str()) else {
        return;
    };
    let of = seen.entry(endpoint).or_default();
    of.attempts += 1;
    of.tries.push(Try {
        at: arrived + launched / 1e3,
        refused: false,
        tokens,
    });
    // The attempt of a hedge was chosen for being the faster: it tells of no other. A first one that won beside its hedge does.
    let is_first = entry.attempts == 1 || (entry.retries + entry.fallbacks == 0 && !was_hedged(entry, launched));
    if let Some(ttft) = entry.ttft_ms.filter(|_| is_first) {
        of.ttft.push((ttft - launched) / 1e3);
        of.prompts.push(f64::from(entry.prompt.unwrap_or(0)));
        of.tpot.extend(entry.tpot_ms().map(|tpot| tpot / 1e3));
    }
}

/// Whether the answer of a request is that of an attempt beside an earlier one.
fn was_hedged(entry: &Entry, launched: f64) -> bool {
    entry.lost.iter().any(|lost| lost.launched_ms < launched)
}

impl Fitted {
    fn new(name: &str, seen: Seen) -> Fitted {
        let mut notes = Vec::new();
        let prefill = if seen.cut.is_empty() {
            per_token(&seen.ttft, &seen.prompts)
        } else {
            0.0
        };
        let rest = seen
            .ttft
            .iter()
            .zip(&seen.prompts)
            .map(|(ttft, prompt)| ttft - prefill * prompt);
        let rest: Vec<f64> = rest.collect();
        let ttft = Fit::new(rest, &seen.cut);
        let tpot = Fit::new(seen.tpot, &[]);
        let few = ttft.as_ref().map_or(0, |fit| fit.values);
        if few < FEW {
            notes.push(format!("{few} streams are few: what is fitted to them is rough"));
        }
        if !seen.cut.is_empty() {
            notes.push(format!(
                "{} attempts were stopped beside a hedge before their first token; they count as longer, and neither a slow \
                 share nor what prompts take can be told apart",
                seen.cut.len()
            ));
        }
        if let Some(share) = clustered(&seen.errors_at) {
            notes.push(format!(
                "{:.0} % of its errors lie within a tenth of the time: that is an outage rather than a share of errors, and a \
                 [[fault]] says it better",
                share * 100.0
            ));
        }
        Fitted {
            name: name.to_owned(),
            attempts: seen.attempts,
            ttft,
            prefill,
            tpot,
            faults: seen.faults,
            quota: find(seen.tries),
            notes,
        }
    }

    /// The share of attempts that failed with an error of the endpoint.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        self.share(&ERRORS)
    }

    /// The share of attempts that were given up because nothing came.
    #[must_use]
    pub fn hang_share(&self) -> f64 {
        self.share(&HANGS)
    }

    /// Of those that its quota let through.
    fn share(&self, faults: &[&str]) -> f64 {
        let of = |fault: &str| self.faults.get(fault).copied().unwrap_or(0);
        let passed = self.attempts.saturating_sub(of(LIMITED));
        let failed: u64 = faults.iter().map(|fault| of(fault)).sum();
        if passed == 0 {
            0.0
        } else {
            number(failed) / number(passed)
        }
    }
}

impl Fit {
    fn new(values: Vec<f64>, cut: &[f64]) -> Option<Fit> {
        let law = if cut.is_empty() {
            fit_mixed(&values)?
        } else {
            Law {
                usual: fit(&values, cut)?,
                slow: None,
            }
        };
        let sample = Sorted::new(values);
        // What was cut off is missing at the upper end only of what was measured, so there the two cannot agree.
        let (errors, distance) = misfit(&law, &sample, &AT);
        Some(Fit {
            law,
            values: sample.len(),
            cut: cut.len(),
            errors,
            distance,
        })
    }
}

/// The share of `instants` in their busiest tenth of the time, if that is most of them.
fn clustered(instants: &[f64]) -> Option<f64> {
    const LEAST: usize = 20;
    const MOST: f64 = 0.5;

    let sorted = Sorted::new(instants.to_vec());
    let values = sorted.values();
    let (first, last) = (values.first()?, values.last()?);
    let length = (last - first) / 10.0;
    let within = |(at, first): (usize, &f64)| values[at..].partition_point(|other| *other <= first + length);
    let most = values.iter().enumerate().map(within).max()?;
    let share = count(most) / count(values.len());
    (LEAST <= values.len() && MOST < share).then_some(share)
}

fn number(of: u64) -> f64 {
    count(usize::try_from(of).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn attempts_are_told_apart() {
        let line =
            |rest: &str| format!("{{\"time\":\"2026-01-02T03:04:05.000Z\",\"prompt\":100,\"output\":11,{rest}}}\n");
        let done = r#""end":"completed","stream":true,"ttft_ms":600.0,"e2e_ms":800.0"#;
        let text = [
            line(&format!(r#"{done},"endpoint":"a","overhead_ms":100.0,"attempts":1"#)),
            // A hedge won: the first was not faster than this.
            line(&format!(
                r#"{done},"endpoint":"b","overhead_ms":400.0,"attempts":2,"hedges":1,"lost":[{{"endpoint":"a","launched_ms":0.0,"fault":null}}]"#
            )),
            // The first won beside its hedge.
            line(&format!(
                r#"{done},"endpoint":"a","overhead_ms":0.0,"attempts":2,"hedges":1,"lost":[{{"endpoint":"b","launched_ms":400.0,"fault":null}}]"#
            )),
            line(
                r#""end":"failed","attempts":2,"lost":[{"endpoint":"a","launched_ms":0.0,"fault":"server"},{"endpoint":"b","launched_ms":1.0,"fault":"rate-limited"}]"#,
            ),
        ];
        let mut log = Log::default();
        log.read(text.concat().as_bytes(), Path::new("log")).expect("bytes");
        let found = Calibration::new(&log);
        let [a, b] = &found.backends[..] else {
            panic!("{found:?}");
        };
        assert_eq!((a.name.as_str(), a.attempts, b.attempts), ("a", 4, 3));
        let ttft = a.ttft.as_ref().expect("two values");
        assert_eq!((ttft.values, ttft.cut), (2, 1));
        assert!((a.error_share() - 0.25).abs() < 1e-12);
        assert!(b.ttft.is_none() && b.error_share() < 1e-12);
        assert_eq!(
            b.quota,
            Quota::Glimpsed {
                refusals: 1,
                at_least: 2.0
            }
        );
    }

    #[test]
    fn errors_of_an_outage_are_known() {
        let spread: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(clustered(&spread), None);
        let outage: Vec<f64> = (0..90)
            .map(|at| 50.0 + f64::from(at) / 100.0)
            .chain([0.0, 100.0])
            .collect();
        assert!(clustered(&outage).is_some_and(|share| 0.9 < share));
    }
}

//! The cases of `theory.json`, and how what was measured is held against them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A model, a metric of it, and what it must be.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) params: Value,
    pub(crate) metric: String,
    pub(crate) expected: Value,
    pub(crate) rel_tol: f64,
    #[serde(default)]
    pub(crate) abs_tol: Option<f64>,
    #[serde(default)]
    pub(crate) n_requests: Option<u64>,
    pub(crate) kind: String,
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("theory.json")).expect("the table is JSON of this shape")
}

impl Case {
    /// The number called `name`.
    pub(crate) fn number(&self, name: &str) -> f64 {
        let number = self.params.get(name).and_then(Value::as_f64);
        number.unwrap_or_else(|| panic!("{} has no number `{name}`", self.id))
    }

    /// The whole number called `name`.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let number = self.params.get(name).and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("{} has no whole number `{name}`", self.id))
    }

    /// The word called `name`; empty if there is none.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.params.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Numbers, or lists of them, called `name`.
    pub(crate) fn list(&self, name: &str) -> &[Value] {
        self.params
            .get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// Requests to simulate.
    pub(crate) fn requests(&self) -> u64 {
        self.n_requests
            .unwrap_or_else(|| panic!("{} says no number of requests", self.id))
    }
}

/// What a run said about a case.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// A number, compared within the tolerance.
    Number(f64),
    /// Numbers, each compared within the tolerance.
    Numbers(Vec<f64>),
    /// Words, compared exactly.
    Words(Vec<String>),
}

/// A case and what was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) id: String,
    pub(crate) way: &'static str,
    pub(crate) holds: bool,
    /// Chance plays a part, so another seed may say otherwise.
    pub(crate) may_miss: bool,
    pub(crate) metric: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) error: f64,
    pub(crate) tolerance: f64,
    /// Whether error and tolerance are differences, not shares.
    pub(crate) is_absolute: bool,
    length: Duration,
    reruns: Vec<f64>,
}

impl Measured {
    pub(crate) fn new(case: &Case, way: &'static str, reading: Reading, length: Duration) -> Measured {
        let numbers = |value: &Value| -> Vec<f64> {
            let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            list.iter().filter_map(Value::as_f64).collect()
        };
        let is_bound = case.kind == "bound";
        let compare = |measured: f64, expected: f64| {
            let off = if is_bound {
                (measured - expected).max(0.0)
            } else {
                measured - expected
            };
            if case.abs_tol.is_some() || expected == 0.0 {
                off
            } else {
                off / expected
            }
        };
        let tolerance = case.abs_tol.unwrap_or(case.rel_tol);
        let (error, measured) = match reading {
            Reading::Number(measured) => (compare(measured, numbers(&case.expected)[0]), format!("{measured:.8}")),
            Reading::Numbers(measured) => {
                let expected = numbers(&case.expected);
                let same_length = expected.len() == measured.len();
                let errors = measured
                    .iter()
                    .zip(&expected)
                    .map(|(measured, expected)| compare(*measured, *expected));
                let worst = errors.fold(
                    0.0,
                    |worst: f64, error| if worst.abs() < error.abs() { error } else { worst },
                );
                (if same_length { worst } else { f64::INFINITY }, format!("{measured:?}"))
            }
            Reading::Words(measured) => {
                let said = serde_json::to_value(&measured).expect("words are JSON");
                (
                    if said == case.expected { 0.0 } else { f64::INFINITY },
                    format!("{measured:?}"),
                )
            }
        };
        Measured {
            id: case.id.clone(),
            way,
            holds: error.abs() <= tolerance.max(1e-12),
            may_miss: matches!(case.kind.as_str(), "exact" | "simulated" | "approx"),
            metric: case.metric.clone(),
            expected: case.expected.to_string(),
            is_absolute: case.abs_tol.is_some(),
            found: measured,
            error,
            tolerance,
            length,
            reruns: Vec::new(),
        }
    }

    /// What further seeds said.
    pub(crate) fn rerun(&mut self, others: &[Measured]) {
        self.holds = others.iter().all(|other| other.holds);
        self.reruns = others.iter().map(|other| other.error).collect();
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(14).collect::<String>();
        let (expected, measured) = (short(&self.expected), short(&self.found));
        let length = self.length.as_secs_f64();
        write!(
            f,
            "{:<34} {:<8} {expected:>14} {measured:>14} {:>+9.5} {:>9.5} {length:>6.1}",
            self.id, self.way, self.error, self.tolerance
        )?;
        if !self.reruns.is_empty() {
            write!(f, " rerun: {:?}", self.reruns)?;
        }
        if self.holds { Ok(()) } else { write!(f, " MISSED") }
    }
}

//! Fitted backends as a scenario has them, as people read them, and as data.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{AT, Calibration, Fit, Fitted, Quota};
use crate::twin::{percentage, seconds};

impl Calibration {
    /// A `[[backend]]` for each endpoint, to be pasted into a scenario.
    #[must_use]
    pub fn toml(&self) -> String {
        let mut text = String::from(
            "# Fitted to an access log. Latencies were measured at the gateway: with these, say gateway_to_backend = \"0ms\".\n",
        );
        for backend in &self.backends {
            text.push('\n');
            backend.toml(&mut text);
        }
        text
    }

    /// How well everything fits.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{} lines\n", self.lines);
        for gap in &self.gaps {
            let _ = writeln!(text, "  {gap}");
        }
        for backend in &self.backends {
            let _ = writeln!(text, "\n{}: {} attempts", backend.name, backend.attempts);
            for (name, fit) in [("TTFT", &backend.ttft), ("TPOT", &backend.tpot)] {
                match fit {
                    None => {
                        let _ = writeln!(text, "  {name}: no stream was complete, so it is unknown");
                    }
                    Some(fit) => {
                        let errors = AT.iter().zip(&fit.errors);
                        let errors =
                            errors.map(|(at, error)| format!("p{:.0} {}", at * 100.0, percentage(Some(*error))));
                        let errors: Vec<String> = errors.collect();
                        let _ = writeln!(
                            text,
                            "  {name}: median {}, sigma {:.3}, of {} streams; the fit is off by {}; KS {:.3}",
                            seconds(fit.law.usual.median()),
                            fit.law.usual.sigma,
                            fit.values,
                            errors.join(", "),
                            fit.distance
                        );
                    }
                }
            }
            let faults: Vec<String> = backend
                .faults
                .iter()
                .map(|(fault, count)| format!("{fault} {count}"))
                .collect();
            if !faults.is_empty() {
                let _ = writeln!(text, "  faults: {}", faults.join(", "));
            }
            let _ = writeln!(text, "  {}", backend.quota_in_words());
            for note in &backend.notes {
                let _ = writeln!(text, "  {note}");
            }
        }
        text
    }

    /// Everything as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let backends: Vec<Value> = self.backends.iter().map(Fitted::json).collect();
        let value = json!({
            "tollgate": env!("CARGO_PKG_VERSION"),
            "lines": self.lines,
            "gaps": self.gaps,
            "backends": backends,
        });
        format!("{value:#}\n")
    }
}

impl Fitted {
    fn toml(&self, text: &mut String) {
        let nanos = |length: f64| format!("\"{:.0}ns\"", length * 1e9);
        let _ = writeln!(
            text,
            "[[backend]]\nname = {}\nkind = \"api\"",
            Value::from(self.name.as_str())
        );
        let mut law = |key: &str, fit: &Option<Fit>| match fit {
            Some(fit) => {
                let usual = fit.law.usual;
                let _ = writeln!(
                    text,
                    "{key} = {{ distribution = \"lognormal\", median = {}, sigma = {:.4} }}",
                    nanos(usual.median()),
                    usual.sigma
                );
            }
            None => {
                let _ = writeln!(
                    text,
                    "# {key}: no stream was complete, so nothing is known of it\n{key} = \"0ms\""
                );
            }
        };
        law("ttft", &self.ttft);
        law("tpot", &self.tpot);
        if 0.0 < self.prefill {
            let _ = writeln!(text, "prefill = {}", nanos(self.prefill));
        }
        if let Some((share, factor)) = self.ttft.as_ref().and_then(|fit| fit.law.slow) {
            let _ = writeln!(
                text,
                "slow_share = {share:.5}\nslow_factor = {{ distribution = \"lognormal\", median = {:.4}, sigma = {:.4} }}",
                factor.median(),
                factor.sigma
            );
        }
        for (key, share) in [("error_share", self.error_share()), ("hang_share", self.hang_share())] {
            if 0.0 < share {
                let _ = writeln!(text, "{key} = {share:.6}");
            }
        }
        match self.quota {
            Quota::Seen { of_tokens, amount, .. } => {
                let unit = if of_tokens { "tokens" } else { "requests" };
                let _ = writeln!(
                    text,
                    "# {}\nquota = [{{ unit = \"{unit}\", amount = {amount:.0}, period = \"1m\", algorithm = \"token-bucket\" }}]",
                    self.quota_in_words()
                );
            }
            Quota::Unseen { .. } | Quota::Glimpsed { .. } => {
                let _ = writeln!(text, "# {}", self.quota_in_words());
            }
        }
    }

    fn quota_in_words(&self) -> String {
        match self.quota {
            Quota::Unseen { at_least } => {
                format!("no 429 seen: the quota is unknown, at least {at_least:.0} requests a minute")
            }
            Quota::Glimpsed { refusals, at_least } => format!(
                "{refusals} attempts met a 429, too few in a row to tell the quota: at least {at_least:.0} requests a minute"
            ),
            Quota::Seen {
                of_tokens,
                amount,
                error,
                refusals,
            } => {
                let unit = if of_tokens { "tokens" } else { "requests" };
                format!(
                    "{refusals} attempts met a 429; while they did, {amount:.0} {unit} a minute passed, give or take {error:.0}"
                )
            }
        }
    }

    fn json(&self) -> Value {
        let fit = |fit: &Option<Fit>| {
            fit.as_ref().map(|fit| {
                let errors: serde_json::Map<String, Value> = AT
                    .iter()
                    .zip(&fit.errors)
                    .map(|(at, error)| (format!("p{:.0}", at * 100.0), Value::from(*error)))
                    .collect();
                json!({
                    "median": fit.law.usual.median(),
                    "sigma": fit.law.usual.sigma,
                    "slow_share": fit.law.slow.map(|(share, _)| share),
                    "slow_factor": fit.law.slow.map(|(_, factor)| json!({ "median": factor.median(), "sigma": factor.sigma })),
                    "values": fit.values,
                    "cut": fit.cut,
                    "error": errors,
                    "distance": fit.distance,
                })
            })
        };
        let quota = match self.quota {
            Quota::Unseen { at_least } => json!({ "refusals": 0, "requests_at_least": at_least }),
            Quota::Glimpsed { refusals, at_least } => json!({ "refusals": refusals, "requests_at_least": at_least }),
            Quota::Seen {
                of_tokens,
                amount,
                error,
                refusals,
            } => json!({
                "refusals": refusals,
                "unit": if of_tokens { "tokens" } else { "requests" },
                "per_minute": amount,
                "standard_error": error,
            }),
        };
        json!({
            "name": self.name,
            "attempts": self.attempts,
            "ttft": fit(&self.ttft),
            "tpot": fit(&self.tpot),
            "prefill": self.prefill,
            "error_share": self.error_share(),
            "hang_share": self.hang_share(),
            "faults": self.faults,
            "quota": quota,
            "notes": self.notes,
        })
    }
}

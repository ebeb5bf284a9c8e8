//! The words by which files, and whoever injects faults, say what goes wrong.

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{Section, Value};
use tollgate_core::time::Nanos;

use super::FaultKind;

/// The kinds of faults by name, for [`FaultWord::read`] to read the rest of.
pub const FAULTS: &[(&str, FaultWord)] = &[
    ("outage", FaultWord::Outage),
    ("black-hole", FaultWord::BlackHole),
    ("connection-refused", FaultWord::ConnectionRefused),
    ("error-burst", FaultWord::ErrorBurst),
    ("fail-fast", FaultWord::FailFast),
    ("brownout", FaultWord::Brownout),
    ("slow-start", FaultWord::SlowStart),
    ("stall", FaultWord::Stall),
    ("truncate", FaultWord::Truncate),
    ("quota-exhausted", FaultWord::QuotaExhausted),
];

/// A kind of fault whose numbers are not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultWord {
    /// [`FaultKind::Outage`].
    Outage,
    /// [`FaultKind::BlackHole`].
    BlackHole,
    /// [`FaultKind::ConnectionRefused`].
    ConnectionRefused,
    /// [`FaultKind::ErrorBurst`].
    ErrorBurst,
    /// [`FaultKind::FailFast`].
    FailFast,
    /// [`FaultKind::Brownout`].
    Brownout,
    /// [`FaultKind::SlowStart`].
    SlowStart,
    /// [`FaultKind::Stall`].
    Stall,
    /// [`FaultKind::Truncate`].
    Truncate,
    /// [`FaultKind::QuotaExhausted`].
    QuotaExhausted,
}

impl FaultWord {
    /// Reads the numbers of this kind. What is wrong is reported, and something in range stands in for it.
    #[must_use]
    pub fn read(self, section: &Section<'_>) -> FaultKind {
        let status = || section.or("status", kind::integer(400_u16, 599), 503);
        let share = || section.or("share", kind::share_above_0, 1.0);
        match self {
            FaultWord::Outage => FaultKind::Outage { status: status() },
            FaultWord::BlackHole => FaultKind::BlackHole,
            FaultWord::ConnectionRefused => FaultKind::ConnectionRefused,
            FaultWord::ErrorBurst => FaultKind::ErrorBurst {
                share: share(),
                status: status(),
            },
            FaultWord::FailFast => FaultKind::FailFast {
                latency: section.or("latency", kind::duration, Nanos::from_millis(1)),
                share: share(),
            },
            FaultWord::Brownout => FaultKind::Brownout {
                factor: section.required("factor", factor).map_or(1.0, |factor| factor.value),
            },
            FaultWord::SlowStart => FaultKind::SlowStart {
                ramp: section
                    .required("ramp", kind::length)
                    .map_or(Nanos::from_secs(1), |ramp| ramp.value),
            },
            FaultWord::Stall => FaultKind::Stall {
                share: share(),
                pause: section.or("pause", kind::length_or_none, Nanos::FOREVER),
            },
            FaultWord::Truncate => FaultKind::Truncate { share: share() },
            FaultWord::QuotaExhausted => FaultKind::QuotaExhausted,
        }
    }
}

fn factor(value: &Value<'_>) -> Result<f64, Wrong> {
    let factor = kind::number(value).ok().filter(|factor| (1.0..=1e6).contains(factor));
    factor.ok_or_else(|| Wrong::expected("how much slower: a number from 1 to 1000000"))
}

#[cfg(test)]
mod tests {
    use tollgate_core::file;

    use super::*;

    #[test]
    fn every_word_is_that_of_its_kind() {
        for (name, word) in FAULTS {
            let text = "factor = 2\nramp = \"1m\"\nstatus = 500\nshare = 0.5\nlatency = \"1ms\"\npause = \"1s\"";
            let read = file::read("fault", text, |section| {
                let _known: Vec<_> = section.entries();
                word.read(section)
            });
            assert_eq!(read.expect("in range").0.name(), *name);
        }
    }
}

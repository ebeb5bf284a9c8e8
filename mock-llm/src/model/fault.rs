//! What goes wrong with a backend, and when.

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::lifecycle::Status;
use tollgate_core::time::{Instant, Nanos};

use super::spec::share;
use crate::draw::{Distribution, OutOfRange, within};

/// A window in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultSpec {
    /// What is wrong.
    pub kind: FaultKind,
    /// When it begins.
    pub at: Instant,
    /// For how long. The instant of the end is already free of it. A slow start lasts as long as its ramp instead.
    pub lasts: Nanos,
}

/// The kinds of faults.
///
/// Where several overlap, the first of this list that applies answers an attempt; slowdowns multiply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Nobody listens. Running answers are cut off.
    ConnectionRefused,
    /// Connections are accepted and nothing is ever answered. Running answers fall silent for ever.
    BlackHole,
    /// Every attempt is answered with `status`, within 5 to 50 ms. Running answers break off; attempts still waiting for
    /// theirs are answered with `status` as it begins.
    Outage {
        /// The status; 503 where nobody says.
        status: Status,
    },
    /// Status 429 and the code `insufficient_quota`. Running answers go on.
    QuotaExhausted,
    /// A share of attempts is answered with status 500 after `latency`. Running answers go on.
    FailFast {
        /// After how long; 1 ms where nobody says.
        latency: Nanos,
        /// Which share.
        share: f64,
    },
    /// A share of attempts is answered with `status`, within 5 to 50 ms. Running answers go on.
    ErrorBurst {
        /// Which share.
        share: f64,
        /// The status.
        status: Status,
    },
    /// Everything is slower: TTFT (and the service of a queue) by `factor`, further tokens by its square root. What is
    /// left of running answers slows down as it begins, and speeds up as it ends.
    Brownout {
        /// How much slower.
        factor: f64,
    },
    /// A brownout that fades: 10 % of the speed at first, 100 % after `ramp`, in ten equal steps.
    SlowStart {
        /// How long until full speed.
        ramp: Nanos,
    },
    /// A share of the attempts that begin in the window stop after a token drawn evenly, and go on after `pause`.
    Stall {
        /// Which share.
        share: f64,
        /// For how long; [`Nanos::FOREVER`] never to go on.
        pause: Nanos,
    },
    /// A share of the attempts that begin in the window break off after a token drawn evenly.
    Truncate {
        /// Which share.
        share: f64,
    },
}

impl FaultKind {
    /// The word for it in scenarios and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            FaultKind::ConnectionRefused => "connection-refused",
            FaultKind::BlackHole => "black-hole",
            FaultKind::Outage { .. } => "outage",
            FaultKind::QuotaExhausted => "quota-exhausted",
            FaultKind::FailFast { .. } => "fail-fast",
            FaultKind::ErrorBurst { .. } => "error-burst",
            FaultKind::Brownout { .. } => "brownout",
            FaultKind::SlowStart { .. } => "slow-start",
            FaultKind::Stall { .. } => "stall",
            FaultKind::Truncate { .. } => "truncate",
        }
    }
}

impl FaultSpec {
    /// A checked fault.
    ///
    /// # Errors
    ///
    /// The field and what it must be.
    pub fn new(kind: FaultKind, at: Instant, lasts: Nanos) -> Result<FaultSpec, OutOfRange> {
        let fault = FaultSpec { kind, at, lasts };
        fault.check()?;
        Ok(fault)
    }

    /// Faults of one kind drawn from `dice` between `from` and `until`: seconds of peace from `every`, then seconds of
    /// fault from `lasts`, and again. The share of time with a fault tends to `lasts / (every + lasts)`, of their means.
    ///
    /// # Errors
    ///
    /// If the kind has a number out of range, or `every` has mean 0, which would never come to an end.
    pub fn drawn(
        kind: FaultKind,
        every: &Distribution,
        lasts: &Distribution,
        from: Instant,
        until: Instant,
        dice: Dice,
    ) -> Result<Vec<FaultSpec>, OutOfRange> {
        within("every", every.mean(), 1e-3, f64::MAX, "at least 1 ms on average")?;
        let mut faults = Vec::new();
        let mut end = from;
        for number in 0.. {
            let roll = dice.request(number);
            let at = end + every.sample_secs(&mut roll.roll(Purpose::Incident, 0));
            if until <= at {
                break;
            }
            let length = lasts.sample_secs(&mut roll.roll(Purpose::Incident, 1));
            faults.push(FaultSpec::new(kind, at, length.max(Nanos::from_nanos(1)))?);
            end = at + length;
        }
        Ok(faults)
    }

    /// When it is over.
    #[must_use]
    pub fn end(&self) -> Instant {
        match self.kind {
            FaultKind::SlowStart { ramp } => self.at + ramp,
            FaultKind::ConnectionRefused
            | FaultKind::BlackHole
            | FaultKind::Outage { .. }
            | FaultKind::QuotaExhausted
            | FaultKind::FailFast { .. }
            | FaultKind::ErrorBurst { .. }
            | FaultKind::Brownout { .. }
            | FaultKind::Stall { .. }
            | FaultKind::Truncate { .. } => self.at + self.lasts,
        }
    }

    /// Finds the first number that a fault cannot have.
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        if self.lasts == Nanos::ZERO && !matches!(self.kind, FaultKind::SlowStart { .. }) {
            return Err(OutOfRange {
                field: "for",
                must_be: "longer than 0",
            });
        }
        match self.kind {
            FaultKind::ConnectionRefused | FaultKind::BlackHole | FaultKind::QuotaExhausted => Ok(()),
            FaultKind::Outage { status } => error_status(status),
            FaultKind::FailFast { share: value, .. }
            | FaultKind::Stall { share: value, .. }
            | FaultKind::Truncate { share: value } => share("share", value),
            FaultKind::ErrorBurst { share: value, status } => {
                share("share", value)?;
                error_status(status)
            }
            FaultKind::Brownout { factor } => within("factor", factor, 1.0, 1e6, "between 1 and 1,000,000"),
            FaultKind::SlowStart { ramp } => within("ramp", ramp.as_secs_f64(), 1e-6, 1e9, "between 1us and 30 years"),
        }
    }
}

fn error_status(status: Status) -> Result<(), OutOfRange> {
    if (400..=599).contains(&status) {
        Ok(())
    } else {
        Err(OutOfRange {
            field: "status",
            must_be: "an error status, 400 to 599",
        })
    }
}

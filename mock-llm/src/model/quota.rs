//! What a provider limits, and how it counts.

use std::num::NonZeroU64;

use tollgate_core::limit::{Bucket, Decision, FixedWindow, Limiter, Standing, Taken, TokenBucket, Window};
use tollgate_core::policy::Quota;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Cost, Unit};

use super::Job;
use crate::draw::OutOfRange;

/// One quota of a provider; an attempt must pass all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpec {
    /// What an attempt takes from it.
    pub count: Count,
    /// How it refills.
    pub algorithm: QuotaAlgorithm,
}

/// What an attempt takes from a quota as it begins, and whether that is corrected once its use is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// One.
    Requests,
    /// Prompt and declared maximum, never corrected (Azure).
    InputAndMaxOutput,
    /// Prompt and declared maximum, corrected to prompt and answer as it ends.
    InputAndOutput,
    /// The prompt.
    Input,
    /// What of the prompt was not cached (Anthropic).
    UncachedInput,
    /// The declared maximum, never corrected.
    MaxOutput,
    /// The declared maximum, corrected to the answer as it ends (Anthropic).
    Output,
}

impl Count {
    /// Every way of counting and its word in a scenario.
    pub const NAMES: [(&'static str, Count); 7] = [
        ("requests", Count::Requests),
        ("input-and-max-output", Count::InputAndMaxOutput),
        ("input-and-output", Count::InputAndOutput),
        ("input", Count::Input),
        ("uncached-input", Count::UncachedInput),
        ("max-output", Count::MaxOutput),
        ("output", Count::Output),
    ];

    /// How a quota over `unit` counts where nobody says; none if a provider has no such quota.
    #[must_use]
    pub const fn of(unit: Unit) -> Option<Count> {
        match unit {
            Unit::Requests => Some(Count::Requests),
            Unit::Tokens => Some(Count::InputAndMaxOutput),
            Unit::InputTokens => Some(Count::Input),
            Unit::OutputTokens => Some(Count::Output),
            Unit::MicroUsd | Unit::InFlight => None,
        }
    }

    /// The unit that is counted, which a scenario's `unit` and `count` must agree on.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Count::Requests => Unit::Requests,
            Count::InputAndMaxOutput | Count::InputAndOutput => Unit::Tokens,
            Count::Input | Count::UncachedInput => Unit::InputTokens,
            Count::MaxOutput | Count::Output => Unit::OutputTokens,
        }
    }
}

/// How a quota refills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaAlgorithm {
    /// A bucket refilled continuously.
    TokenBucket(Quota),
    /// A counter per aligned window; the quota's period is the window.
    FixedWindow(Quota),
}

impl QuotaSpec {
    /// `amount` units per `period`, refilled continuously; `burst` of them at once, or a whole period's.
    ///
    /// # Errors
    ///
    /// If `amount`, `period` or `burst` is 0.
    pub fn token_bucket(count: Count, amount: u64, period: Nanos, burst: Option<u64>) -> Result<QuotaSpec, OutOfRange> {
        let quota = quota(amount, period, burst.unwrap_or(amount))?;
        Ok(QuotaSpec {
            count,
            algorithm: QuotaAlgorithm::TokenBucket(quota),
        })
    }

    /// `amount` units per `period`, enforced in slices of it: 600 requests a minute over slices of a second are 10 a
    /// second (Azure).
    ///
    /// # Errors
    ///
    /// If `amount` or `slice` is 0, `slice` is longer than `period`, or a slice would allow less than one unit.
    pub fn fixed_window(count: Count, amount: u64, period: Nanos, slice: Nanos) -> Result<QuotaSpec, OutOfRange> {
        if period < slice {
            return Err(OutOfRange {
                field: "slice",
                must_be: "no longer than the period",
            });
        }
        quota(amount, period, amount)?;
        let scaled = u128::from(amount) * u128::from(slice.as_nanos()) / u128::from(period.as_nanos());
        // A slice is no longer than its period, so the cast keeps the value; 0 where a slice is too short for a unit.
        let part = u64::try_from(scaled).unwrap_or(amount);
        let too_short = OutOfRange {
            field: "slice",
            must_be: "long enough for one unit",
        };
        let quota = quota(part, slice, part).map_err(|_| too_short)?;
        Ok(QuotaSpec {
            count,
            algorithm: QuotaAlgorithm::FixedWindow(quota),
        })
    }
}

fn quota(amount: u64, period: Nanos, burst: u64) -> Result<Quota, OutOfRange> {
    let amount = NonZeroU64::new(amount).ok_or(OutOfRange {
        field: "amount",
        must_be: "above 0",
    })?;
    let burst = NonZeroU64::new(burst).ok_or(OutOfRange {
        field: "burst",
        must_be: "above 0",
    })?;
    if period == Nanos::ZERO {
        return Err(OutOfRange {
            field: "period",
            must_be: "longer than 0",
        });
    }
    Ok(Quota { amount, period, burst })
}

/// Every quota of a provider, and where they stand. The algorithms are those of the gateway's own limits.
#[derive(Clone, Debug)]
pub(super) struct Quotas(Vec<Meter>);

#[derive(Clone, Debug)]
struct Meter {
    count: Count,
    gauge: Gauge,
}

#[derive(Clone, Debug)]
enum Gauge {
    TokenBucket(TokenBucket, Bucket),
    FixedWindow(FixedWindow, Window),
}

/// What an attempt was charged for, as needed to correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    at: Instant,
    estimate: Estimate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    input: u32,
    cached: u32,
    output: u32,
}

/// Why an attempt may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// How long until it could; none if never.
    pub(super) retry_after: Option<Nanos>,
}

/// Output tokens that a provider reserves for a request that declares no maximum.
const ASSUMED_OUTPUT: u32 = 512;

impl Quotas {
    pub(super) fn new(specs: &[QuotaSpec]) -> Quotas {
        Quotas(specs.iter().map(Meter::new).collect())
    }

    /// Charges every quota, or none: a refused attempt takes nothing.
    pub(super) fn admit(&mut self, now: Instant, job: &Job) -> Result<Charge, Exceeded> {
        let estimate = Estimate {
            input: job.input,
            cached: job.cached,
            output: job.max_output.unwrap_or(ASSUMED_OUTPUT),
        };
        let charge = Charge { at: now, estimate };
        let mut refusal = None;
        for meter in &self.0 {
            // On a copy of the state: nothing is taken while another quota may still refuse.
            match meter.gauge.clone().take(now, meter.count.cost(estimate)) {
                Decision::Allow { .. } => {}
                Decision::Wait { until } => {
                    let wait = until.since(now);
                    let longest =
                        refusal.map_or(Some(wait), |Exceeded { retry_after }| retry_after.map(|w| w.max(wait)));
                    refusal = Some(Exceeded { retry_after: longest });
                }
                Decision::Never => refusal = Some(Exceeded { retry_after: None }),
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        for meter in &mut self.0 {
            let decision = meter.gauge.take(now, meter.count.cost(estimate));
            debug_assert!(decision.is_allowed(), "what a copy allows the original allows");
        }
        Ok(charge)
    }

    /// Where every quota stands.
    pub(super) fn standings(&self, now: Instant) -> Vec<(Count, Standing)> {
        let standing = |meter: &Meter| (meter.count, meter.gauge.standing(now));
        self.0.iter().map(standing).collect()
    }

    /// Corrects what is corrected, once an attempt has produced `output` tokens and will produce no more.
    pub(super) fn settle(&mut self, now: Instant, charge: Charge, output: u32) {
        let used = Estimate {
            output,
            ..charge.estimate
        };
        for meter in &mut self.0 {
            if matches!(meter.count, Count::InputAndOutput | Count::Output) {
                let taken = Taken {
                    cost: meter.count.cost(charge.estimate),
                    at: charge.at,
                };
                meter.gauge.settle(now, taken, meter.count.cost(used));
            }
        }
    }
}

impl Meter {
    fn new(spec: &QuotaSpec) -> Meter {
        let gauge = match spec.algorithm {
            QuotaAlgorithm::TokenBucket(quota) => {
                Gauge::TokenBucket(TokenBucket::new(quota, Nanos::ZERO), Bucket::default())
            }
            QuotaAlgorithm::FixedWindow(quota) => Gauge::FixedWindow(FixedWindow::new(quota), Window::default()),
        };
        Meter {
            count: spec.count,
            gauge,
        }
    }
}

impl Gauge {
    fn take(&mut self, now: Instant, cost: Cost) -> Decision {
        match self {
            Gauge::TokenBucket(limiter, state) => limiter.take(state, now, cost),
            Gauge::FixedWindow(limiter, state) => limiter.take(state, now, cost),
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        match self {
            Gauge::TokenBucket(limiter, state) => limiter.standing(state, now),
            Gauge::FixedWindow(limiter, state) => limiter.standing(state, now),
        }
    }

    fn settle(&mut self, now: Instant, taken: Taken, used: Cost) {
        match self {
            Gauge::TokenBucket(limiter, state) => limiter.settle(state, now, taken, used),
            Gauge::FixedWindow(limiter, state) => limiter.settle(state, now, taken, used),
        }
    }
}

impl Count {
    fn cost(self, estimate: Estimate) -> Cost {
        let input = Cost::from(estimate.input);
        let output = Cost::from(estimate.output);
        match self {
            Count::Requests => 1,
            Count::InputAndMaxOutput | Count::InputAndOutput => input + output,
            Count::Input => input,
            Count::UncachedInput => input.saturating_sub(Cost::from(estimate.cached)),
            Count::MaxOutput | Count::Output => output,
        }
    }
}

//! A clock that counts what a quota brings: nanoseconds to ticks of 2^-k unit, and back.
//!
//! Turning a cost into nanoseconds rounds away up to 17 % of a fast quota, and dividing a period by an amount first
//! admits too much. So time is turned into units instead, once a decision, by a multiplication with a factor that is
//! computed once a quota. A tick is a fixed part of a unit, and costs are whole numbers of ticks: nothing is rounded
//! but `now`, and never by more than a tick.

use crate::policy::Quota;
use crate::time::Instant;
use crate::usage::Cost;

/// One quota's clock.
///
/// `ticks(now) = floor(now · factor / 2^exponent)`, where `factor / 2^exponent` is `amount · 2^shift / period` with
/// 64 significant bits, rounded up: too fast by less than 2^-63, which is less than one tick in a hundred years, and
/// never too slow, so that what is due after a whole number of nanoseconds is there at that nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TickClock {
    /// Ticks a nanosecond, with its top bit set.
    factor: u64,
    /// Last instant that is told from later ones; the clock stands still from there on.
    end: u64,
    /// `now` moves left by so much, into the multiplication's upper half.
    before: u8,
    /// The product's upper half moves right by so much.
    after: u8,
    /// A unit is `2^shift` ticks.
    shift: u8,
}

/// How long a quota is kept without saturating: a hundred years of 365.25 days.
const HORIZON: u128 = 3_155_760_000_000_000_000;
/// Ticks of the horizon stay below this; as much again, and more, is left for bursts and debt.
const HORIZON_TICKS: u128 = 1 << 63;

impl TickClock {
    /// No burst is worth more ticks than this.
    pub(super) const MOST_BURST: u64 = 1 << 62;

    /// The finest clock on which a hundred years and a burst fit.
    ///
    /// # Panics
    ///
    /// If the period is zero, which no checked policy has.
    pub(super) fn new(quota: Quota) -> TickClock {
        let amount = u128::from(quota.amount.get());
        let period = u128::from(quota.period.as_nanos());
        assert!(0 < period, "a checked quota has a period");

        let burst = u128::from(Self::clamp(quota.burst.get()));
        let fits = |shift: u8| {
            burst << shift <= u128::from(Self::MOST_BURST)
                && (amount << shift)
                    .checked_mul(HORIZON)
                    .is_some_and(|ticks| ticks / period < HORIZON_TICKS)
        };
        let shift = (0..=62).rev().find(|shift| fits(*shift)).unwrap_or(0);

        let (factor, exponent) = quotient(amount << shift, period);
        let before = 64_u8.saturating_sub(exponent);
        TickClock {
            factor,
            end: end(factor, exponent),
            before,
            after: exponent.saturating_sub(64),
            shift,
        }
    }

    /// A burst that a tick can be part of; beyond 2^62 units there is none.
    pub(super) const fn clamp(burst: Cost) -> Cost {
        if burst < Self::MOST_BURST {
            burst
        } else {
            Self::MOST_BURST
        }
    }

    /// What has been brought since the epoch. Monotone.
    #[inline]
    pub(super) fn ticks(&self, now: Instant) -> u64 {
        let nanos = now.as_nanos().min(self.end) << self.before;
        let product = u128::from(nanos) * u128::from(self.factor);
        (product >> 64) as u64 >> self.after
    }

    /// The first instant at which `ticks` have been brought; [`Instant::FAR`] if that is past the clock's end.
    #[inline]
    pub(super) fn instant(&self, ticks: u64) -> Instant {
        if self.ticks(Instant::FAR) < ticks {
            return Instant::FAR;
        }
        let exponent = 64 + u32::from(self.after) - u32::from(self.before);
        let nanos = (u128::from(ticks) << exponent).div_ceil(u128::from(self.factor));
        Instant::from_nanos(u64::try_from(nanos).expect("no later than the clock's end"))
    }

    /// What `cost` units are worth, at most 2^64 - 1 ticks.
    #[inline]
    pub(super) fn worth(&self, cost: Cost) -> u64 {
        if cost <= u64::MAX >> self.shift {
            cost << self.shift
        } else {
            u64::MAX
        }
    }

    /// Whole units in `ticks`.
    #[inline]
    pub(super) fn units(&self, ticks: u64) -> Cost {
        ticks >> self.shift
    }
}

/// The last instant whose ticks, and a burst on top, stay below the saturated 2^64 - 1: so at the end nothing more is
/// admitted, rather than everything.
fn end(factor: u64, exponent: u8) -> u64 {
    const MOST_TICKS: u128 = u64::MAX as u128 - TickClock::MOST_BURST as u128 - 1;
    let representable = u64::MAX >> 64_u8.saturating_sub(exponent);
    if 64 < exponent {
        return representable;
    }
    let last = (MOST_TICKS << exponent) / u128::from(factor);
    u64::try_from(last).map_or(representable, |last| last.min(representable))
}

/// `numerator / denominator` as `factor / 2^exponent` with 64 significant bits, rounded up.
fn quotient(numerator: u128, denominator: u128) -> (u64, u8) {
    let mut quotient = numerator / denominator;
    let mut rest = numerator % denominator;
    let mut exponent = 0;
    while quotient < 1 << 63 {
        rest <<= 1;
        quotient <<= 1;
        if denominator <= rest {
            rest -= denominator;
            quotient |= 1;
        }
        exponent += 1;
    }
    if rest != 0 {
        quotient += 1;
    }
    match u64::try_from(quotient) {
        Ok(factor) => (factor, exponent),
        // Rounded up to 2^64. Above shift 0 a nanosecond brings few units, and at shift 0 an amount has 64 bits and
        // nothing of one that needs them all is left over.
        Err(_) => (1 << 63, exponent - 1),
    }
}

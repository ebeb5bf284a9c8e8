//! A clock that counts what a quota brings: nanoseconds to ticks of 2^-k unit, and back.
//!
//! Turning a cost into nanoseconds rounds away up to 17 % of a fast quota, and dividing a period by an amount first
//! admits too much. So time is turned into units instead, once a decision, by a multiplication with a factor that is
//! computed once a quota. A tick is a fixed part of a unit, and costs are whole numbers of ticks: nothing is rounded
//! but `now`, and never by more than a tick.

use core::num::NonZeroU64;

use crate::policy::Quota;
use crate::time::{Instant, Nanos};
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
    /// What has been brought at the end.
    last: u64,
    /// `2^127 / factor`, cut: from ticks to nanoseconds, a little too early.
    inverse: u64,
    /// Of the product of ticks and `inverse`, so many bits are fractions of a nanosecond.
    fraction: u32,
    /// `now` moves left by so much, into the multiplication's upper half.
    before: u32,
    /// The product's upper half moves right by so much.
    after: u32,
    /// A unit is `2^shift` ticks.
    shift: u32,
    /// `2^shift`: what is charged most often, ready to be charged.
    unit: u64,
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

        let burst = u128::from(Self::clamp(quota.burst).get());
        let fits = |shift: u32| {
            burst << shift <= u128::from(Self::MOST_BURST)
                && (amount << shift)
                    .checked_mul(HORIZON)
                    .is_some_and(|ticks| ticks / period < HORIZON_TICKS)
        };
        let shift = (0..=62).rev().find(|shift| fits(*shift)).unwrap_or(0);

        let (factor, exponent) = quotient(amount << shift, period);
        // Beyond 2^63 units a nanosecond there is no exponent to multiply by; such a quota gets half of that.
        let exponent = exponent.max(1);
        let mut clock = TickClock {
            factor,
            end: end(factor, exponent),
            last: 0,
            inverse: u64::try_from((1 << 127) / u128::from(factor)).unwrap_or(u64::MAX),
            fraction: 127 - exponent,
            before: 64_u32.saturating_sub(exponent),
            after: exponent.saturating_sub(64),
            shift,
            unit: 1 << shift,
        };
        clock.last = clock.ticks(Instant::FAR);
        clock
    }

    /// A burst that a tick can be part of; beyond 2^62 units there is none.
    pub(super) fn clamp(burst: NonZeroU64) -> NonZeroU64 {
        const MOST: NonZeroU64 = NonZeroU64::new(TickClock::MOST_BURST).expect("not zero");
        burst.min(MOST)
    }

    /// What has been brought since the epoch. Monotone.
    #[inline]
    pub(super) fn ticks(&self, now: Instant) -> u64 {
        let nanos = now.as_nanos().min(self.end) << self.before;
        let product = u128::from(nanos) * u128::from(self.factor);
        (product >> 64) as u64 >> self.after
    }

    /// The first instant at which `ticks` have been brought; [`Instant::FAR`] if that is past the clock's end.
    pub(super) fn instant(&self, ticks: u64) -> Instant {
        if self.last < ticks {
            return Instant::FAR;
        }
        // Not a division, which takes longer than all the rest of a refusal. Too early by 3 ns at most: the inverse is
        // cut by less than 2^-63 of it, so less than 2 ns are missing, and then the fraction.
        let nanos = (u128::from(ticks) * u128::from(self.inverse)) >> self.fraction;
        let mut instant = Instant::from_nanos(u64::try_from(nanos).unwrap_or(self.end));
        while self.ticks(instant) < ticks {
            instant += Nanos::from_nanos(1);
        }
        instant
    }

    /// What `cost` units are worth, at most 2^64 - 1 ticks.
    #[inline]
    pub(super) fn worth(&self, cost: Cost) -> u64 {
        cost.saturating_mul(self.unit)
    }

    /// Whole units in `ticks`.
    #[inline]
    pub(super) fn units(&self, ticks: u64) -> Cost {
        ticks >> self.shift
    }
}

/// The last instant whose ticks, and a burst on top, stay below the saturated 2^64 - 1: so at the end nothing more is
/// admitted, rather than everything.
fn end(factor: u64, exponent: u32) -> u64 {
    const MOST_TICKS: u128 = u64::MAX as u128 - TickClock::MOST_BURST as u128 - 1;
    let representable = u64::MAX >> 64_u32.saturating_sub(exponent);
    if 64 < exponent {
        return representable;
    }
    let last = (MOST_TICKS << exponent) / u128::from(factor);
    u64::try_from(last).map_or(representable, |last| last.min(representable))
}

/// `numerator / denominator` as `factor / 2^exponent` with 64 significant bits, rounded up.
fn quotient(numerator: u128, denominator: u128) -> (u64, u32) {
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

//! Instants and lengths of time, in whole nanoseconds.
//!
//! [`Instant`] and [`Nanos`] are two types, so that adding two instants does not compile.
//! All arithmetic saturates: a policy may say a hundred years and nothing wraps.

use core::fmt;
use core::ops::{Add, AddAssign, Mul, Sub};

/// A point in time: nanoseconds since the epoch of whoever drives the gate.
///
/// ```
/// use tollgate_core::time::{Instant, Nanos};
///
/// let noon = Instant::from_secs(12 * 3600);
/// assert_eq!(noon + Nanos::from_millis(1500), Instant::from_nanos(43_201_500_000_000));
/// assert_eq!(noon.since(Instant::EPOCH), Nanos::from_secs(43_200));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The beginning.
    pub const EPOCH: Instant = Instant(0);
    /// Later than anything that happens: "never".
    pub const FAR: Instant = Instant(u64::MAX);

    /// `nanos` nanoseconds after the epoch.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// `secs` seconds after the epoch, at most [`Instant::FAR`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Instant {
        Instant(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the epoch, for people and plots.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        Nanos(self.0).as_secs_f64()
    }

    /// How long ago `earlier` was; zero if it is in the future.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Instant) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whether this is [`Instant::FAR`].
    #[must_use]
    #[inline]
    pub const fn is_far(self) -> bool {
        self.0 == u64::MAX
    }
}

/// A length of time in nanoseconds.
///
/// ```
/// use tollgate_core::time::Nanos;
///
/// assert_eq!(Nanos::from_secs_f64(0.25), Nanos::from_millis(250));
/// assert_eq!(Nanos::from_millis(250).to_string(), "250ms");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

const NANOS_PER_SEC: u64 = 1_000_000_000;

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);
    /// Longer than anything: a timeout of this length is switched off.
    pub const FOREVER: Nanos = Nanos(u64::MAX);

    /// `nanos` nanoseconds.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Nanos {
        Nanos(nanos)
    }

    /// `micros` microseconds, saturating.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Nanos {
        Nanos(micros.saturating_mul(1_000))
    }

    /// `millis` milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Nanos {
        Nanos(millis.saturating_mul(1_000_000))
    }

    /// `secs` seconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Nanos {
        Nanos(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// The nearest whole number of nanoseconds to `secs` seconds.
    ///
    /// Negative lengths and NaN become zero, lengths beyond 584 years [`Nanos::FOREVER`].
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float casts saturate, which is the documented behavior"
    )]
    pub fn from_secs_f64(secs: f64) -> Nanos {
        Nanos((secs * 1e9 + 0.5) as u64)
    }

    /// The length in nanoseconds.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The length in seconds, for people and plots.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 104 days, and read by people beyond"
    )]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Whether this is [`Nanos::FOREVER`].
    #[must_use]
    #[inline]
    pub const fn is_forever(self) -> bool {
        self.0 == u64::MAX
    }
}

impl Add<Nanos> for Instant {
    type Output = Instant;

    #[inline]
    fn add(self, length: Nanos) -> Instant {
        Instant(self.0.saturating_add(length.0))
    }
}

impl AddAssign<Nanos> for Instant {
    #[inline]
    fn add_assign(&mut self, length: Nanos) {
        *self = *self + length;
    }
}

impl Sub<Nanos> for Instant {
    type Output = Instant;

    #[inline]
    fn sub(self, length: Nanos) -> Instant {
        Instant(self.0.saturating_sub(length.0))
    }
}

impl Add for Nanos {
    type Output = Nanos;

    #[inline]
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    #[inline]
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Nanos;

    #[inline]
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Nanos {
    type Output = Nanos;

    #[inline]
    fn mul(self, factor: u64) -> Nanos {
        Nanos(self.0.saturating_mul(factor))
    }
}

impl fmt::Display for Nanos {
    /// The way a policy file would write it: the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_forever() {
            return f.write_str("forever");
        }
        let units: [(u64, &str); 5] = [
            (3600 * NANOS_PER_SEC, "h"),
            (60 * NANOS_PER_SEC, "m"),
            (NANOS_PER_SEC, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
        ];
        for (length, unit) in units {
            if length <= self.0 && self.0.is_multiple_of(length) {
                return write!(f, "{}{unit}", self.0 / length);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_far() {
            return f.write_str("never");
        }
        write!(f, "{}.{:09}s", self.0 / NANOS_PER_SEC, self.0 % NANOS_PER_SEC)
    }
}

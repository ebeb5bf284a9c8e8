//! The machine's clock, at any speed.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant as Moment, Sleep};
use tollgate_core::time::Instant;

use super::{Clock, Timer};
use crate::draw::{OutOfRange, within};

/// The machine's clock, by way of tokio: where a runtime's time is paused or simulated, so is this.
///
/// A timer rings up to a millisecond late, for that is the grain of tokio's. Timers need a runtime whose time is enabled.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    began: Moment,
    scale: Scale,
}

/// How many nanoseconds of the model pass in one of the machine, in parts of 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale(u128);

impl SystemClock {
    /// A clock that begins now.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock {
            began: Moment::now(),
            scale: Scale::ONE,
        }
    }

    /// A clock that begins now and runs `scale` times as fast.
    ///
    /// # Errors
    ///
    /// If `scale` is not between a thousandth and a million.
    pub fn scaled(scale: f64) -> Result<SystemClock, OutOfRange> {
        Ok(SystemClock {
            began: Moment::now(),
            scale: Scale::new(scale)?,
        })
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        self.scale.instant(self.began.elapsed())
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(SystemTimer {
            clock: *self,
            at: Instant::FAR,
            sleep: None,
            is_waiting: false,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the date")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

#[derive(Debug)]
struct SystemTimer {
    clock: SystemClock,
    at: Instant,
    /// Made when it is first needed, and used again.
    sleep: Option<Pin<Box<Sleep>>>,
    /// It is set to the instant that is wished for: until it rings, the clock need not be read.
    is_waiting: bool,
}

impl Timer for SystemTimer {
    fn set(&mut self, at: Instant) {
        self.at = at;
        self.is_waiting = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.at.is_far() {
            return Poll::Pending;
        }
        if let Some(sleep) = self.sleep.as_mut().filter(|_| self.is_waiting) {
            ready!(sleep.as_mut().poll(cx));
        }
        while self.clock.now() < self.at {
            let wait = self.clock.scale.duration(self.at);
            let Some(deadline) = wait.and_then(|wait| self.clock.began.checked_add(wait)) else {
                // Beyond what the machine can count to, which is never.
                return Poll::Pending;
            };
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            self.is_waiting = true;
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

impl Scale {
    const BITS: u32 = 32;
    const ONE: Scale = Scale(1 << Scale::BITS);

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 2^22 and 2^52"
    )]
    fn new(scale: f64) -> Result<Scale, OutOfRange> {
        within("time_scale", scale, 1e-3, 1e6, "between 0.001 and 1,000,000")?;
        let parts = scale * 2_f64.powi(32);
        Ok(Scale(u128::from(parts as u64)))
    }

    fn instant(self, elapsed: Duration) -> Instant {
        let nanos = (elapsed.as_nanos() * self.0) >> Scale::BITS;
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The shortest time after which it is `at`; none if that is centuries.
    fn duration(self, at: Instant) -> Option<Duration> {
        if self == Scale::ONE {
            return Some(Duration::from_nanos(at.as_nanos()));
        }
        let nanos = (u128::from(at.as_nanos()) << Scale::BITS).div_ceil(self.0);
        u64::try_from(nanos).ok().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_undone_and_never_early() {
        for scale in [0.001, 0.1, 1.0, 3.0, 7.77, 1000.0, 1e6] {
            let scale = Scale::new(scale).expect("in range");
            for nanos in [0, 1, 2, 999, 1_000_003, 123_456_789_012, 8_536_000_000_000_000] {
                let at = Instant::from_nanos(nanos);
                let duration = scale.duration(at).expect("no centuries");
                assert!(at <= scale.instant(duration), "{scale:?} {at:?}");
                if let Some(before) = duration.checked_sub(Duration::from_nanos(1)) {
                    assert!(scale.instant(before) < at, "{scale:?} {at:?}");
                }
            }
        }
    }

    #[test]
    fn impossible_scales_are_refused() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = SystemClock::scaled(scale).expect_err("out of range");
            assert_eq!(error.to_string(), "`time_scale` must be between 0.001 and 1,000,000");
        }
    }
}

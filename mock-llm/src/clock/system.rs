//! The machine's clock, at any speed.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant as Moment, Sleep};
use tollgate_core::time::Instant;

use super::fine::Fine;
use super::{Clock, Timer};
use crate::draw::{OutOfRange, within};

/// The machine's clock, by way of tokio: where a runtime's time is paused or simulated, so is this.
///
/// A timer rings up to a millisecond late, for that is the grain of tokio's, unless the clock is
/// [precise](SystemClock::precise). Timers need a runtime whose time is enabled.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    began: Moment,
    scale: Scale,
    is_precise: bool,
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
            is_precise: false,
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
            is_precise: false,
        })
    }

    /// The same clock, beginning at the date `at`: before it stands still at [`Instant::EPOCH`].
    ///
    /// So the clocks of several processes of one machine agree, whenever each was started.
    #[must_use]
    pub fn beginning(mut self, at: SystemTime) -> SystemClock {
        let (now, wall) = (Moment::now(), self.wall());
        let began = match at.duration_since(wall) {
            Ok(ahead) => now.checked_add(ahead),
            Err(passed) => now.checked_sub(passed.duration()),
        };
        self.began = began.unwrap_or(now);
        self
    }

    /// When it began, or will begin, as the machine tells the time.
    #[must_use]
    pub fn start(&self) -> Moment {
        self.began
    }

    /// The same clock, whose timers ring within some ten microseconds where the machine can: where time runs fast, the
    /// grain of tokio's would be a long time.
    ///
    /// A timer that is about to ring costs a few calls of the system more; one that is set and not reached costs none.
    /// Its timers need a runtime whose I/O is enabled too, and do not follow a runtime's paused time.
    #[must_use]
    pub fn precise(mut self) -> SystemClock {
        self.is_precise = true;
        self
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
            fine: Last::Unneeded,
            is_waiting: false,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the date")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn began(&self) -> SystemTime {
        let (now, wall) = (Moment::now(), self.wall());
        let began = match now.checked_duration_since(self.began) {
            Some(passed) => wall.checked_sub(passed),
            None => wall.checked_add(self.began.duration_since(now)),
        };
        began.unwrap_or(SystemTime::UNIX_EPOCH)
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
    /// For the last stretch of a precise clock's.
    fine: Last,
}

/// The machine's own timer, made when it is first needed.
#[derive(Debug)]
enum Last {
    Unneeded,
    There(Box<Fine>),
    /// The machine has none.
    Missing,
}

/// How long before its instant the timer of a precise clock turns to the machine's own: tokio's may be this late.
const LAST_STRETCH: Duration = Duration::from_millis(2);

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
            ready!(self.wait(cx, deadline));
        }
        Poll::Ready(())
    }
}

impl SystemTimer {
    /// Waits for `deadline`, or for an earlier moment at which to ask again.
    fn wait(&mut self, cx: &mut Context<'_>, deadline: Moment) -> Poll<()> {
        let mut deadline = deadline;
        if self.clock.is_precise {
            let early = deadline.checked_sub(LAST_STRETCH).unwrap_or(deadline);
            if early <= Moment::now() {
                if let Last::Unneeded = self.fine {
                    self.fine = Fine::new().map_or(Last::Missing, |fine| Last::There(Box::new(fine)));
                }
                if let Last::There(fine) = &mut self.fine {
                    self.is_waiting = false;
                    return fine.poll(cx, deadline);
                }
            } else {
                deadline = early;
            }
        }
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        self.is_waiting = true;
        sleep.as_mut().poll(cx)
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

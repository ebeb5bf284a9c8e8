//! A clock that moves when nothing else can happen.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};
use tollgate_core::time::Instant;

use super::{Clock, Timer};

/// A clock for tests: it stands still while any task can run, and then moves to the next timer, and to no other instant.
///
/// Timers ring one at a time, each followed by all that it sets going, as in the event list of a simulator. Nothing
/// outside the runtime may be waited for: time would move on while a byte is in a socket. Tasks speak over
/// [`tokio::io::duplex`] instead.
///
/// ```
/// use tollgate_core::time::Instant;
/// use tollgate_mock_llm::clock::{Clock as _, ManualClock, sleep_until};
///
/// let clock = ManualClock::new();
/// clock.runtime()?.block_on(async {
///     sleep_until(&clock, Instant::from_secs(3600)).await;
///     assert_eq!(clock.now(), Instant::from_secs(3600));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Mutex<Ahead>>);

/// Where the clock stands, and what it will ring for.
#[derive(Debug, Default)]
struct Ahead {
    now: Instant,
    /// Keeps timers of one instant in the order in which they were set.
    sequence: u64,
    /// Timers that have not rung, and who looks at them.
    timers: BTreeMap<Place, Option<Waker>>,
}

type Place = (Instant, u64);

impl ManualClock {
    /// A clock that stands at [`Instant::EPOCH`].
    #[must_use]
    pub fn new() -> ManualClock {
        ManualClock::default()
    }

    /// A runtime of one thread that moves this clock whenever it has nothing to do.
    ///
    /// # Errors
    ///
    /// If the machine has no means left for a runtime.
    pub fn runtime(&self) -> io::Result<Runtime> {
        let clock = self.clone();
        Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || {
                let _moved = clock.advance();
            })
            .build()
    }

    /// Moves to the next timer that somebody waits for, and rings it. False if there is none.
    #[must_use]
    pub fn advance(&self) -> bool {
        loop {
            let mut ahead = self.lock();
            let Some(((at, _), waiting)) = ahead.timers.pop_first() else {
                return false;
            };
            ahead.now = ahead.now.max(at);
            drop(ahead);
            // One that nobody has looked at since it was set has rung too, but sets nothing going.
            if let Some(waker) = waiting {
                waker.wake();
                return true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        // No call leaves it half changed, so that another test's panic does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(ManualTimer {
            clock: self.clone(),
            place: None,
        })
    }

    /// The seconds since 1970 are those since this clock began.
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.now().as_nanos())
    }
}

#[derive(Debug)]
struct ManualTimer {
    clock: ManualClock,
    /// None if it was never set, or to never. A place that the clock has forgotten has rung.
    place: Option<Place>,
}

impl Timer for ManualTimer {
    fn set(&mut self, at: Instant) {
        self.forget();
        if !at.is_far() {
            let mut ahead = self.clock.lock();
            ahead.sequence += 1;
            let place = (at.max(ahead.now), ahead.sequence);
            ahead.timers.insert(place, None);
            self.place = Some(place);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(place) = self.place else {
            return Poll::Pending;
        };
        let waker = cx.waker().clone();
        // What was there is dropped when the clock is free again: a waker may take a task with it, and that its timers.
        let _earlier = match self.clock.lock().timers.get_mut(&place) {
            None => return Poll::Ready(()),
            Some(waiting) => waiting.replace(waker),
        };
        Poll::Pending
    }
}

impl ManualTimer {
    fn forget(&mut self) {
        if let Some(place) = self.place.take() {
            // Dropped when the clock is free again, as above.
            let _waiting = self.clock.lock().timers.remove(&place);
        }
    }
}

impl Drop for ManualTimer {
    fn drop(&mut self) {
        self.forget();
    }
}

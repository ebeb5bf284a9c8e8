//! Waking at an instant and not a millisecond later.
//!
//! The timers of tokio have a grain of a millisecond, which would be added to every latency that is counted from an intended
//! start. Where there is one, a timer of the kernel is waited for instead: it rings within some ten microseconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::sync::Notify;
use tokio::time::Instant;

/// Wakes whoever waits, in order of time.
#[derive(Debug)]
pub(super) struct Pacer {
    bell: Bell,
    ahead: Mutex<Ahead>,
    /// Somebody wants to be woken before everybody else.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Ahead {
    list: BinaryHeap<Reverse<Wish>>,
    sequence: u64,
    /// What the bell is set to.
    set: Option<Instant>,
}

#[derive(Debug)]
struct Wish {
    at: Instant,
    /// Those of one instant are woken in order.
    sequence: u64,
    waker: Waker,
}

impl PartialEq for Wish {
    fn eq(&self, other: &Wish) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Wish {}

impl PartialOrd for Wish {
    fn partial_cmp(&self, other: &Wish) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wish {
    fn cmp(&self, other: &Wish) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl Wish {
    fn place(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl Pacer {
    /// A pacer of the runtime that this is called in.
    pub(super) fn new() -> io::Result<Pacer> {
        Ok(Pacer {
            bell: Bell::new()?,
            ahead: Mutex::default(),
            sooner: Notify::new(),
        })
    }

    /// Waits until `at`, if that is to come.
    pub(super) async fn until(&self, at: Instant) {
        let mut asked = false;
        poll_fn(|cx| {
            if at <= Instant::now() {
                return Poll::Ready(());
            }
            // A task keeps its waker, so one wish is enough.
            if !asked {
                asked = true;
                self.ask(at, cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Rings for everybody, as long as it is polled.
    pub(super) async fn ring(&self) {
        loop {
            let next = self.wake_due();
            match next {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = self.bell.ring_at(at) => {}
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    /// Wakes whoever is due; says who is next.
    fn wake_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut ahead = self.lock();
        while ahead.list.peek().is_some_and(|wish| wish.0.at <= now) {
            due.extend(ahead.list.pop().map(|wish| wish.0.waker));
        }
        let next = ahead.list.peek().map(|wish| wish.0.at);
        ahead.set = next;
        drop(ahead);
        due.into_iter().for_each(Waker::wake);
        next
    }

    fn ask(&self, at: Instant, waker: Waker) {
        let mut ahead = self.lock();
        ahead.sequence += 1;
        let sequence = ahead.sequence;
        ahead.list.push(Reverse(Wish { at, sequence, waker }));
        let is_sooner = ahead.set.is_none_or(|set| at < set);
        drop(ahead);
        if is_sooner {
            self.sooner.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        // Nothing that panics is done while it is held.
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer of the kernel.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Bell(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Bell {
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe, for the sake of types that let go of their descriptor: an `OwnedFd` does not"
    )]
    fn new() -> io::Result<Bell> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Bell(tokio::io::unix::AsyncFd::new(timer)?))
    }

    async fn ring_at(&self, at: Instant) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        let wait = at.saturating_duration_since(Instant::now());
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            // Zero would be never.
            tv_nsec: i64::from(wait.subsec_nanos()).max(1),
        };
        let spec = Itimerspec {
            it_interval: none,
            it_value: value,
        };
        if timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec).is_err() {
            return tokio::time::sleep_until(at).await;
        }
        let mut count = [0; 8];
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return tokio::time::sleep_until(at).await;
            };
            match ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?)) {
                // An error would be one of ours, and the instant is looked at again anyway.
                Ok(_) => return,
                Err(_would_block) => {}
            }
        }
    }
}

/// The timer of tokio, where the kernel's is not known.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Bell;

#[cfg(not(target_os = "linux"))]
impl Bell {
    #[expect(clippy::unnecessary_wraps, reason = "as its twin")]
    fn new() -> io::Result<Bell> {
        Ok(Bell)
    }

    async fn ring_at(&self, at: Instant) {
        tokio::time::sleep_until(at).await;
    }
}

//! The machine's own timers, for the last stretch of a wait.
//!
//! Tokio's timers have a grain of a millisecond. Linux has timers that are files, and ring within some microseconds;
//! a runtime waits for one as it waits for a socket.

#[cfg(target_os = "linux")]
pub(super) use linux::Fine;
#[cfg(not(target_os = "linux"))]
pub(super) use none::Fine;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::task::{Context, Poll, ready};

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant as Moment;

    /// A timer of the machine.
    #[derive(Debug)]
    pub(in super::super) struct Fine {
        file: AsyncFd<OwnedFd>,
        /// What it was last set to.
        deadline: Option<Moment>,
    }

    impl Fine {
        /// A timer that is not set; none if the machine has none left.
        #[expect(
            deprecated,
            reason = "the file is the timer's own and open as long as it is, and what replaces this is unsafe to call"
        )]
        pub(in super::super) fn new() -> Option<Fine> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let file = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
            Some(Fine {
                file: AsyncFd::with_interest(file, Interest::READABLE).ok()?,
                deadline: None,
            })
        }

        /// Ready when it has rung for `deadline`.
        pub(in super::super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Moment) -> Poll<()> {
            if self.deadline != Some(deadline) && !self.set(deadline) {
                return Poll::Ready(());
            }
            while let Ok(mut guard) = ready!(self.file.poll_read_ready(cx)) {
                // Without a word of how often, it has not rung.
                let read = guard.try_io(|file| Ok(rustix::io::read(file.get_ref(), &mut [0; 8])?));
                if read.is_ok() {
                    break;
                }
            }
            self.deadline = None;
            Poll::Ready(())
        }

        /// False if it cannot be set, or has to ring at once.
        fn set(&mut self, deadline: Moment) -> bool {
            let wait = deadline.saturating_duration_since(Moment::now());
            let (Ok(tv_sec), tv_nsec) = (i64::try_from(wait.as_secs()), i64::from(wait.subsec_nanos())) else {
                return false;
            };
            let once = Itimerspec {
                it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                it_value: Timespec { tv_sec, tv_nsec },
            };
            let is_set =
                !wait.is_zero() && timerfd_settime(self.file.get_ref(), TimerfdTimerFlags::empty(), &once).is_ok();
            self.deadline = is_set.then_some(deadline);
            is_set
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::task::{Context, Poll};

    use tokio::time::Instant as Moment;

    /// A timer that this system does not have.
    #[derive(Debug)]
    pub(in super::super) enum Fine {}

    impl Fine {
        /// There is none.
        pub(in super::super) fn new() -> Option<Fine> {
            None
        }

        /// Cannot be asked.
        pub(in super::super) fn poll(&mut self, _cx: &mut Context<'_>, _deadline: Moment) -> Poll<()> {
            match *self {}
        }
    }
}

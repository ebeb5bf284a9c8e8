//! A job at servers with a queue, and what it says.

use tollgate_core::lifecycle::{AttemptEvent, Status};
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use super::line::Links;
use super::timeline::Mishap;
use super::{Job, Output};

/// A job and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) tag: u64,
    pub(super) arrived: Instant,
    pub(super) usage: Usage,
    pub(super) priority: Priority,
    pub(super) heard: bool,
    pub(super) place: Place,
    /// Nominal; a slowdown makes it longer.
    pub(super) service: Nanos,
    pub(super) mishap: Option<Mishap>,
    pub(super) links: Links,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Served {
        until: Instant,
    },
    Shared,
    /// Served, and the answer held back.
    Held {
        until: Instant,
    },
    /// An error is on its way.
    Rebuff {
        status: Status,
        until: Instant,
    },
    /// Nothing more will ever come.
    Silence,
}

impl Work {
    pub(super) fn new(job: &Job, now: Instant, place: Place) -> Work {
        Work {
            tag: job.tag,
            arrived: now,
            usage: Usage::default(),
            priority: Priority::Normal,
            heard: true,
            place,
            service: Nanos::ZERO,
            mishap: None,
            links: Links::FREE,
        }
    }

    #[inline]
    pub(super) fn say(&self, event: AttemptEvent, out: &mut Vec<Output>) {
        if self.heard {
            out.push(Output::Progress { tag: self.tag, event });
        }
    }

    #[inline]
    pub(super) fn open(&self, status: Status, out: &mut Vec<Output>) {
        self.say(AttemptEvent::Connected, out);
        self.say(
            AttemptEvent::Open {
                status,
                code: None,
                retry_after: None,
            },
            out,
        );
    }

    /// The whole answer at once.
    #[inline]
    pub(super) fn answer(&self, out: &mut Vec<Output>) {
        if self.heard {
            out.push(Output::Answer {
                tag: self.tag,
                usage: self.usage,
            });
        }
    }
}

//! Backends: what a provider or a serving engine does with an attempt.
//!
//! Whoever runs a backend owns the clock and the only event heap. The backend says what happens now
//! ([`Output::Progress`]) and when it wants to be called again ([`Output::WakeAt`]); it costs a few wake-ups an
//! attempt, never one a token. How many tokens a running answer has sent is computed when somebody asks
//! ([`Backend::progress`]).
//!
//! | Law | Test |
//! |---|---|
//! | Each job ends exactly once, or is cancelled, or a fault has silenced it; nothing follows its end. | `every_job_ends_once` |
//! | Keys that have lost their meaning, and calls before their time, change nothing. | `stale_wakes_change_nothing`, `a_stale_key_is_silent` |
//! | The same calls have the same consequences. | `equal_steps_equal_runs` |
//! | What was sent only grows, and never runs ahead of the end. | `progress_only_grows` |
//! | Each token comes when it was said that it would, unless something happens meanwhile. | `tokens_come_when_they_are_due` |
//! | A fault that is injected, and cleared, is a fault that was scheduled, and ends. | `an_injected_fault_is_a_scheduled_one` |
//! | Busy time is the time of what ran, to the nanosecond. | `busy_is_the_time_of_running_answers`, `busy_is_the_work_done` |
//!
//! An instant belongs to the fault that begins with it, and no longer to one that ends with it. What each fault does to
//! attempts in it and to those that run as it begins and ends stands at [`FaultKind`], and is tested by name.
//!
//! The delay of the network is not part of a backend. Neither is any decision of the gateway.

mod answer;
mod any;
mod api;
mod busy;
mod fault;
#[cfg(feature = "file")]
pub mod file;
mod line;
mod load_factor;
mod profile;
mod queue;
mod quota;
mod reception;
mod sharing;
mod slab;
mod spec;
mod stream;
mod timeline;
mod work;

use tollgate_core::dice::RequestDice;
use tollgate_core::lifecycle::{AttemptEvent, Status};
use tollgate_core::limit::Standing;
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use crate::draw::OutOfRange;

pub use any::AnyBackend;
pub use api::Api;
pub use fault::{FaultKind, FaultSpec};
pub use profile::{Profile, QuotaProfile};
pub use queue::Queue;
pub use quota::{Count, QuotaAlgorithm, QuotaSpec};
pub use spec::{ApiSpec, BackendSpec, Discipline, Kind, LoadFactor, OnCancel, QueueSpec, Servers};

/// A backend as a state machine.
///
/// All calls share one time line: an instant before an earlier one counts as the earlier one. `out` is only appended to.
pub trait Backend {
    /// An attempt arrives. Its first consequences may come at once; a refusal always does.
    fn submit(&mut self, now: Instant, job: Job, out: &mut Vec<Output>) -> JobId;

    /// The instant of an [`Output::WakeAt`] has come. Keys that have lost their meaning do nothing; a call before the
    /// instant asked for repeats the request.
    fn wake(&mut self, now: Instant, key: WakeKey, out: &mut Vec<Output>);

    /// The gateway hung up. Nothing more is said about the job, whether or not work on it goes on.
    fn cancel(&mut self, now: Instant, job: JobId, out: &mut Vec<Output>);

    /// What has been sent for `job` up to `now`; none once it has ended or was cancelled.
    ///
    /// To be read before a timeout or a cancel is delivered to the gateway, so that a few events an attempt do not
    /// kill a long stream: first [`AttemptEvent::Connected`] if [`Sent::connected`], then the tokens in one lump.
    fn progress(&self, now: Instant, job: JobId) -> Option<Sent>;

    /// When the next token of a streamed answer after `now` is due, if nothing happens until then: [`progress`](Backend::progress)
    /// has it from that instant on, and no earlier. None if the answer does not stream, or has no more tokens to come.
    ///
    /// For servers, which send every token on its own. The first and the last come with events; so does
    /// [`Output::Repaced`] where the rest may come earlier than was said.
    fn next_token(&self, now: Instant, job: JobId) -> Option<Instant>;

    /// Something goes wrong that no scenario has foreseen. At [`FaultSpec::at`], or at once if that has passed, it does to
    /// attempts and to running answers what a scheduled fault does.
    ///
    /// # Errors
    ///
    /// If a fault cannot have one of its numbers, or if there are too many.
    fn inject(&mut self, now: Instant, fault: FaultSpec, out: &mut Vec<Output>) -> Result<(), OutOfRange>;

    /// Ends every fault, scheduled ones too, and forgets those to come. Running answers feel it as any fault's end.
    fn clear(&mut self, now: Instant, out: &mut Vec<Output>);

    /// Where each quota stands, as a provider says it in the headers of every answer.
    fn standings(&self, now: Instant) -> Vec<(Count, Standing)>;

    /// What an active health check meets at `now`. It costs nothing and changes nothing.
    fn probe(&self, now: Instant) -> Probe;

    /// Busy servers, or running answers where there are no servers, integrated over the time up to `now`: server-
    /// nanoseconds, exact. Over elapsed time and [`capacity`](Backend::capacity) it is the utilization.
    fn busy(&self, now: Instant) -> u128;

    /// How many servers there are, if their number is bounded.
    fn capacity(&self) -> Option<u32>;

    /// Jobs that take up memory: running, waiting, silent, or not yet refused.
    fn jobs(&self) -> usize;
}

/// An attempt, as the backend sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// The driver's name for the attempt, given back in [`Output::Progress`].
    pub tag: u64,
    /// The dice of its request.
    pub dice: RequestDice,
    /// Which attempt of the request; each has draws of its own.
    pub attempt: u32,
    /// Tokens of the prompt.
    pub input: u32,
    /// How many of them the provider finds in its cache; 0 where nothing is known.
    pub cached: u32,
    /// Tokens that the answer will have, at most `max_output`.
    pub output: u32,
    /// The most that the client declared, if it declared anything.
    pub max_output: Option<u32>,
    /// Whether tokens are sent as they come, or all at the end.
    pub stream: bool,
    /// How urgent it is, to backends that care.
    pub priority: Priority,
}

/// A job of one backend. An id whose job has ended means nothing, and does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What a backend wanted to be woken for. Only the latest wish for a job counts; older keys do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WakeKey {
    pub(crate) slot: u32,
    pub(crate) stamp: u32,
}

/// A consequence of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something happened to an attempt, at the instant of the call.
    ///
    /// The last event of a job is [`AttemptEvent::Finish`], [`AttemptEvent::Fail`], or an [`AttemptEvent::Open`] whose
    /// status is not 200. Each job has exactly one of them or one [`Output::Answer`], unless it is cancelled or goes silent
    /// for ever.
    Progress {
        /// The job's [`tag`](Job::tag).
        tag: u64,
        /// What happened.
        event: AttemptEvent,
    },
    /// The whole answer at once, at the instant of the call: the connection stands, the status is 200, and the first token
    /// and the last have come. Nothing follows.
    Answer {
        /// The job's [`tag`](Job::tag).
        tag: u64,
        /// What it has used.
        usage: Usage,
    },
    /// A stream breaks off: [`AttemptEvent::Fail`] follows, and this is what had been sent in all.
    Sent {
        /// The job's [`tag`](Job::tag).
        tag: u64,
        /// What was sent until here.
        sent: Sent,
    },
    /// The rest of a streamed answer comes faster or more slowly from now on: what [`Backend::next_token`] has said of it
    /// holds no longer.
    Repaced {
        /// The job's [`tag`](Job::tag).
        tag: u64,
    },
    /// Call [`Backend::wake`] with `key` at `at`.
    WakeAt {
        /// When.
        at: Instant,
        /// What for.
        key: WakeKey,
    },
}

/// What has been sent for a running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether the connection stands. It may, and yet no event has said so: events come with the answer.
    pub connected: bool,
    /// Tokens sent so far, the first one included; 0 before it, and until the end of an answer that comes whole.
    pub tokens: u32,
    /// When the last of them was sent; without any, when the job arrived.
    pub last: Instant,
}

/// What a health check meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An answer.
    Answer {
        /// After how long.
        after: Nanos,
        /// Its status.
        status: Status,
    },
    /// No answer, ever.
    Silence,
    /// No connection.
    Refused,
}

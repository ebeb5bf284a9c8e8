//! An attempt at an LLM service, from its arrival to its end.

use tollgate_core::lifecycle::Status;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use super::quota::Charge;
use super::stream::Segment;
use super::timeline::{BACKGROUND, Mishap, error_latency, roll};
use super::{ApiSpec, Job, Sent};

/// An attempt on its way to an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) tag: u64,
    pub(super) arrived: Instant,
    pub(super) usage: Usage,
    pub(super) stream: bool,
    /// Whether anybody still listens.
    pub(super) heard: bool,
    pub(super) charge: Option<Charge>,
    pub(super) step: Step,
    /// When the step ends.
    pub(super) until: Instant,
    /// The tokens of the step, or of the last that had any.
    pub(super) segment: Segment,
    /// Time for the tokens that come after this step.
    pub(super) rest: Nanos,
    pub(super) mishap: Option<Mishap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An error is on its way.
    Rebuff { status: Status },
    /// Nothing more will ever come.
    Silence,
    /// The first token is on its way.
    Prefill,
    /// The whole answer is on its way; its first token would be there at `first`.
    Whole { first: Instant },
    /// Tokens come.
    Decode,
    /// Tokens have stopped coming, for a while.
    Pause,
}

impl Answer {
    /// Tokens that the provider has made, whether or not they were sent.
    pub(super) fn produced(&self, now: Instant) -> u32 {
        match self.step {
            Step::Rebuff { .. } | Step::Prefill => 0,
            Step::Whole { first } if now < first => 0,
            Step::Whole { .. } | Step::Decode | Step::Pause | Step::Silence => self.segment.sent(now).0,
        }
    }

    /// Whether tokens have reached the client.
    pub(super) fn has_begun(&self) -> bool {
        self.stream && matches!(self.step, Step::Decode | Step::Pause)
    }

    /// When the next token after `now` will reach the client, if nothing happens until then.
    pub(super) fn next_token(&self, now: Instant) -> Option<Instant> {
        if !self.stream {
            return None;
        }
        match self.step {
            Step::Rebuff { .. } | Step::Silence | Step::Whole { .. } => None,
            Step::Prefill => Some(self.until),
            Step::Decode => self.segment.next(now).or_else(|| match self.mishap {
                Some(Mishap::Pause { tokens, pause }) => self.resumes(self.until + pause, tokens),
                Some(Mishap::Cut { .. }) | None => None,
            }),
            Step::Pause => self.resumes(self.until, self.segment.sent(now).0),
        }
    }

    /// The first token after a pause that ends at `until`.
    fn resumes(&self, until: Instant, tokens: u32) -> Option<Instant> {
        if until.is_far() {
            return None;
        }
        Segment::new(until, tokens, until + self.rest, self.usage.output).next(until)
    }

    pub(super) fn sent(&self, now: Instant) -> Sent {
        let streams = self.stream && matches!(self.step, Step::Decode | Step::Pause | Step::Silence);
        let (tokens, last) = if streams {
            self.segment.sent(now)
        } else {
            (0, self.arrived)
        };
        Sent {
            connected: true,
            tokens,
            last,
        }
    }
}

impl Step {
    /// An error or a silence that comes over an attempt for no visible reason, and after how long.
    pub(super) fn background(spec: &ApiSpec, job: &Job) -> Option<(Step, Nanos)> {
        if spec.error_share + spec.hang_share == 0.0 {
            return None;
        }
        let mut rng = roll(job.dice, job.attempt, BACKGROUND);
        let chance = rng.uniform();
        if chance < spec.error_share {
            Some((Step::Rebuff { status: 500 }, error_latency(&mut rng)))
        } else if chance < spec.error_share + spec.hang_share {
            Some((Step::Silence, Nanos::FOREVER))
        } else {
            None
        }
    }

    /// Whether the provider works on it.
    pub(super) fn is_running(self) -> bool {
        match self {
            Step::Prefill | Step::Whole { .. } | Step::Decode | Step::Pause => true,
            Step::Rebuff { .. } | Step::Silence => false,
        }
    }
}

/// What `part` of `whole` equal steps take of `length`.
pub(super) fn share_of(length: Nanos, part: u32, whole: u32) -> Nanos {
    if part == whole || length.is_forever() {
        return length;
    }
    let nanos = u128::from(length.as_nanos()) * u128::from(part) / u128::from(whole);
    Nanos::from_nanos(u64::try_from(nanos).expect("a part is no longer than the whole"))
}

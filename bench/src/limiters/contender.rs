//! Who is compared.

use core::num::NonZeroU32;

use tollgate_core::limit::{
    FixedWindow, Gcra, LeakyBucket, Limiter, SegmentedWindow, SlidingLog, SlidingWindow, TokenBucket,
};
use tollgate_core::policy::{Algorithm, Quota};
use tollgate_core::time::Nanos;

use super::arrivals::Arrival;
use super::findings::{Findings, judge};

/// A limiter with its numbers.
#[derive(Clone, Debug)]
pub struct Contender {
    /// What a policy calls it, and what it does besides refusing.
    pub name: &'static str,
    algorithm: Algorithm,
    /// The longest delay that it imposes instead of refusing.
    max_delay: Nanos,
}

/// Something to do with a limiter, whichever it is.
pub(super) trait Visit {
    /// What comes of it.
    type Found;

    /// Does it.
    fn visit<L: Limiter>(&self, limiter: &L) -> Self::Found;
}

impl Contender {
    /// Every limiter of a rate, with this quota.
    #[must_use]
    pub fn all(quota: Quota) -> Vec<Contender> {
        let refuses = |name, algorithm| Contender {
            name,
            algorithm,
            max_delay: Nanos::ZERO,
        };
        let delays = |name, algorithm| Contender {
            name,
            algorithm,
            max_delay: quota.period,
        };
        vec![
            refuses("gcra", Algorithm::Gcra(quota)),
            refuses("token-bucket", Algorithm::TokenBucket(quota)),
            refuses("leaky-bucket", Algorithm::LeakyBucket(quota)),
            refuses("fixed-window", Algorithm::FixedWindow(quota)),
            refuses(
                "segmented-window of 6",
                Algorithm::SegmentedWindow { quota, segments: SIX },
            ),
            refuses("sliding-window", Algorithm::SlidingWindow(quota)),
            refuses("sliding-log", Algorithm::SlidingLog(quota)),
            delays("gcra, delaying", Algorithm::Gcra(quota)),
            delays("leaky-bucket, delaying", Algorithm::LeakyBucket(quota)),
        ]
    }

    /// What it does with each of these sequences of arrivals; of several, the one with the worst window counts.
    #[must_use]
    pub fn judge(&self, quota: Quota, sequences: &[Vec<Arrival>]) -> Findings {
        let judged = sequences.iter().map(|arrivals| self.visit(&Judge { quota, arrivals }));
        let worse = |one: Findings, other: Findings| {
            if one.worst_window < other.worst_window {
                other
            } else {
                one
            }
        };
        judged.reduce(worse).unwrap_or_default()
    }

    /// Bytes that a busy key has beside its state, at most.
    pub(super) fn beside(&self) -> u64 {
        match self.algorithm {
            Algorithm::SegmentedWindow { segments, .. } => u64::from(segments.get()) * SlidingLog::ENTRY,
            Algorithm::SlidingLog(quota) => quota.amount.get() * SlidingLog::ENTRY,
            Algorithm::Gcra(_)
            | Algorithm::TokenBucket(_)
            | Algorithm::LeakyBucket(_)
            | Algorithm::FixedWindow(_)
            | Algorithm::SlidingWindow(_)
            | Algorithm::Permits(_)
            | Algorithm::Adaptive(..)
            | Algorithm::Own(_) => 0,
        }
    }

    /// Does something with its limiter.
    pub(super) fn visit<V: Visit>(&self, visit: &V) -> V::Found {
        match self.algorithm {
            Algorithm::Gcra(quota) => visit.visit(&Gcra::new(quota, self.max_delay)),
            Algorithm::TokenBucket(quota) => visit.visit(&TokenBucket::new(quota, self.max_delay)),
            Algorithm::LeakyBucket(quota) if self.max_delay == Nanos::ZERO => visit.visit(&LeakyBucket::meter(quota)),
            Algorithm::LeakyBucket(quota) => visit.visit(&LeakyBucket::shaper(quota, self.max_delay)),
            Algorithm::FixedWindow(quota) => visit.visit(&FixedWindow::new(quota)),
            Algorithm::SegmentedWindow { quota, segments } => visit.visit(&SegmentedWindow::new(quota, segments)),
            Algorithm::SlidingLog(quota) => visit.visit(&SlidingLog::new(quota)),
            Algorithm::SlidingWindow(quota) => visit.visit(&SlidingWindow::new(quota)),
            Algorithm::Permits(_) | Algorithm::Adaptive(..) => unreachable!("permits have no rate to compare"),
            Algorithm::Own(own) => visit.visit(&own),
        }
    }
}

/// Segments of the window that is compared: enough to tell it from a fixed one.
const SIX: NonZeroU32 = NonZeroU32::new(6).expect("not zero");

struct Judge<'a> {
    quota: Quota,
    arrivals: &'a [Arrival],
}

impl Visit for Judge<'_> {
    type Found = Findings;

    fn visit<L: Limiter>(&self, limiter: &L) -> Findings {
        judge(limiter, self.quota, self.arrivals)
    }
}

//! Who is compared.

use tollgate_core::limit::{FixedWindow, Gcra, Limiter, TokenBucket};
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
            refuses("fixed-window", Algorithm::FixedWindow(quota)),
            delays("gcra, delaying", Algorithm::Gcra(quota)),
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

    /// Does something with its limiter.
    pub(super) fn visit<V: Visit>(&self, visit: &V) -> V::Found {
        match self.algorithm {
            Algorithm::Gcra(quota) => visit.visit(&Gcra::new(quota, self.max_delay)),
            Algorithm::TokenBucket(quota) => visit.visit(&TokenBucket::new(quota, self.max_delay)),
            Algorithm::FixedWindow(quota) => visit.visit(&FixedWindow::new(quota)),
            Algorithm::Permits(_) => unreachable!("permits have no rate to compare"),
        }
    }
}

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

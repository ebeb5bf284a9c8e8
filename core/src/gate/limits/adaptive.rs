//! The limits that adapt: kept apart from those that do not, which are asked more often and need less.

use crate::dice::Rng;
use crate::id::KeyHash;
use crate::limit::{Adaptive, Aimd, EnvoyGradient, Gradient2, Limiter, Sample, Vegas, Windowed};
use crate::memory::{Keyed, Memory, Place, Slot};
use crate::policy::{Algorithm, Bounds};
use core::num::NonZeroU32;

/// An adaptive limit with the table of its states.
pub(super) struct AdaptiveLimit<M: Memory> {
    pub(super) law: AdaptiveLaw<M>,
    /// The limit of the key that was sampled last.
    latest: M::Word<u64>,
}

/// A law and the table of its states: a closed set, as all limits are.
pub(super) enum AdaptiveLaw<M: Memory> {
    Aimd(Adaptive<Aimd>, M::Table<State<Aimd>>),
    Vegas(Adaptive<Windowed<Vegas>>, M::Table<State<Windowed<Vegas>>>),
    Gradient(Adaptive<Windowed<Gradient2>>, M::Table<State<Windowed<Gradient2>>>),
    EnvoyGradient(Adaptive<EnvoyGradient>, M::Table<State<EnvoyGradient>>),
}

type State<L> = <Adaptive<L> as Limiter>::State;

/// Runs `$body` with the limiter and table of whichever adaptive law it is.
macro_rules! with_adaptive_law {
    ($law:expr, $limiter:ident, $table:ident => $body:expr) => {
        match $law {
            AdaptiveLaw::Aimd($limiter, $table) => $body,
            AdaptiveLaw::Vegas($limiter, $table) => $body,
            AdaptiveLaw::Gradient($limiter, $table) => $body,
            AdaptiveLaw::EnvoyGradient($limiter, $table) => $body,
        }
    };
}

pub(super) use with_adaptive_law;

impl<M: Memory> AdaptiveLimit<M> {
    /// The law of `algorithm`; none if that does not adapt.
    pub(super) fn new(algorithm: Algorithm, keys: NonZeroU32) -> Option<AdaptiveLimit<M>> {
        let (law, bounds): (_, Bounds) = match algorithm {
            Algorithm::Aimd(bounds) => {
                let law = Adaptive::new(Aimd::new(bounds));
                (AdaptiveLaw::Aimd(law, Keyed::new(keys)), bounds)
            }
            Algorithm::Vegas(bounds) => {
                let law = Adaptive::new(Windowed::new(Vegas::new(bounds)));
                (AdaptiveLaw::Vegas(law, Keyed::new(keys)), bounds)
            }
            Algorithm::Gradient(bounds) => {
                let law = Adaptive::new(Windowed::new(Gradient2::new(bounds)));
                (AdaptiveLaw::Gradient(law, Keyed::new(keys)), bounds)
            }
            Algorithm::EnvoyGradient(bounds) => {
                let law = Adaptive::new(EnvoyGradient::new(bounds));
                (AdaptiveLaw::EnvoyGradient(law, Keyed::new(keys)), bounds)
            }
            Algorithm::Gcra(_) | Algorithm::TokenBucket(_) | Algorithm::FixedWindow(_) | Algorithm::Permits(_) => {
                return None;
            }
        };
        let latest = Slot::new(u64::from(bounds.initial.get()));
        Some(AdaptiveLimit { law, latest })
    }

    /// A request of `key` has fared so.
    pub(super) fn sample(&self, key: KeyHash, place: Place, sample: Sample, prompt: u32, rng: Rng) {
        let limit = with_adaptive_law!(&self.law, limiter, table => table.amend(
            key,
            place,
            |state| limiter.is_idle(state, sample.now),
            |state| limiter.observe(state, sample, prompt, &mut rng.clone()),
        ));
        self.latest.update(|latest| *latest = u64::from(limit));
    }

    /// The limit of the key that was sampled last; of no key yet, the initial one.
    pub(super) fn latest(&self) -> u32 {
        self.latest
            .read(|latest| u32::try_from(*latest).expect("written from 32 bits"))
    }
}

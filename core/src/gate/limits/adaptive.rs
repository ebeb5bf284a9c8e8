//! The limits that adapt: kept apart from those that do not, which are asked more often and need less.

use core::num::NonZeroU32;

use crate::dice::Rng;
use crate::id::KeyHash;
use crate::limit::{Adaptive, Aimd, EnvoyGradient, Gradient2, Limiter, Sample, Vegas, Windowed};
use crate::memory::{Keyed, Memory, Place, Slot};
use crate::policy::{AdaptiveKind, Bounds};

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
    /// The law of `kind`, for so many keys.
    pub(super) fn new(kind: AdaptiveKind, bounds: Bounds, keys: NonZeroU32) -> AdaptiveLimit<M> {
        let law = match kind {
            AdaptiveKind::Aimd => AdaptiveLaw::Aimd(Adaptive::new(Aimd::new(bounds)), Keyed::new(keys)),
            AdaptiveKind::Vegas => {
                let law = Windowed::new(Vegas::new(bounds));
                AdaptiveLaw::Vegas(Adaptive::new(law), Keyed::new(keys))
            }
            AdaptiveKind::Gradient => {
                let law = Windowed::new(Gradient2::new(bounds));
                AdaptiveLaw::Gradient(Adaptive::new(law), Keyed::new(keys))
            }
            AdaptiveKind::EnvoyGradient => {
                let law = EnvoyGradient::new(bounds);
                AdaptiveLaw::EnvoyGradient(Adaptive::new(law), Keyed::new(keys))
            }
        };
        let latest = Slot::new(u64::from(bounds.initial.get()));
        AdaptiveLimit { law, latest }
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

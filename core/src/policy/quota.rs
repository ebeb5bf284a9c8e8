//! Limits: an algorithm, its numbers, and what is counted per key.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroU64};

use super::Match;
use crate::limit::Own;
use crate::time::Nanos;
use crate::usage::Unit;

/// A configured limiter with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What refusals, metrics and headers call it.
    pub name: String,
    /// How it counts.
    pub algorithm: Algorithm,
    /// What it counts.
    pub unit: Unit,
    /// What it is counted per; empty: one for all.
    pub per: Vec<Partition>,
    /// Which requests it applies to.
    pub when: Match,
    /// What happens to a request that would have to wait.
    pub on_wait: OnWait,
    /// What happens to reserved units that were not used.
    pub refund: Refund,
    /// Keys with a state of their own; further ones share one overflow key.
    pub max_keys: NonZeroU32,
    /// Where its state lives.
    pub store: Store,
    /// Output tokens assumed of a request that names no maximum.
    pub output_default: u32,
    /// Whether what answers of the same tenant and model were like is assumed instead, once there are any; see
    /// [`Limit::learns`].
    pub learn: bool,
}

impl Limit {
    /// Whether it assumes what was learned. One whose state lives elsewhere does not: there, nobody knows.
    #[must_use]
    #[inline]
    pub fn learns(&self) -> bool {
        self.learn && self.store.is_local()
    }
}

/// Units per length of time, and how many of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Units per `period`.
    pub amount: NonZeroU64,
    /// The length in which `amount` units are allowed; never zero.
    pub period: Nanos,
    /// Most units allowed at once.
    pub burst: NonZeroU64,
}

/// The algorithms that limit. To those that count windows, the `burst` of their quota means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The generic cell rate algorithm.
    Gcra(Quota),
    /// A bucket of units, refilled continuously.
    TokenBucket(Quota),
    /// A bucket that leaks: a meter, or a shaper if the limit delays.
    LeakyBucket(Quota),
    /// A counter per aligned window.
    FixedWindow(Quota),
    /// A counter for each segment of a window, the oldest dropped whole.
    SegmentedWindow {
        /// What the window grants.
        quota: Quota,
        /// How many segments it is cut into.
        segments: NonZeroU32,
    },
    /// When each unit was taken.
    SlidingLog(Quota),
    /// Two aligned windows, the former weighed by how much of it still counts.
    SlidingWindow(Quota),
    /// So many units in flight.
    Permits(NonZeroU32),
    /// One that a program brings; no file can name it.
    Own(Own),
    /// So many requests in flight, as many as they fare well with.
    Adaptive(AdaptiveKind, Bounds),
}

/// What an adaptive limit follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdaptiveKind {
    /// Drops.
    Aimd,
    /// How many of what is in flight wait.
    Vegas,
    /// The gradient of latency, over its long average.
    Gradient,
    /// The gradient of latency, over one that is measured now and then.
    EnvoyGradient,
}

/// Between what an adaptive limit moves, and where it begins; `min <= initial <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Where it begins.
    pub initial: NonZeroU32,
    /// The smallest it can be.
    pub min: NonZeroU32,
    /// The largest it can be.
    pub max: NonZeroU32,
}

impl Bounds {
    /// As AIMD is published.
    pub const AIMD: Bounds = Bounds::of(20, 20, 200);
    /// As Vegas is.
    pub const VEGAS: Bounds = Bounds::of(20, 1, 1000);
    /// As Gradient2 is.
    pub const GRADIENT: Bounds = Bounds::of(20, 20, 200);
    /// As Envoy's controller is.
    pub const ENVOY_GRADIENT: Bounds = Bounds::of(3, 3, 1000);

    /// As what `kind` follows is published.
    #[must_use]
    pub const fn published(kind: AdaptiveKind) -> Bounds {
        match kind {
            AdaptiveKind::Aimd => Bounds::AIMD,
            AdaptiveKind::Vegas => Bounds::VEGAS,
            AdaptiveKind::Gradient => Bounds::GRADIENT,
            AdaptiveKind::EnvoyGradient => Bounds::ENVOY_GRADIENT,
        }
    }

    const fn of(initial: u32, min: u32, max: u32) -> Bounds {
        const WHOLE: &str = "a published bound is not zero";
        Bounds {
            initial: NonZeroU32::new(initial).expect(WHOLE),
            min: NonZeroU32::new(min).expect(WHOLE),
            max: NonZeroU32::new(max).expect(WHOLE),
        }
    }
}

impl Algorithm {
    /// The most units that can be taken at once.
    #[must_use]
    pub const fn most(self) -> u64 {
        match self {
            Algorithm::Gcra(quota) | Algorithm::TokenBucket(quota) | Algorithm::LeakyBucket(quota) => quota.burst.get(),
            Algorithm::FixedWindow(quota)
            | Algorithm::SegmentedWindow { quota, .. }
            | Algorithm::SlidingLog(quota)
            | Algorithm::SlidingWindow(quota) => quota.amount.get(),
            Algorithm::Permits(most) => most.get() as u64,
            Algorithm::Own(own) => own.most(),
            Algorithm::Adaptive(_, bounds) => bounds.max.get() as u64,
        }
    }
}

/// What a limit is counted per.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partition {
    /// The tenant.
    Tenant,
    /// The model that was asked for.
    Model,
    /// The key that was shown.
    Key,
    /// The tenant's role.
    Role,
    /// The tenant's region.
    Region,
    /// The route that matched.
    Route,
    /// The path of the request.
    Path,
    /// A header of the request, by its name in lower case.
    Header(String),
    /// A claim of the client's token.
    Claim(String),
    /// The client's address.
    ClientIp,
}

/// What happens to a request that would have to wait for units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnWait {
    /// It is refused, with the exact time to come back.
    #[default]
    Refuse,
    /// It is delayed by at most so much, and refused beyond.
    Delay {
        /// The longest delay.
        most: Nanos,
    },
}

/// What happens to reserved units that were not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refund {
    /// They come back, never above a full burst.
    #[default]
    Full,
    /// They are gone.
    None,
}

/// Where the state of a limit lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// In the process, exact.
    #[default]
    Local,
    /// In the process, and each lane takes up to so many units of a key at once: faster for keys that every thread
    /// asks about, and exact but for one such lease for each lane.
    Leased {
        /// Most units that a lane holds of a key.
        most: NonZeroU32,
    },
    /// Elsewhere, asked once a request: exact for many gateways, one round trip.
    Strict {
        /// How long to wait for its answer.
        deadline: Nanos,
        /// What to do without one.
        on_outage: OnOutage,
    },
}

impl Store {
    /// Whether it is in the process.
    #[must_use]
    #[inline]
    pub const fn is_local(self) -> bool {
        match self {
            Store::Local | Store::Leased { .. } => true,
            Store::Strict { .. } => false,
        }
    }
}

/// What to do when a remote limit does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// Fall back to a state in the process.
    #[default]
    LocalShare,
    /// Admit.
    Allow,
    /// Refuse.
    Refuse,
}

//! Pools of interchangeable endpoints.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::ops::Range;

use super::{Balance, BreakerKind, Capability, Needs, Probe, QueueShape, SlowStart, Throttle};
use crate::id::{EndpointId, PoolId, ScopeId};
use crate::usage::Rates;

/// Interchangeable endpoints, balanced together.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its endpoints: positions in the policy's list.
    pub endpoints: Range<u16>,
    /// How one of them is picked.
    pub balance: Balance,
    /// How one that comes back is given its share again; none: at once.
    pub slow_start: Option<SlowStart>,
    /// When one of them is ejected for failing.
    pub breaker: BreakerKind,
    /// Share of healthy endpoints below which health is ignored, 0 to 1.
    pub panic_below: f32,
    /// Active health checks.
    pub probe: Option<Probe>,
    /// Which share of its requests is not even tried; none: all are.
    pub throttle: Option<Throttle>,
    /// Who may wait for a permit when all are taken, and who is next.
    pub queue: QueueShape,
}

impl Pool {
    /// How many endpoints it has.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether it has none, which a checked policy rules out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Its endpoint at `index`.
    #[must_use]
    #[inline]
    pub fn endpoint(&self, index: usize) -> EndpointId {
        EndpointId(self.endpoints.start + EndpointId::at(index).0)
    }
}

/// One thing that can serve an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name; in simulation, the backend of this name.
    pub name: String,
    /// The pool it belongs to.
    pub pool: PoolId,
    /// Where it is, in production.
    pub url: Option<String>,
    /// The wire dialect.
    pub provider: String,
    /// What it calls the model.
    pub model: Option<String>,
    /// Environment variables that hold its keys.
    pub api_key_env: Vec<String>,
    /// Where it is.
    pub region: Option<RegionId>,
    /// Its share of what its pool serves, beside the weights of the others: 1 to [`Endpoint::MOST_WEIGHT`].
    ///
    /// Only some balancers look at it.
    pub weight: NonZeroU32,
    /// 0, or which backup it is: used while no endpoint of a lower tier is available.
    pub tier: u8,
    /// Most attempts in flight; none: unbounded.
    pub max_in_flight: Option<NonZeroU32>,
    /// What its tokens cost.
    pub price: Option<Price>,
    /// What it can do.
    pub can: Capability,
    /// Whom it shares an account with.
    pub scope: ScopeId,
}

impl Endpoint {
    /// The largest weight: sums of as many as there can be fit 32 bits, in thousandths 64.
    pub const MOST_WEIGHT: u32 = 1_000;

    /// Whether it is able and allowed to serve a request with these `needs`.
    #[must_use]
    #[inline]
    pub fn can_serve(&self, needs: &Needs) -> bool {
        let there = needs.region.is_none() || needs.region == self.region;
        there && self.can.meets(needs)
    }
}

/// A region of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionId(pub u16);

/// Prices in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the part of the prompt that was cached.
    pub cached_input: f64,
    /// Of the answer.
    pub output: f64,
}

impl Price {
    /// The same a token, in the integers that limits and reports count with. What was cached is not told from the rest.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates {
            input: a_token(self.input),
            output: a_token(self.output),
        }
    }
}

/// Of a price for a million tokens in dollars that for one in millionths of a millionth.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and a checked price is neither negative nor above a million"
)]
fn a_token(price: f64) -> u64 {
    (price * 1e6 + 0.5) as u64
}

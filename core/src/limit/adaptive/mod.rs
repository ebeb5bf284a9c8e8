//! Adaptive limits: how many requests may be in flight, learned from how they fare.
//!
//! A fixed limit is right for the day on which it was measured. An adaptive one looks at each answer: while latency
//! stays what it is without a queue there is room for more, and when it grows somebody is waiting. A
//! [`ConcurrencyLaw`] turns what was seen into a limit; [`Adaptive`] admits by it, as
//! [`Permits`](super::Permits) do by a fixed one.
//!
//! | Adaptive law | From |
//! |---|---|
//! | [`Aimd`] | Chiu and Jain 1989; Netflix `AIMDLimit` |
//! | [`Vegas`], in [`Windowed`] | Brakmo and Peterson 1995; Netflix `VegasLimit` |
//! | [`Gradient2`], in [`Windowed`] | Netflix `Gradient2Limit`, `WindowedLimit` |
//! | [`EnvoyGradient`] | Envoy's adaptive concurrency filter |
//!
//! # What they are fed
//!
//! One sample a request, and never the length of an answer: how long an answer takes is the prompt's doing. A streamed
//! answer is sampled at its first token, with the time since the limits let it in, adjusted for the length of its prompt
//! (see [`Prompts`]). An answer that comes whole is sampled without a latency: only [`Aimd`] learns from it. A request
//! that ends in a timeout, in a 429 or 503, or in a full queue is a drop. One that was wrong itself, or whose client has
//! gone, is no sample. The permit comes back when the request ends.
//!
//! # When it is wrong
//!
//! A limit that follows latency cannot tell a queue that it causes from one that others cause: where tollgate has a small
//! share of an endpoint, it gives way to whoever does not. Where the capacity is known, say it: use permits.
//!
//! | Law | Test |
//! |---|---|
//! | The limit is always within its bounds. | `limit_is_within_bounds` |
//! | Only samples raise a limit. | `idle_traffic_never_raises` |
//! | Of samples, only those raise it beside which at least half of it was in flight; Envoy's controller does not ask. | `only_what_is_near_it_raises`, `only_busy_windows_raise` |
//! | A drop never raises it. | `drops_never_raise` |
//! | What is in flight is never above the limit when a request is let in. | `in_flight_never_above_limit_at_admission` |
//! | However requests end, every permit comes back. | `permits_are_conserved` |
//! | Without a queue it rises, and with one that grows it falls. | `settles_near_the_knee` |
//! | After an hour without a request a key is as if new. | `forgets_after_an_hour` |
//! | Whatever latencies are fed, nothing panics and nothing is lost. | `any_sample_is_harmless` |
//! | What the prompt explains is no congestion. | `prompts_are_explained` |

mod aimd;
mod envoy_gradient;
mod gradient2;
mod histogram;
mod prompts;
mod vegas;
mod windowed;

pub use aimd::{Aimd, AimdState};
pub use envoy_gradient::{EnvoyGradient, EnvoyGradientState};
pub use gradient2::{Gradient2, Gradient2State};
pub use prompts::Prompts;
pub use vegas::{Vegas, VegasState};
pub use windowed::{Windowed, WindowedState};

use super::{Decision, Limiter, Standing, Taken};
use crate::dice::Rng;
use crate::policy::Bounds;
use crate::time::{Instant, Nanos};
use crate::usage::Cost;

/// How a limit on what is in flight follows from what was seen.
pub trait ConcurrencyLaw {
    /// What was learned. `default()` is nothing.
    type State: Copy + Default + PartialEq;

    /// Between what the limit stays.
    fn bounds(&self) -> Bounds;

    /// The limit as of `now`.
    fn limit(&self, state: &Self::State, now: Instant) -> u32;

    /// Takes a sample, and returns the limit that follows from it.
    fn sample(&self, state: &mut Self::State, sample: &Sample, rng: &mut Rng) -> u32;
}

/// How one request fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it is known.
    pub now: Instant,
    /// When the request was let in.
    pub started: Instant,
    /// What is in flight, this request included.
    pub in_flight: u32,
    /// How long it took, or of a drop how long it was waited for; none where that says nothing of a queue.
    pub latency: Option<Nanos>,
    /// Whether it was dropped: not answered, because of too much load.
    pub dropped: bool,
}

/// Permits by a limit that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive<L> {
    law: L,
    max: Cost,
}

/// What one key has in flight, and what was learned of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flight<S> {
    /// Permits that are out.
    out: u32,
    /// When it was last asked or told something.
    touched: Instant,
    prompts: Prompts,
    learned: S,
}

impl<L: ConcurrencyLaw> Adaptive<L> {
    /// After so long without anything in flight, what was learned is forgotten.
    pub const FORGETS: Nanos = Nanos::from_secs(3600);

    /// Permits by `law`.
    #[must_use]
    pub fn new(law: L) -> Adaptive<L> {
        let max = Cost::from(law.bounds().max.get());
        Adaptive { law, max }
    }

    /// The limit as of `now`.
    #[must_use]
    pub fn limit(&self, flight: &Flight<L::State>, now: Instant) -> u32 {
        if Self::is_stale(flight, now) {
            return self.law.limit(&L::State::default(), now);
        }
        self.law.limit(&flight.learned, now)
    }

    /// What is in flight.
    #[must_use]
    pub fn in_flight(&self, flight: &Flight<L::State>) -> u32 {
        flight.out
    }

    /// A request that was let in has fared so, with a prompt of so many tokens. The limit after it.
    ///
    /// What [`Sample::in_flight`] says is replaced by what is known here.
    pub fn observe(&self, flight: &mut Flight<L::State>, sample: Sample, prompt: u32, rng: &mut Rng) -> u32 {
        let latency = match sample.latency {
            Some(latency) if !sample.dropped => Some(flight.prompts.adjust(prompt, latency)),
            latency => latency,
        };
        let sample = Sample {
            in_flight: flight.out,
            latency,
            ..sample
        };
        flight.touched = flight.touched.max(sample.now);
        self.law.sample(&mut flight.learned, &sample, rng)
    }

    fn is_stale(flight: &Flight<L::State>, now: Instant) -> bool {
        flight.out == 0 && Self::FORGETS <= now.since(flight.touched)
    }
}

impl<L: ConcurrencyLaw> Limiter for Adaptive<L> {
    type State = Flight<L::State>;

    #[inline]
    fn take(&self, flight: &mut Flight<L::State>, now: Instant, cost: Cost) -> Decision {
        if self.max < cost {
            return Decision::Never;
        }
        if cost == 0 {
            return Decision::Allow { at: now };
        }
        if Self::is_stale(flight, now) {
            *flight = Flight::default();
        }
        let limit = Cost::from(self.law.limit(&flight.learned, now));
        if limit < Cost::from(flight.out) + cost {
            return Decision::Wait { until: Instant::FAR };
        }
        flight.out += small(cost);
        flight.touched = flight.touched.max(now);
        Decision::Allow { at: now }
    }

    #[inline]
    fn undo(&self, flight: &mut Flight<L::State>, now: Instant, taken: Taken) {
        self.settle(flight, now, taken, 0);
    }

    /// `used` is what stays in flight: zero gives the permits back.
    #[inline]
    fn settle(&self, flight: &mut Flight<L::State>, now: Instant, taken: Taken, used: Cost) {
        let back = small(taken.cost);
        debug_assert!(back <= flight.out, "a permit comes back once");
        flight.out = flight.out.saturating_sub(back).saturating_add(small(used));
        flight.touched = flight.touched.max(now);
    }

    fn is_idle(&self, flight: &Flight<L::State>, now: Instant) -> bool {
        let knows_nothing = || flight.learned == L::State::default() && flight.prompts == Prompts::default();
        flight.out == 0 && (Self::FORGETS <= now.since(flight.touched) || knows_nothing())
    }

    fn standing(&self, flight: &Flight<L::State>, now: Instant) -> Standing {
        let limit = Cost::from(self.limit(flight, now));
        Standing {
            limit,
            remaining: limit.saturating_sub(Cost::from(flight.out)),
            reset: if flight.out == 0 { now } else { Instant::FAR },
        }
    }
}

/// Units in flight are no more than a limit, which has 32 bits.
fn small(cost: Cost) -> u32 {
    u32::try_from(cost).unwrap_or(u32::MAX)
}

impl Bounds {
    /// The nearest limit within them.
    fn hold(self, limit: f64) -> f64 {
        limit.min(f64::from(self.max.get())).max(f64::from(self.min.get()))
    }

    /// The whole part of an estimate, within them; of none, what they begin with.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the whole part of what 32 bits hold"
    )]
    fn whole(self, estimate: Option<f64>) -> u32 {
        let limit = estimate.unwrap_or(f64::from(self.initial.get()));
        self.hold(limit) as u32
    }
}

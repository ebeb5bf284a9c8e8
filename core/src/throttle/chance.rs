//! The chance to be turned away, by Google's book and by Envoy's filter.

use crate::dice::Rng;
use crate::fault::Fault;
use crate::health::Answer;
use crate::math;
use crate::policy;
use crate::time::{Instant, Nanos};
use crate::wheel::Wheel;

/// Turns requests away at random, the more the fewer of the last ones were accepted.
///
/// ```text
///                 sre                                   envoy-admission
///        requests − K · accepts                 ⎛ requests − successes / rate ⎞ 1/aggression
///  max(0, ──────────────────────)      min(max, ⎜ ─────────────────────────── ⎟             )
///             requests + 1                      ⎝         requests + 1        ⎠
/// ```
///
/// The first is *adaptive throttling* (Google, *Site Reliability Engineering*, 2016, chapter 21, *Handling Overload*):
/// two minutes and `K = 2`. The second is Envoy's admission control filter (`admission_control.cc`), with its 30 s,
/// 95 %, aggression 1 and at most 80 %. They differ in more than the formula:
///
/// - By the book those turned away are requests too: with a backend that accepts a constant rate, what is sent
///   settles at `K` times that. Envoy does not count them, so that its chance follows the success rate of what was sent.
/// - By the book an attempt was accepted unless the backend refused it or did not answer. By Envoy it was a success
///   unless it was answered with a 5xx, or would have been by a proxy; a 429 is a success.
///
/// An attempt counts once it is known what became of it, with its first token or its failure; one that was called off
/// before says nothing. The book leaves this open. Counted at their launch, requests would outnumber answers wherever
/// answers take long, and a fresh process would turn its second request away half of the time.
///
/// Time is in ten slots of a tenth of the window, turned by whole slots. Numbers are whole, so that "enough was
/// accepted" is exact; only the chance is a fraction.
///
/// **Where it is wrong:** where requests are refused for what they are, and not for how many there are: a tenant that
/// is out of quota throttles the others of its pool. And in quiet times, when one failure of three requests is a trend.
///
/// ```
/// use tollgate_core::policy;
/// use tollgate_core::throttle::{History, Throttle};
/// use tollgate_core::time::{Instant, Nanos};
///
/// let throttle = Throttle::new(&policy::Throttle::SRE);
/// let mut history = History::default();
/// let now = Instant::from_secs(1);
///
/// throttle.record(&mut history, now, true);
/// throttle.record(&mut history, now, false);
/// assert_eq!(throttle.chance(&history, now), 0.0, "half of two was accepted");
/// throttle.record(&mut history, now, false);
/// assert_eq!(throttle.chance(&history, now), 0.25, "(3 - 2 · 1) / (3 + 1)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    rule: Rule,
    /// What an accept is worth, beside a request.
    accept: u64,
    request: u64,
    /// To what power the chance is taken, if to any.
    power: Option<f64>,
    highest: f64,
    /// With fewer requests in the window nobody is turned away.
    fewest: u64,
    /// A tenth of the window.
    width: Nanos,
}

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Sre,
    Envoy,
}

/// What became of the requests of the last window; by default there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    slots: Wheel<Counts, 10>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: u32,
    accepts: u32,
}

impl Default for History {
    fn default() -> History {
        History {
            slots: Wheel::new([Counts::default(); 10]),
        }
    }
}

impl Throttle {
    /// The throttle that a policy describes.
    #[must_use]
    pub fn new(throttle: &policy::Throttle) -> Throttle {
        let tenth = |window: Nanos| Nanos::from_nanos(window.as_nanos().div_ceil(10).max(1));
        match *throttle {
            policy::Throttle::Sre { k_thousandths, window } => Throttle {
                rule: Rule::Sre,
                accept: u64::from(k_thousandths.get()),
                request: 1_000,
                power: None,
                highest: 1.0,
                fewest: 0,
                width: tenth(window),
            },
            policy::Throttle::EnvoyAdmission(numbers) => Throttle {
                rule: Rule::Envoy,
                accept: 1_000_000,
                request: u64::from(numbers.success_rate_millionths.get()),
                power: (1.0 < numbers.aggression).then_some(1.0 / numbers.aggression),
                highest: numbers.max,
                fewest: within(numbers.rps_threshold, numbers.window),
                width: tenth(numbers.window),
            },
        }
    }

    /// How likely the next request is turned away, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a chance, of counts below 2^53")]
    pub fn chance(&self, history: &History, now: Instant) -> f64 {
        let (mut requests, mut accepts) = (0, 0);
        for slot in history.slots.alive(self.width, now) {
            requests += u64::from(slot.requests);
            accepts += u64::from(slot.accepts);
        }
        if requests < self.fewest {
            return 0.0;
        }
        let excess = (requests * self.request).saturating_sub(accepts * self.accept);
        if excess == 0 {
            return 0.0;
        }
        let share = excess as f64 / ((requests + 1) * self.request) as f64;
        let chance = self.power.map_or(share, |power| math::pow(share, power));
        chance.min(self.highest)
    }

    /// Whether the next request is turned away; if it is, and that counts, it has been counted.
    #[must_use]
    pub fn turns_away(&self, history: &mut History, now: Instant, rng: &mut Rng) -> bool {
        let chance = self.chance(history, now);
        let is_turned_away = 0.0 < chance && rng.uniform() < chance;
        if is_turned_away && self.rule == Rule::Sre {
            self.record(history, now, false);
        }
        is_turned_away
    }

    /// A request was tried, and was accepted or was not.
    pub fn record(&self, history: &mut History, now: Instant, accepted: bool) {
        history.slots.turn(self.width, now, |slot| *slot = Counts::default());
        let slot = history.slots.newest();
        slot.requests = slot.requests.saturating_add(1);
        slot.accepts = slot.accepts.saturating_add(u32::from(accepted));
    }

    /// Whether a request was accepted that failed with `fault`, after an answer of `status` if there was one. None if
    /// that says nothing of the backend.
    #[must_use]
    pub fn is_accepted(&self, fault: Fault, status: Option<u16>) -> Option<bool> {
        match self.rule {
            Rule::Sre => match fault {
                Fault::NoConnection => None,
                Fault::Connect
                | Fault::Timeout
                | Fault::RateLimited
                | Fault::Overloaded
                | Fault::Stream
                | Fault::QuotaExhausted => Some(false),
                Fault::Server | Fault::Client | Fault::Credential => Some(true),
            },
            Rule::Envoy => Answer::of(fault, status).map(|answer| answer == Answer::Success),
        }
    }
}

/// How many requests a `window` has at so many a second, rounded up.
fn within(per_second: u32, window: Nanos) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    let requests = (u128::from(per_second) * u128::from(window.as_nanos())).div_ceil(SECOND);
    u64::try_from(requests).unwrap_or(u64::MAX)
}

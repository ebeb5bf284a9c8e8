//! `CoDel`: shed one now and then, more often the longer waits stay too long.
//!
//! K. Nichols and others, *Controlled Delay Active Queue Management* (RFC 8289), with requests for packets. What
//! matters is the least wait of late, for a queue that is short now and then is doing its work: only when every
//! request of an `interval` has waited for `target` or longer, one is shed, the next after `interval`, and then after
//! `interval / sqrt(count)`, until a request has waited less. Should that begin again soon, it goes on about where it
//! was. Shedding is for whoever is next for a permit, and for nobody else. Where no more than one other waits nobody is
//! shed, as a link with no more than one packet to send drops none.
//!
//! Instants and lengths are whole nanoseconds, and the square root is one of integers.
//!
//! # Where it is wrong
//!
//! It is made for clients that slow down when they lose something. Those who do not (an open flood, SDKs that ask
//! again) are shed too slowly, for the rate of shedding grows with the square root of time only: under half as much
//! again as can be served, waits grow for many seconds. [`ControlledDelay`](super::ControlledDelay) holds them at once.
//! With `lifo`, whoever is next has hardly waited, however long the queue: it sheds nobody.
//! In a fair order all tenants share one such state: those who wait briefly hide those who wait long.
//!
//! ```
//! use tollgate_core::queue::{CoDel, CoDelState, Pass};
//! use tollgate_core::time::{Instant, Nanos};
//!
//! let codel = CoDel { target: Nanos::from_millis(5), interval: Nanos::from_millis(100) };
//! let (mut state, waited) = (CoDelState::default(), Nanos::from_millis(20));
//! let at = |millis| Instant::EPOCH + Nanos::from_millis(millis);
//! assert!(!codel.sheds(&mut state, &mut Pass::default(), at(1_000), waited, 9));
//! assert!(!codel.sheds(&mut state, &mut Pass::default(), at(1_099), waited, 9));
//! assert!(codel.sheds(&mut state, &mut Pass::default(), at(1_100), waited, 9));
//! ```

use crate::time::{Instant, Nanos};

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDel {
    /// A wait that is worth having.
    pub target: Nanos,
    /// How long waits may be above it.
    pub interval: Nanos,
}

/// How it stands with a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoDelState {
    /// When waits will have been above the target for an interval, if they are.
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    /// How many were shed since it began.
    count: u32,
    last_count: u32,
}

/// One search for whom to serve: what was shed in it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    shed: Shed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shed {
    #[default]
    Nobody,
    /// The first in a long time.
    First,
    /// Another one.
    Another,
}

/// So many intervals later it begins anew.
const MEMORY: u64 = 16;

impl CoDel {
    /// Whether to shed whoever is next at `now` and has waited for `waited`, with so many `others` waiting.
    ///
    /// If it is, whoever is next then has to be asked about too, in the same `pass`.
    #[must_use]
    pub fn sheds(&self, state: &mut CoDelState, pass: &mut Pass, now: Instant, waited: Nanos, others: u32) -> bool {
        let ok_to_drop = self.is_above(state, now, waited, others);
        match pass.shed {
            // Whoever is next after the first is served, however long it has waited.
            Shed::First => return false,
            Shed::Another if ok_to_drop => state.drop_next = self.control_law(state.drop_next, state.count),
            Shed::Another | Shed::Nobody => {}
        }
        if state.dropping {
            state.dropping = ok_to_drop;
            let sheds = ok_to_drop && state.drop_next <= now;
            if sheds {
                state.count = state.count.saturating_add(1);
                pass.shed = Shed::Another;
            }
            return sheds;
        }
        if ok_to_drop && pass.shed == Shed::Nobody {
            self.begin(state, now);
            pass.shed = Shed::First;
            return true;
        }
        false
    }

    /// Nobody waits any more.
    pub fn empty(&self, state: &mut CoDelState, pass: Pass) {
        state.first_above = None;
        if pass.shed == Shed::Another {
            state.dropping = false;
        }
    }

    /// Whether waits have been above the target for an interval.
    fn is_above(&self, state: &mut CoDelState, now: Instant, waited: Nanos, others: u32) -> bool {
        if waited < self.target || others <= 1 {
            state.first_above = None;
            return false;
        }
        let first_above = *state.first_above.get_or_insert(now + self.interval);
        // Just set it lies in the future, unless the interval is nothing.
        first_above <= now
    }

    fn begin(&self, state: &mut CoDelState, now: Instant) {
        let delta = state.count.saturating_sub(state.last_count);
        let is_recent = now.since(state.drop_next) < self.interval * MEMORY;
        state.count = if 1 < delta && is_recent { delta } else { 1 };
        state.dropping = true;
        state.drop_next = self.control_law(now, state.count);
        state.last_count = state.count;
    }

    /// `interval / sqrt(count)` after `at`.
    fn control_law(&self, at: Instant, count: u32) -> Instant {
        let interval = u128::from(self.interval.as_nanos());
        let spacing = (interval * interval / u128::from(count.max(1))).isqrt();
        at + Nanos::from_nanos(u64::try_from(spacing).expect("at most the interval"))
    }
}

//! A Poisson process whose rate follows a Markov chain.

use tollgate_core::dice::Rng;
use tollgate_core::time::{Instant, Nanos};

use super::clock::Clock;
use super::renewal::exponential;

#[derive(Clone, Debug)]
pub(crate) struct Mmpp {
    states: Vec<State>,
    current: Option<usize>,
    clock: Clock,
}

#[derive(Clone, Copy, Debug)]
struct State {
    arrivals: f64,
    leaves: f64,
}

impl Mmpp {
    pub(crate) fn new(rates: &[f64], holds: &[Nanos]) -> Mmpp {
        let states = rates
            .iter()
            .zip(holds)
            .map(|(rate, hold)| State {
                arrivals: *rate,
                leaves: 1.0 / hold.as_secs_f64(),
            })
            .collect();
        Mmpp {
            states,
            current: None,
            clock: Clock::default(),
        }
    }

    /// In each state the next arrival and the end of the state race; memory is lost at both.
    pub(crate) fn next(&mut self, rng: &mut Rng) -> Option<Instant> {
        let mut current = match self.current {
            Some(current) => current,
            None => self.stationary(rng),
        };
        let mut gap = 0.0;
        loop {
            let State { arrivals, leaves } = self.states[current];
            let both = arrivals + leaves;
            gap += exponential(rng) / both;
            if rng.uniform() * both < arrivals {
                self.current = Some(current);
                return self.clock.advance(gap);
            }
            current = if current + 1 < self.states.len() {
                current + 1
            } else {
                0
            };
        }
    }

    /// States are visited in turn, so the share of time in one is its holding time over their sum.
    fn stationary(&self, rng: &mut Rng) -> usize {
        let total: f64 = self.states.iter().map(|state| 1.0 / state.leaves).sum();
        let mut left = rng.uniform() * total;
        for (index, state) in self.states.iter().enumerate() {
            left -= 1.0 / state.leaves;
            if left < 0.0 {
                return index;
            }
        }
        self.states.len() - 1
    }
}

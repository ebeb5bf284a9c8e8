//! Where the floor takes its random numbers from.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution as _, Exp1, StandardNormal};
use tollgate_core::dice::{Dice, Purpose, RequestDice};
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::{Distribution, exponential};

use crate::model;

/// The draws of the model.
///
/// `request` is the number of a request and `attempt` that of its attempt; whoever draws in sequence needs neither.
pub trait Draws {
    /// Everything follows from `seed`.
    fn new(seed: u64) -> Self;

    /// Nanoseconds from one arrival to the next.
    fn gap(&mut self, request: u64) -> f64;

    /// Two different numbers below `n`.
    fn two(&mut self, request: u64, attempt: u32, n: u32) -> (u32, u32);

    /// Nanoseconds of service.
    fn service(&mut self, request: u64, attempt: u32) -> u64;

    /// Whether the answer breaks off.
    fn fails(&mut self, request: u64, attempt: u32) -> bool;

    /// A delay of at most `longest` nanoseconds before retry number `retry`.
    fn backoff(&mut self, request: u64, retry: u32, longest: u64) -> u64;
}

/// The fastest draws there are: one small generator in sequence, ziggurats, and the platform's exponential.
#[derive(Clone, Debug)]
pub struct Sequential {
    rng: SmallRng,
    mu: f64,
}

/// The draws of the simulator: a generator for each purpose of each request, inverse transforms, and portable
/// functions.
#[derive(Clone, Debug)]
pub struct Keyed {
    dice: Dice,
    service: Distribution,
}

impl Draws for Sequential {
    fn new(seed: u64) -> Sequential {
        Sequential {
            rng: SmallRng::seed_from_u64(seed),
            mu: model::mu(),
        }
    }

    #[inline]
    fn gap(&mut self, _request: u64) -> f64 {
        let gap: f64 = Exp1.sample(&mut self.rng);
        gap * (1e9 / model::RATE)
    }

    #[inline]
    fn two(&mut self, _request: u64, _attempt: u32, n: u32) -> (u32, u32) {
        let bits: u64 = self.rng.random();
        let one = below(bits & 0xffff_ffff, n);
        let other = below(bits >> 32, n - 1);
        (one, other + u32::from(one <= other))
    }

    #[inline]
    fn service(&mut self, _request: u64, _attempt: u32) -> u64 {
        let normal: f64 = StandardNormal.sample(&mut self.rng);
        Nanos::from_secs_f64((self.mu + model::SIGMA * normal).exp()).as_nanos()
    }

    #[inline]
    fn fails(&mut self, _request: u64, _attempt: u32) -> bool {
        self.rng.random::<f64>() < model::FAILURES
    }

    #[inline]
    fn backoff(&mut self, _request: u64, _retry: u32, longest: u64) -> u64 {
        self.rng.random_range(0..=longest)
    }
}

impl Keyed {
    #[inline]
    fn of(&self, request: u64) -> RequestDice {
        self.dice.request(request)
    }
}

impl Draws for Keyed {
    fn new(seed: u64) -> Keyed {
        Keyed {
            dice: Dice::new(seed).branch(0),
            service: Distribution::lognormal(model::mu(), model::SIGMA).expect("a possible service"),
        }
    }

    #[inline]
    fn gap(&mut self, request: u64) -> f64 {
        let mut rng = self.of(request).roll(Purpose::Arrival, 0);
        exponential(!rng.next_u64()) * (1e9 / model::RATE)
    }

    #[inline]
    fn two(&mut self, request: u64, attempt: u32, n: u32) -> (u32, u32) {
        let mut rng = self.of(request).roll(Purpose::Balance, attempt);
        let one = below(rng.next_u64() >> 32, n);
        let other = below(rng.next_u64() >> 32, n - 1);
        (one, other + u32::from(one <= other))
    }

    #[inline]
    fn service(&mut self, request: u64, attempt: u32) -> u64 {
        let mut rng = self.of(request).roll(Purpose::Service, attempt);
        self.service.sample_secs(&mut rng).as_nanos()
    }

    #[inline]
    fn fails(&mut self, request: u64, attempt: u32) -> bool {
        // The draw of a backend's first fault, as the simulator numbers them.
        let mut rng = self.of(request).roll(Purpose::Failure, attempt + (2 << 8));
        rng.uniform() < model::FAILURES
    }

    #[inline]
    fn backoff(&mut self, request: u64, retry: u32, longest: u64) -> u64 {
        self.of(request).roll(Purpose::Jitter, retry).below(longest + 1)
    }
}

/// A number below `n` from 32 random bits.
#[inline]
fn below(bits: u64, n: u32) -> u32 {
    u32::try_from((bits * u64::from(n)) >> 32).expect("below a number of 32 bits")
}

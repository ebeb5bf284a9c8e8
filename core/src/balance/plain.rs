//! A pool made of plain numbers.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::{PoolView, Rounds, WEIGHT_UNIT};

/// A pool made of plain numbers: for examples, tests and laws.
///
/// ```
/// use tollgate_core::balance::{Balancer, PlainPool, WeightedRoundRobin};
/// use tollgate_core::dice::Rng;
///
/// let pool = PlainPool::alike(3).with_weights(&[5, 1, 1]);
/// let picks = [(); 7].map(|()| WeightedRoundRobin.pick(&pool, &mut Rng::new(7)));
/// assert_eq!(picks.map(Option::unwrap_or_default), [0, 0, 1, 0, 2, 0, 0]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct PlainPool {
    /// Whether each may be picked.
    pub available: Vec<bool>,
    /// Each one's load.
    pub loads: Vec<f64>,
    /// Each one's weight, in units of [`WEIGHT_UNIT`].
    pub weights: Vec<u32>,
    /// Whose turn it is.
    pub turn: Cell<u64>,
    /// Whose round it is.
    pub rounds: RefCell<Rounds>,
}

impl PlainPool {
    /// Endpoints with these loads, all available and of weight one.
    #[must_use]
    pub fn new(loads: &[f64]) -> PlainPool {
        PlainPool {
            available: vec![true; loads.len()],
            loads: loads.to_vec(),
            weights: vec![WEIGHT_UNIT; loads.len()],
            ..PlainPool::default()
        }
    }

    /// `n` endpoints without load.
    #[must_use]
    pub fn alike(n: usize) -> PlainPool {
        PlainPool::new(&vec![0.0; n])
    }

    /// With these whole weights.
    #[must_use]
    pub fn with_weights(mut self, weights: &[u32]) -> PlainPool {
        self.weights = weights.iter().map(|weight| weight * WEIGHT_UNIT).collect();
        self
    }

    /// With only these available.
    #[must_use]
    pub fn with_available(mut self, available: &[bool]) -> PlainPool {
        self.available = available.to_vec();
        self
    }
}

impl PoolView for PlainPool {
    fn len(&self) -> usize {
        self.available.len()
    }

    fn is_available(&self, index: usize) -> bool {
        self.available[index]
    }

    fn load(&self, index: usize) -> f64 {
        self.loads[index]
    }

    fn weight(&self, index: usize) -> u32 {
        self.weights[index]
    }

    fn turn(&self) -> u64 {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }

    fn rounds(&self, pick: &mut dyn FnMut(&mut Rounds)) {
        pick(&mut self.rounds.borrow_mut());
    }
}

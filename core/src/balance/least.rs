//! The least loaded endpoint of all.

use super::draw::below;
use super::{Balancer, PoolView};
use crate::dice::Rng;
use crate::policy::Ties;

/// Picks the available endpoint of the lowest load: over attempts in flight known as least connections, over an average
/// of latency as least time, over what one more would have to wait as shortest expected delay.
///
/// **Where it is wrong:** when the loads are old. Many gateways that see the same load all send to the same
/// endpoint until they see it again (herding); compare [`P2c`](super::P2c), which spreads them. A count in
/// flight, which one gateway keeps itself, is never old but does not see the others' requests. Every load is
/// read for every pick: in pools of thousands use [`P2c`](super::P2c).
///
/// With [`Ties::First`] an idle pool sends everything to its first endpoint; the others stay cold.
///
/// The example is at [`PoolView`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Least {
    ties: Ties,
}

impl Least {
    /// Picks the least loaded; `ties` says which of equals.
    #[must_use]
    pub const fn new(ties: Ties) -> Least {
        Least { ties }
    }
}

impl Balancer for Least {
    fn pick(&self, pool: &impl PoolView, rng: &mut Rng) -> Option<usize> {
        let mut least = Lowest::default();
        for index in 0..pool.len() {
            if pool.is_available(index) {
                least.offer(index, pool.load(index), self.ties, rng);
            }
        }
        least.index()
    }
}

/// The least of what was offered so far.
#[derive(Default)]
pub(super) struct Lowest {
    best: Option<(usize, f64)>,
    /// How many of that load were offered.
    equals: usize,
}

impl Lowest {
    /// Offers one more. Of `k` equals the last replaces the one kept with probability `1 / k`: all are then
    /// equally likely (Waterman's reservoir).
    #[inline]
    pub(super) fn offer(&mut self, index: usize, load: f64, ties: Ties, rng: &mut Rng) {
        let Some((_, lowest)) = self.best else {
            self.best = Some((index, load));
            self.equals = 1;
            return;
        };
        if load < lowest {
            self.best = Some((index, load));
            self.equals = 1;
        } else if load <= lowest {
            self.equals += 1;
            match ties {
                Ties::First => {}
                Ties::Random => {
                    if below(rng, self.equals) == 0 {
                        self.best = Some((index, load));
                    }
                }
            }
        }
    }

    /// The least.
    #[inline]
    pub(super) fn index(&self) -> Option<usize> {
        self.best.map(|(index, _)| index)
    }
}

//! A limiter of one's own, put into a policy by a program: no file can name it.
//!
//! Implement [`Limiter`] with [`Slate`] as its state, hold it to the laws (feature `laws`), and set it as the algorithm
//! of a limit after the policy has been read. Simulator and gate then run it as they run the built ones.
//!
//! **When not to use it:** for a state that does not fit a slate, or that a decision must allocate for. Such a limiter
//! belongs into this crate.

use core::fmt;
use core::ptr;

use super::{Decision, Limiter, Standing, Taken};
use crate::time::Instant;
use crate::usage::Cost;

/// The state of one's own limiter, to be written on as it likes. All zero is a key that was never seen.
pub type Slate = [u64; 4];

/// One's own limiter, whose numbers live as long as the program.
#[derive(Clone, Copy)]
pub struct Own {
    limiter: &'static (dyn Limiter<State = Slate> + Send + Sync),
    name: &'static str,
    most: Cost,
}

impl Own {
    /// `limiter`, called `name`, which never allows more than `most` units at once.
    pub const fn new(
        name: &'static str,
        most: Cost,
        limiter: &'static (dyn Limiter<State = Slate> + Send + Sync),
    ) -> Own {
        Own { limiter, name, most }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The most units that it allows at once.
    #[must_use]
    pub const fn most(self) -> Cost {
        self.most
    }
}

impl Limiter for Own {
    type State = Slate;

    fn take(&self, slate: &mut Slate, now: Instant, cost: Cost) -> Decision {
        self.limiter.take(slate, now, cost)
    }

    fn peek(&self, slate: &Slate, now: Instant, cost: Cost) -> Decision {
        self.limiter.peek(slate, now, cost)
    }

    fn undo(&self, slate: &mut Slate, now: Instant, taken: Taken) {
        self.limiter.undo(slate, now, taken);
    }

    fn settle(&self, slate: &mut Slate, now: Instant, taken: Taken, used: Cost) {
        self.limiter.settle(slate, now, taken, used);
    }

    fn is_idle(&self, slate: &Slate, now: Instant) -> bool {
        self.limiter.is_idle(slate, now)
    }

    fn standing(&self, slate: &Slate, now: Instant) -> Standing {
        self.limiter.standing(slate, now)
    }
}

/// The same limiter, not one with equal numbers.
impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        ptr::addr_eq(self.limiter, other.limiter) && self.name == other.name && self.most == other.most
    }
}

impl Eq for Own {}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

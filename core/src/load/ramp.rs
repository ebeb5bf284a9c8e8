//! Slow start: how an endpoint that comes back is given its share again.

use crate::math;
use crate::policy::SlowStart;
use crate::time::Nanos;

/// The share of its weight that an endpoint has, so long after it came back: Envoy's slow start,
/// `max(min_share, (elapsed / window) ^ (1 / aggression))`.
///
/// Weights are multiplied by it. Loads are made as if there were more in flight ([`Ramp::count`]), or as if everything took longer
/// ([`Ramp::stretch`]): an endpoint that has just come back is idle, and would otherwise be given everything at once.
///
/// **Where it is wrong:** where endpoints come back warm. Then it only keeps load on the others for longer. If all of a
/// pool come back at once it changes nothing.
///
/// ```
/// use tollgate_core::load::Ramp;
/// use tollgate_core::policy::SlowStart;
/// use tollgate_core::time::Nanos;
///
/// let ramp = Ramp::new(SlowStart { window: Nanos::from_secs(60), aggression: 1.0, min_share: 0.1 });
/// assert_eq!(ramp.share(Nanos::from_secs(15)), 0.25);
/// assert_eq!(Ramp::count(0.0, 0.25), 3.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    shape: SlowStart,
}

impl Ramp {
    /// A ramp of this shape.
    #[must_use]
    pub const fn new(shape: SlowStart) -> Ramp {
        Ramp { shape }
    }

    /// The share `elapsed` after it came back, above 0 and at most 1.
    #[must_use]
    pub fn share(&self, elapsed: Nanos) -> f64 {
        if self.shape.window <= elapsed {
            return 1.0;
        }
        let part = elapsed.as_secs_f64() / self.shape.window.as_secs_f64();
        let is_even = self.shape.aggression.to_bits() == 1.0_f64.to_bits();
        let share = if is_even {
            part
        } else {
            math::pow(part, 1.0 / self.shape.aggression)
        };
        share.clamp(self.shape.min_share, 1.0)
    }

    /// The `share` of `weight`, at least 1.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a weight is at most that weight"
    )]
    pub fn weight(weight: u32, share: f64) -> u32 {
        ((f64::from(weight) * share) as u32).max(1)
    }

    /// How many in flight at a full share are as bad as `count` at this one: one more costs as much.
    #[must_use]
    #[inline]
    pub fn count(count: f64, share: f64) -> f64 {
        (count + 1.0) / share - 1.0
    }

    /// Which load at a full share is as bad as `load` at this one.
    #[must_use]
    #[inline]
    pub fn stretch(load: f64, share: f64) -> f64 {
        load / share
    }
}

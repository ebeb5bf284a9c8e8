//! The judgment of active health checks.

use core::num::NonZeroU32;

use crate::policy::Probe;

/// Takes an endpoint out after `fall` bad checks in a row and brings it back after `rise` good ones.
///
/// A single lost check is noise, and so is a single good one of an endpoint that is going down: hence two counts.
///
/// ```
/// use core::num::NonZeroU32;
/// use tollgate_core::health::{ProbeState, Probing, Turn};
///
/// let two = NonZeroU32::new(2).expect("two is not zero");
/// let probing = Probing::new(two, two);
/// let mut state = ProbeState::default();
/// assert_eq!(probing.judge(&mut state, false), None);
/// assert_eq!(probing.judge(&mut state, false), Some(Turn::Down));
/// assert!(!state.is_up());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    rise: u32,
    fall: u32,
}

/// Where an endpoint stands with its active checks; it starts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeState {
    is_down: bool,
    /// Checks in a row that contradict the standing.
    against: u32,
}

/// A change of standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may be used again.
    Up,
    /// It may not be used.
    Down,
}

impl ProbeState {
    /// Whether the checks allow the endpoint to be used.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        !self.is_down
    }
}

impl From<&Probe> for Probing {
    fn from(probe: &Probe) -> Probing {
        Probing::new(probe.rise, probe.fall)
    }
}

impl Probing {
    /// Up after `rise` good checks in a row, down after `fall` bad ones.
    #[must_use]
    pub const fn new(rise: NonZeroU32, fall: NonZeroU32) -> Probing {
        Probing {
            rise: rise.get(),
            fall: fall.get(),
        }
    }

    /// Takes the result of a check.
    pub fn judge(&self, state: &mut ProbeState, is_good: bool) -> Option<Turn> {
        if is_good != state.is_down {
            state.against = 0;
            return None;
        }
        state.against = state.against.saturating_add(1);
        let (needed, turn) = if state.is_down {
            (self.rise, Turn::Up)
        } else {
            (self.fall, Turn::Down)
        };
        if state.against < needed {
            return None;
        }
        *state = ProbeState {
            is_down: !state.is_down,
            against: 0,
        };
        Some(turn)
    }
}

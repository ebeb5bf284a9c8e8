//! Which requests a pool does not even try.

use core::num::NonZeroU32;

use crate::time::Nanos;

/// How many of a pool's requests are turned away, after how many of the last ones were accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Throttle {
    /// Adaptive throttling, as Google's book on site reliability has it.
    Sre {
        /// How many requests there may be for each that is accepted, in thousandths: at least a thousand.
        k_thousandths: NonZeroU32,
        /// How far it looks back.
        window: Nanos,
    },
    /// Envoy's admission control.
    EnvoyAdmission(EnvoyAdmission),
}

/// The numbers of Envoy's admission control filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnvoyAdmission {
    /// The share of successes from which on nobody is turned away (`sr_threshold`), in millionths: at most a million.
    pub success_rate_millionths: NonZeroU32,
    /// How steeply the chance rises below it: at least 1, which is in proportion; more is steeper.
    pub aggression: f64,
    /// The highest chance to be turned away (`max_rejection_probability`), from 0 to 1.
    pub max: f64,
    /// Below so many requests a second nobody is turned away (`rps_threshold`).
    pub rps_threshold: u32,
    /// How far it looks back (`sampling_window`).
    pub window: Nanos,
}

impl Throttle {
    /// The numbers of the book: two requests for each that is accepted, over two minutes.
    pub const SRE: Throttle = Throttle::Sre {
        k_thousandths: NonZeroU32::new(2_000).expect("not zero"),
        window: Nanos::from_secs(120),
    };
}

impl Default for EnvoyAdmission {
    fn default() -> EnvoyAdmission {
        EnvoyAdmission {
            success_rate_millionths: NonZeroU32::new(950_000).expect("not zero"),
            aggression: 1.0,
            max: 0.8,
            rps_threshold: 0,
            window: Nanos::from_secs(30),
        }
    }
}

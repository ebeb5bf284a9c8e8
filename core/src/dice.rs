//! Keyed dice: one value for `(seed, purpose, request, attempt)`.
//!
//! A generator that is drawn from in sequence makes every later draw depend on every earlier one, so two
//! strategies that draw differently would soon face different traffic. Keyed dice have no sequence: the
//! service time of attempt 1 of request 17 is the same number whatever else happened. Strategies then
//! share arrivals, lengths and service times (common random numbers), the twin test can demand equal
//! decisions, and one `u64` replays everything.
//!
//! The mixing function is the finalizer of `splitmix64` (Steele, Lea and Flood, *Fast Splittable Pseudorandom
//! Number Generators*, OOPSLA 2014) with David Stafford's constants, applied once per key.

/// What a draw is for; draws of two purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Times between arrivals.
    Arrival = 1,
    /// Which tenant a call comes from.
    Tenant,
    /// Prompt lengths.
    Prompt,
    /// Output lengths.
    Output,
    /// Whether a request streams.
    Stream,
    /// What a client does: patience, think time, the jitter of its own retries.
    Client,
    /// Which endpoint a balancer picks.
    Balance,
    /// The random part of a backoff.
    Jitter,
    /// Latency of a backend.
    Service,
    /// Failures of a backend.
    Failure,
    /// The common load factor of a backend.
    LoadFactor,
    /// When drawn faults begin and how long they last.
    Incident,
    /// Delays of the network.
    Network,
    /// Answers of a remote store.
    Store,
    /// Jitter within a trace's clock resolution.
    Trace,
    /// Time per output token of a backend.
    Pace,
    /// Whether a suspected endpoint is ejected indeed.
    Enforcement,
    /// When an adaptive limit measures anew.
    Limit,
    /// Whether a throttle turns a request away.
    Throttle,
    /// Which pool of a route is tried first.
    Split,
}

/// The root of all dice of a run.
///
/// ```
/// use tollgate_core::dice::{Dice, Purpose};
///
/// let dice = Dice::new(7);
/// let again = Dice::new(7);
/// assert_eq!(dice.request(17).roll(Purpose::Service, 1).next_u64(), again.request(17).roll(Purpose::Service, 1).next_u64());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// The dice of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Dice {
        Dice(mix(seed ^ 0x746f_6c6c_6761_7465))
    }

    /// The dice of one independent replication, or of one backend.
    #[must_use]
    pub const fn branch(self, number: u64) -> Dice {
        Dice(mix(self.0 ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03).wrapping_add(1)))
    }

    /// The dice that travel with request `number` of a run.
    #[must_use]
    #[inline]
    pub const fn request(self, number: u64) -> RequestDice {
        RequestDice(mix(self.0.wrapping_add(number.wrapping_mul(GOLDEN))))
    }
}

/// The dice of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDice(u64);

impl RequestDice {
    /// The dice as 64 bits, to be sent where [`from_bits`](RequestDice::from_bits) makes them the same dice again: a mock
    /// server that is told the dice of a request draws what a simulated backend would.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The dice that [`to_bits`](RequestDice::to_bits) has written down. Any bits are dice; those of a run come from
    /// [`Dice::request`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> RequestDice {
        RequestDice(bits)
    }

    /// The generator of one purpose and attempt (or of the n-th draw, where there are no attempts).
    #[must_use]
    #[inline]
    pub const fn roll(self, purpose: Purpose, attempt: u32) -> Rng {
        let key = ((purpose as u64) << 32) | attempt as u64;
        Rng(mix(self.0 ^ key.wrapping_mul(0x9fb2_1c65_1e98_df25)))
    }
}

/// A small generator (`splitmix64`): most uses draw one value from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// A generator of its own, for tests and examples.
    #[must_use]
    pub const fn new(seed: u64) -> Rng {
        Rng(mix(seed))
    }

    /// The next 64 random bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in the open interval (0, 1): 52 random bits, moved to the middle of their cell.
    ///
    /// Never 0 and never 1, so that its logarithm and every inverse transform are finite.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "52 bits fit an f64")]
    pub fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// A number below `n`, each equally likely but for a bias of at most `n / 2^64`; 0 for `n = 0`.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }
}

/// Scatters the bits of `x`; a bijection.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

//! One call: what a person wanted once.

use tollgate_core::usage::Usage;

/// A call of the workload, a function of the dice and its number alone.
///
/// Every request of the call, an SDK's retries included, asks for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number; calls arrive in this order.
    pub number: u64,
    /// Whose it is: a position in [`Workload::tenants`](super::Workload::tenants).
    pub tenant: u32,
    /// Tokens of the prompt; at least 1.
    pub prompt: u32,
    /// Tokens that the answer will have; at least 1.
    pub output: u32,
    /// The most tokens that the client says it wants.
    pub max_tokens: Option<u32>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The model that is asked for, where a trace names one.
    pub model: Option<Model>,
}

/// A model named by a trace: a position in [`Workload::models`](super::Workload::models).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Model(pub u8);

/// An SDK's retry is a further request of the same call, with a number of its own.
const RETRY_STRIDE: u64 = 1 << 40;

impl Call {
    /// The number of its request after so many `retries`: that of the dice, in the simulator as on a wire.
    #[must_use]
    #[inline]
    pub const fn request(&self, retries: u32) -> u64 {
        self.number.wrapping_add((retries as u64).wrapping_mul(RETRY_STRIDE))
    }

    /// What it will use.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            input: self.prompt,
            output: self.output,
        }
    }
}

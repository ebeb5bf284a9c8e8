//! What is assumed of answers, learned per tenant and model, for every limit that learns.
//!
//! One table for all of them: limits that learn assume alike of the same request. What was assumed travels with the
//! request, for other answers may teach before it is settled.

use crate::id::{KeyHash, OutputKey};
use crate::limit::Outputs;
use crate::memory::{Keyed, Memory};
use crate::policy::{Limit, Policy};
use crate::usage::{Estimate, Usage};

/// How long answers have been, by tenant and model. What is learned is never forgotten; keys are bounded, and those
/// beyond the bound learn together.
pub(super) struct Learned<M: Memory> {
    outputs: M::Table<Outputs>,
}

impl<M: Memory> Learned<M> {
    /// With as many keys as the largest of the limits that learn has; nothing if none does.
    pub(super) fn new(policy: &Policy) -> Option<Learned<M>> {
        let limits = policy.limits.iter().filter(|limit| limit.learns());
        let max_keys = limits.map(|limit: &Limit| limit.max_keys).max()?;
        Some(Learned {
            outputs: M::Table::new(max_keys),
        })
    }

    /// Output tokens to assume of an answer; nothing before the first.
    pub(super) fn assumed(&self, key: OutputKey) -> Option<u32> {
        // Not read: a key without a place is to find what it shares.
        self.update(key, |outputs| outputs.assumed())
    }

    /// An answer is complete, of a request that was assumed about.
    pub(super) fn observe(&self, key: OutputKey, estimate: Estimate, usage: Usage) {
        let each = usage.output.div_ceil(estimate.more.saturating_add(1));
        self.update(key, |outputs| outputs.observe(each));
    }

    fn update<R>(&self, key: OutputKey, f: impl FnOnce(&mut Outputs) -> R) -> R {
        let key = KeyHash(u64::from(key.0.get()));
        let is_fresh = |outputs: &Outputs| *outputs == Outputs::default();
        let (result, _) = self.outputs.update(key, is_fresh, f);
        result
    }
}

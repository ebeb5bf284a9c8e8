//! Who waits for a pool.

use crate::time::Nanos;

/// Who may wait for an endpoint permit: first in, first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueShape {
    /// Most requests waiting; 0: nobody waits.
    pub length: u32,
    /// The longest wait.
    pub wait: Nanos,
}

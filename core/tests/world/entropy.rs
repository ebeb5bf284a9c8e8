//! Where random worlds take their choices from: dice in tests, bytes in the fuzzer.

use tollgate_core::dice::Rng;

/// A source of choices.
pub(crate) trait Entropy {
    /// A number below `n`, which is not zero.
    fn below(&mut self, n: u64) -> u64;

    /// Whether there is nothing left to choose with.
    fn is_spent(&self) -> bool;

    /// True `percent` times of a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// A position in a list of length `len`.
    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }

    /// A number below `n`.
    fn small(&mut self, n: u32) -> u32 {
        u32::try_from(self.below(u64::from(n))).expect("below 32 bits")
    }
}

impl Entropy for Rng {
    fn below(&mut self, n: u64) -> u64 {
        Rng::below(self, n)
    }

    fn is_spent(&self) -> bool {
        false
    }
}

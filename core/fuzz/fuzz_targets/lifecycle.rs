//! Worlds of requests and a gate, in which the fuzzer makes every choice.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run lifecycle --fuzz-dir core/fuzz -- -max_len=4096 -max_total_time=60`
#![no_main]

#[path = "../../tests/world/mod.rs"]
#[expect(dead_code, reason = "tests draw worlds from seeds, a fuzzer from bytes")]
mod world;

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use tollgate_core::memory::Local;

use world::entropy::Entropy;
use world::{Tilt, World};

/// Choices from bytes: one byte where it is enough.
struct Bytes<'a>(&'a [u8]);

impl Entropy for Bytes<'_> {
    fn below(&mut self, n: u64) -> u64 {
        let width = if n <= 256 { 1 } else { 4 };
        let (head, tail) = self.0.split_at(width.min(self.0.len()));
        self.0 = tail;
        head.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)) % n
    }

    fn is_spent(&self) -> bool {
        self.0.is_empty()
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut past = VecDeque::new();
    World::<Local, _, _>::new(Bytes(bytes), Tilt::default(), &mut (), &mut past).run();
});

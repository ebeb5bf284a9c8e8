//! A gate for one thread and one for many decide alike: the same worlds, step by step, with either memory.

mod world;

use tollgate_core::lifecycle::{Effect, Input, Phase};
use tollgate_core::memory::{Local, Shared};

use world::{STEPS, Tilt, Watch};

#[test]
fn local_equals_shared() {
    for seed in 0..400 {
        let seed = (9 << 40) + seed;
        let (mut local, mut shared) = (Log::default(), Log::default());
        world::run::<Local>(seed, STEPS, &Tilt::default(), &mut local);
        world::run::<Shared>(seed, STEPS, &Tilt::default(), &mut shared);
        let differs = local.0.iter().zip(&shared.0).find(|(local, shared)| local != shared);
        assert_eq!(differs, None, "seed {seed:#x}: local and shared");
        assert_eq!(local.0.len(), shared.0.len(), "seed {seed:#x}: one of them stops early");
    }
}

/// Everything that was decided, in order.
#[derive(Default)]
struct Log(Vec<Decision>);

/// What a request or the gate was told, and what it asked for.
type Decision = (Option<(Phase, Input, Phase)>, Vec<Effect>);

impl Watch for Log {
    fn step(&mut self, from: Phase, input: Input, to: Phase, effects: &[Effect]) {
        self.0.push((Some((from, input, to)), effects.to_vec()));
    }

    fn gate(&mut self, effects: &[Effect]) {
        self.0.push((None, effects.to_vec()));
    }
}

//! The laws of `tollgate_core::health::Keys`.

use proptest::prelude::*;
use tollgate_core::health::Keys;
use tollgate_core::id::KeyId;
use tollgate_core::time::{Instant, Nanos};

#[derive(Clone, Copy, Debug)]
enum Step {
    Pick,
    Cool { key: usize, length: u64 },
    Pass { length: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Pick),
        2 => (0usize..8, 0u64..100).prop_map(|(key, length)| Step::Cool { key, length }),
        2 => (0u64..60).prop_map(|length| Step::Pass { length }),
    ];
    prop::collection::vec(step, 0..300)
}

/// Takes the steps with so many keys; tells what was picked when, and what cooled then.
fn walk(n_keys: usize, steps: &[Step], mut look: impl FnMut(&mut Keys, &[Instant], Instant, Step)) {
    let mut keys = Keys::new(n_keys);
    let mut cooling = vec![Instant::EPOCH; n_keys];
    let mut now = Instant::from_secs(1);
    for step in steps {
        match *step {
            Step::Pick => {}
            Step::Pass { length } => now += Nanos::from_nanos(length),
            Step::Cool { key, length } => {
                let (key, until) = (key % n_keys, now + Nanos::from_nanos(length));
                cooling[key] = cooling[key].max(until);
                let back = keys.cool(KeyId::at(key), until);
                assert_eq!(Some(back), cooling.iter().copied().min());
            }
        }
        look(&mut keys, &cooling, now, *step);
    }
}

proptest! {
    #[test]
    fn a_cooling_key_is_never_used_while_another_is_free(n_keys in 1usize..6, steps in steps()) {
        walk(n_keys, &steps, |keys, cooling, now, step| {
            if matches!(step, Step::Pick) {
                let until = cooling[keys.pick(now).index()];
                let first = cooling.iter().copied().min().expect("there is one");
                assert!(until <= now || until == first, "one that cools until {until:?} at {now:?}: {cooling:?}");
            }
        });
    }

    /// From any state: while the same keys are free, all of them are used as often.
    #[test]
    fn every_free_key_gets_its_share_within_one(n_keys in 1usize..6, steps in steps(), n_picks in 1u32..50) {
        walk(n_keys, &steps, |keys, cooling, now, _| {
            let mut keys = keys.clone();
            let mut used = vec![0u32; n_keys];
            for _ in 0..n_picks {
                used[keys.pick(now).index()] += 1;
            }
            let free: Vec<u32> = used.iter().zip(cooling).filter(|(_, until)| **until <= now).map(|(n, _)| *n).collect();
            if let (Some(least), Some(most)) = (free.iter().min(), free.iter().max()) {
                assert!(most - least <= 1, "{used:?} with {cooling:?} at {now:?}");
                assert_eq!(free.iter().sum::<u32>(), n_picks);
            }
        });
    }

    #[test]
    fn the_later_deadline_of_a_key_is_kept(n_keys in 1usize..6, steps in steps()) {
        let mut last = Instant::EPOCH;
        walk(n_keys, &steps, |keys, cooling, _, _| {
            let back = keys.back_at();
            assert_eq!(Some(back), cooling.iter().copied().min());
            assert!(last <= back, "it was said to be back at {last:?}, and now at {back:?}");
            last = back;
        });
    }
}

//! The wait queue, in every order, against models that keep everything in plain lists.

mod codel;
mod fair;
mod guests;

use std::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::lifecycle::Verdict;
use tollgate_core::policy::{Order, Shedding};
use tollgate_core::queue::{Claim, Removal};
use tollgate_core::time::{Instant, Nanos};

use guests::{Is, Step, World, queue, steps};

const AFTER: Nanos = Nanos::from_nanos(15);
const DELAY: Shedding = Shedding::ControlledDelay {
    target: Nanos::from_nanos(3),
    interval: Nanos::from_nanos(20),
};
const CODEL: Shedding = Shedding::CoDel {
    target: Nanos::from_nanos(3),
    interval: Nanos::from_nanos(20),
};

pub(crate) fn orders() -> impl Strategy<Value = Order> {
    let quantum = prop_oneof![Just(1), Just(10), Just(1_000)].prop_map(|quantum| Order::Deficit {
        quantum: NonZeroU32::new(quantum).expect("not zero"),
        output_default: 0,
    });
    prop_oneof![
        Just(Order::Fifo),
        Just(Order::Lifo),
        Just(Order::AdaptiveLifo { after: AFTER }),
        Just(Order::Priority),
        Just(Order::Deadline),
        quantum,
        Just(Order::Vtc { output_default: 0 }),
    ]
}

fn sheddings() -> impl Strategy<Value = Shedding> {
    prop_oneof![Just(Shedding::Never), Just(CODEL), Just(DELAY)]
}

/// The guests of a world are granted in the order of `key`, the least first.
fn goes_by<K: Ord>(
    order: Order,
    length: u32,
    steps: &[Step],
    key: impl Fn(&World, &guests::Guest) -> K,
) -> Result<(), TestCaseError> {
    let mut world = World::new(order, Shedding::Never, length);
    for step in steps {
        let Step::Grant { tools } = *step else {
            world.step(step)?;
            continue;
        };
        let now = world.now;
        let wanted = |guest: &&guests::Guest| {
            guest.is == Is::Waiting && now < guest.waiter.expires && (tools || !guest.waiter.needs.tools)
        };
        let expected = world
            .guests
            .iter()
            .filter(wanted)
            .min_by_key(|guest| key(&world, guest));
        let expected = expected.map(|guest| guest.waiter.request);
        let granted = world.grant(tools)?;
        prop_assert_eq!(granted, expected);
    }
    Ok(())
}

proptest! {
    /// First in, first out among those the endpoint may serve; whoever's time is over is passed over, and told.
    #[test]
    fn fifo_is_fifo((length, steps) in steps()) {
        goes_by(Order::Fifo, length, &steps, |_, guest| guest.place)?;
    }

    /// Last in, first out.
    #[test]
    fn lifo_is_lifo((length, steps) in steps()) {
        goes_by(Order::Lifo, length, &steps, |_, guest| std::cmp::Reverse(guest.place))?;
    }

    /// First in, first out, until somebody has always been waiting for longer than `after`; then last in, first out.
    #[test]
    fn adaptive_lifo_turns_round((length, steps) in steps()) {
        let order = Order::AdaptiveLifo { after: AFTER };
        goes_by(order, length, &steps, |world, guest| {
            let number = i64::try_from(guest.waiter.request.0).expect("a few");
            let stands = world.busy_since.is_some_and(|since| since + AFTER < world.now);
            if stands { -number } else { number }
        })?;
    }

    /// The most urgent first, and among them who came first.
    #[test]
    fn priority_goes_by_rank((length, steps) in steps()) {
        goes_by(Order::Priority, length, &steps, |_, guest| (std::cmp::Reverse(guest.waiter.priority), guest.place))?;
    }

    /// The earliest deadline first, and among equals who came first.
    #[test]
    fn deadline_goes_by_deadline((length, steps) in steps()) {
        goes_by(Order::Deadline, length, &steps, |_, guest| (guest.waiter.deadline, guest.place))?;
    }

    /// Whoever was pushed leaves exactly once: granted, expired, shed or removed.
    #[test]
    fn everyone_leaves_once(order in orders(), shedding in sheddings(), (length, steps) in steps()) {
        let mut world = World::new(order, shedding, length);
        for step in &steps {
            world.step(step)?;
        }
        for guest in &mut world.guests {
            let expected = match guest.is {
                Is::Waiting => Removal::Removed,
                Is::Granted(permit) => Removal::AlreadyAdmitted(permit),
                Is::Told(_) | Is::Left => Removal::Absent,
            };
            prop_assert_eq!(world.queue.remove(guest.place), expected);
            prop_assert_eq!(world.queue.remove(guest.place), Removal::Absent);
            prop_assert_eq!(world.queue.claim(guest.place), Claim::Absent);
        }
        prop_assert_eq!(world.queue.waiting(), 0);
    }

    /// Whatever the order, a permit stays unused only if nobody waits, in time, who can use it, or all of them are shed.
    #[test]
    fn orders_conserve_work(order in orders(), shedding in sheddings(), (length, steps) in steps()) {
        let mut world = World::new(order, shedding, length);
        for step in &steps {
            let Step::Grant { tools } = *step else {
                world.step(step)?;
                continue;
            };
            let granted = world.grant(tools)?;
            let now = world.now;
            let could = |guest: &guests::Guest| {
                guest.is == Is::Waiting && now < guest.waiter.expires && (tools || !guest.waiter.needs.tools)
            };
            prop_assert!(granted.is_some() || !world.guests.iter().any(could));
        }
    }

    /// Never more waiting than `length`.
    #[test]
    fn queue_is_bounded(order in orders(), shedding in sheddings(), (length, steps) in steps()) {
        let mut world = World::new(order, shedding, length);
        for step in &steps {
            world.step(step)?;
            prop_assert!(world.queue.waiting() <= length);
        }
    }

    /// A thread that is late sees the time of whoever was there last.
    #[test]
    fn late_now_is_clamped(times in prop::collection::vec(0_u64..100, 1..20)) {
        let mut queue = queue(Order::Fifo, Shedding::Never, 1);
        let mut latest = 0;
        for now in times {
            latest = latest.max(now);
            prop_assert_eq!(queue.not_before(Instant::from_nanos(now)), Instant::from_nanos(latest));
        }
    }

    /// Nobody is granted a permit who has waited for longer than he may, and nobody is shed who has not: a hurried
    /// guest the target, any other the interval. Those who came first are not left waiting for longer, whatever the order.
    #[test]
    fn controlled_delay_bounds_waits(order in orders(), (length, steps) in steps()) {
        let mut world = World::new(order, DELAY, length);
        for step in &steps {
            let before: Vec<Is> = world.guests.iter().map(|guest| guest.is).collect();
            let oldest = (0..before.len()).filter(|at| before[*at] == Is::Waiting);
            let oldest: Vec<usize> = oldest.collect();
            world.step(step)?;
            let now = world.now;
            let is_overdue = |guest: &guests::Guest| {
                let patience = Nanos::from_nanos(if guest.hurried { 3 } else { 20 });
                patience < now.since(guest.since)
            };
            for (guest, was) in world.guests.iter().zip(before) {
                let (is, was_waiting) = (guest.is, was == Is::Waiting);
                match is {
                    Is::Granted(_) if was_waiting => prop_assert!(!is_overdue(guest)),
                    Is::Told(Verdict::Shed) if was_waiting => prop_assert!(is_overdue(guest)),
                    Is::Granted(_) | Is::Told(_) | Is::Waiting | Is::Left => {}
                }
            }
            if let Step::Grant { .. } = step {
                let oldest = oldest.iter().map(|at| &world.guests[*at]);
                for guest in oldest.take_while(|guest| is_overdue(guest)) {
                    prop_assert_ne!(guest.is, Is::Waiting);
                }
            }
        }
    }
}

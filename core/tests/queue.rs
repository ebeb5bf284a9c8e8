//! The wait queue against a model that keeps everything in plain lists.

use proptest::prelude::*;
use tollgate_core::id::{EndpointId, RequestId};
use tollgate_core::policy::{Needs, QueueShape};
use tollgate_core::queue::{Claim, Full, Permit, Place, Removal, WaitQueue, Waiter};
use tollgate_core::time::{Instant, Nanos};

/// What is done to a queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push {
        tools: bool,
        patience: u64,
    },
    /// A permit comes, of an endpoint that can or cannot call tools.
    Grant {
        tools: bool,
    },
    Claim(usize),
    Remove(usize),
    Pass(u64),
}

/// One who was pushed.
#[derive(Clone, Copy, Debug)]
struct Guest {
    place: Place,
    waiter: Waiter,
    is: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Waiting,
    Granted(Permit),
    Expired,
    Left,
}

fn steps() -> impl Strategy<Value = (u32, Vec<Step>)> {
    let step = prop_oneof![
        4 => (any::<bool>(), 1_u64..20).prop_map(|(tools, patience)| Step::Push { tools, patience }),
        3 => any::<bool>().prop_map(|tools| Step::Grant { tools }),
        2 => (0_usize..120).prop_map(Step::Claim),
        1 => (0_usize..120).prop_map(Step::Remove),
        1 => (0_u64..10).prop_map(Step::Pass),
    ];
    (0_u32..6, prop::collection::vec(step, 0..400))
}

proptest! {
    /// First in, first out among those the endpoint may serve; whoever's time is over is passed over, and told.
    #[test]
    fn fifo_is_fifo((length, steps) in steps()) {
        run(length, &steps)?;
    }

    /// Whoever was pushed leaves exactly once: granted, expired or removed.
    #[test]
    fn everyone_leaves_once((length, steps) in steps()) {
        let (mut queue, mut guests, _) = run(length, &steps)?;
        for guest in &mut guests {
            let expected = match guest.is {
                Is::Waiting => Removal::Removed,
                Is::Granted(permit) => Removal::AlreadyAdmitted(permit),
                Is::Expired | Is::Left => Removal::Absent,
            };
            prop_assert_eq!(queue.remove(guest.place), expected);
            prop_assert_eq!(queue.remove(guest.place), Removal::Absent);
            prop_assert_eq!(queue.claim(guest.place), Claim::Absent);
        }
        prop_assert_eq!(queue.waiting(), 0);
    }

    /// Never more waiting than `length`.
    #[test]
    fn queue_is_bounded((length, steps) in steps()) {
        let (_, _, most) = run(length, &steps)?;
        prop_assert!(most <= length);
    }

    /// A thread that is late sees the time of whoever was there last.
    #[test]
    fn late_now_is_clamped(times in prop::collection::vec(0_u64..100, 1..20)) {
        let mut queue = queue(1);
        let mut latest = 0;
        for now in times {
            latest = latest.max(now);
            prop_assert_eq!(queue.not_before(Instant::from_nanos(now)), Instant::from_nanos(latest));
        }
    }
}

fn queue(length: u32) -> WaitQueue {
    let wait = Nanos::FOREVER;
    WaitQueue::new(QueueShape { length, wait })
}

/// Does `steps` to a queue and to the model, and holds one against the other.
fn run(length: u32, steps: &[Step]) -> Result<(WaitQueue, Vec<Guest>, u32), TestCaseError> {
    let mut queue = queue(length);
    let mut guests: Vec<Guest> = Vec::new();
    let (mut now, mut most) = (Instant::EPOCH, 0);
    for (nth, step) in steps.iter().enumerate() {
        match *step {
            Step::Push { tools, patience } => {
                let waiter = Waiter {
                    request: RequestId(nth as u64),
                    needs: Needs {
                        tools,
                        ..Needs::default()
                    },
                    expires: now + Nanos::from_nanos(patience),
                };
                let has_room = queue.has_room();
                match queue.push(waiter) {
                    Ok(place) => {
                        prop_assert!(has_room);
                        let is = Is::Waiting;
                        guests.push(Guest { place, waiter, is });
                    }
                    Err(Full) => prop_assert!(!has_room),
                }
            }
            Step::Grant { tools } => grant(&mut queue, &mut guests, now, nth, tools)?,
            Step::Claim(at) if at < guests.len() => {
                let guest = &mut guests[at];
                let expected = match guest.is {
                    Is::Waiting => Claim::Waiting,
                    Is::Granted(permit) => Claim::Permit(permit),
                    Is::Expired | Is::Left => Claim::Absent,
                };
                prop_assert_eq!(queue.claim(guest.place), expected);
                if matches!(guest.is, Is::Granted(_)) {
                    guest.is = Is::Left;
                }
            }
            Step::Remove(at) if at < guests.len() => {
                let guest = &mut guests[at];
                let expected = match guest.is {
                    Is::Waiting => Removal::Removed,
                    Is::Granted(permit) => Removal::AlreadyAdmitted(permit),
                    Is::Expired | Is::Left => Removal::Absent,
                };
                prop_assert_eq!(queue.remove(guest.place), expected);
                guest.is = Is::Left;
            }
            Step::Claim(_) | Step::Remove(_) => {}
            Step::Pass(nanos) => now += Nanos::from_nanos(nanos),
        }
        let waiting = |guest: &&Guest| guest.is == Is::Waiting;
        let n_waiting = guests.iter().filter(waiting).count();
        prop_assert_eq!(u64::from(queue.waiting()), n_waiting as u64);
        let without_tools = guests.iter().filter(waiting).any(|guest| !guest.waiter.needs.tools);
        prop_assert_eq!(queue.has_waiter(|needs| !needs.tools), without_tools);
        most = most.max(queue.waiting());
    }
    Ok((queue, guests, most))
}

/// A permit comes: it goes to the first that can use it, and those before him whose time is over are told.
fn grant(
    queue: &mut WaitQueue,
    guests: &mut [Guest],
    now: Instant,
    nth: usize,
    tools: bool,
) -> Result<(), TestCaseError> {
    let can_serve = |needs: &Needs| tools || !needs.tools;
    let permit = Permit {
        endpoint: EndpointId::at(nth),
        probe: None,
    };
    let (mut told, mut expected, mut first) = (Vec::new(), Vec::new(), None);
    for guest in guests.iter_mut().filter(|guest| guest.is == Is::Waiting) {
        if guest.waiter.expires <= now {
            guest.is = Is::Expired;
            expected.push(guest.waiter.request);
        } else if can_serve(&guest.waiter.needs) {
            guest.is = Is::Granted(permit);
            first = Some(guest.waiter.request);
            break;
        }
    }
    let granted = queue.grant(now, permit, can_serve, |request| told.push(request));
    prop_assert_eq!(granted, first);
    prop_assert_eq!(told, expected);
    Ok(())
}

//! Wait queues: one request joins sixteen that wait, and the one whose turn it is takes up its permit.

use std::hint::black_box;
use std::num::NonZeroU32;

use tollgate_core::id::{EndpointId, RequestId, TenantId};
use tollgate_core::policy::{Needs, Order, Priority, QueueShape, Shedding, Weight};
use tollgate_core::queue::{Claim, Permit, Place, WaitQueue, Waiter};
use tollgate_core::time::{Instant, Nanos};

use super::Path;

/// Who waits all the time.
const WAITING: u64 = 16;

pub(super) fn paths() -> Vec<Path> {
    let quantum = NonZeroU32::new(1_000).expect("not zero");
    let output_default = 512;
    let codel = Shedding::CoDel {
        target: Nanos::from_secs(1),
        interval: Nanos::from_secs(1),
    };
    vec![
        queue("first come", Order::Fifo, Shedding::Never),
        queue("last come", Order::Lifo, Shedding::Never),
        queue("priority", Order::Priority, Shedding::Never),
        queue("deadline", Order::Deadline, Shedding::Never),
        queue(
            "deficit",
            Order::Deficit {
                quantum,
                output_default,
            },
            Shedding::Never,
        ),
        queue("least served", Order::Vtc { output_default }, Shedding::Never),
        queue("first come, CoDel", Order::Fifo, codel),
    ]
}

fn queue(name: &str, order: Order, shedding: Shedding) -> Path {
    let mut queue = WaitQueue::new(QueueShape {
        order,
        length: 64,
        wait: Nanos::from_secs(60),
        shedding,
    });
    let (mut now, mut number) = (Instant::EPOCH, 0);
    // Where each of the last requests waits.
    let mut places: Vec<Option<Place>> = vec![None; 1 << 10];
    let mut join = move |queue: &mut WaitQueue, places: &mut Vec<Option<Place>>| {
        now += Nanos::from_micros(100);
        number += 1;
        let place = queue.push(now, waiter(number, now)).expect("there is room");
        places[slot(number)] = Some(place);
        now
    };
    for _ in 0..WAITING {
        join(&mut queue, &mut places);
    }
    Path::new(format!("queue, {name}: joined, granted, taken up"), move |rounds| {
        let queue = black_box(&mut queue);
        let permit = Permit {
            endpoint: EndpointId(0),
            probe: None,
        };
        for _ in 0..rounds {
            let now = join(queue, &mut places);
            let next = queue.grant(now, permit, |_| true, |_, _| {});
            let next = next.expect("somebody waits");
            let place = places[slot(next.0)].expect("it waits");
            assert_eq!(queue.claim(place), Claim::Permit(permit));
        }
    })
}

fn slot(number: u64) -> usize {
    usize::try_from(number % (1 << 10)).expect("a small number")
}

fn waiter(number: u64, now: Instant) -> Waiter {
    Waiter {
        request: RequestId(number),
        needs: Needs::default(),
        expires: now + Nanos::from_secs(3_600),
        tenant: TenantId(u32::try_from(number % 4).expect("a small number")),
        weight: Weight::default(),
        priority: Priority::Normal,
        deadline: now + Nanos::from_secs(60 - number % 7),
        cost: 100,
    }
}

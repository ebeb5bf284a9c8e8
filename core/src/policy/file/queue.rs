//! `queue`, `codel` and `controlled_delay` of a pool

use core::num::NonZeroU32;

use crate::file::{Section, kind};
use crate::policy::{Order, QueueShape, Shedding};
use crate::time::Nanos;

/// Reads the queue of `pool`.
pub(super) fn read(pool: &Section<'_>) -> QueueShape {
    let mut table = pool.table_or_empty("queue");
    let order = table.variant("order", kind::one_of(ORDERS, &[]), Some(Order::Fifo));
    QueueShape {
        order: order.map_or(Order::Fifo, |order| with_numbers(order, &table)),
        length: table.or("length", kind::integer(0_u32, 1_000_000), 100),
        wait: table.or("wait", kind::length, Nanos::from_secs(10)),
        shedding: shedding(pool),
    }
}

const ORDERS: &[(&str, Order)] = &[
    ("fifo", Order::Fifo),
    ("lifo", Order::Lifo),
    ("adaptive-lifo", Order::AdaptiveLifo { after: INTERVAL }),
    ("priority", Order::Priority),
    ("deadline", Order::Deadline),
    (
        "deficit",
        Order::Deficit {
            quantum: NonZeroU32::new(QUANTUM).expect("not zero"),
            output_default: OUTPUT,
        },
    ),
    ("vtc", Order::Vtc { output_default: OUTPUT }),
];

/// About what one request costs.
const QUANTUM: u32 = 1_000;
/// As of a limit.
const OUTPUT: u32 = 512;
const TARGET: Nanos = Nanos::from_millis(5);
const INTERVAL: Nanos = Nanos::from_millis(100);

/// `order` with the numbers that `table` gives it.
fn with_numbers(order: Order, table: &Section<'_>) -> Order {
    let output = || table.or("output_default", kind::integer(1_u32, 10_000_000), OUTPUT);
    match order {
        Order::Fifo | Order::Lifo | Order::Priority | Order::Deadline => order,
        Order::AdaptiveLifo { after } => Order::AdaptiveLifo {
            after: table.or("after", kind::length, after),
        },
        Order::Deficit { quantum, .. } => Order::Deficit {
            quantum: NonZeroU32::new(table.or("quantum", kind::integer(1_u32, 10_000_000), QUANTUM)).unwrap_or(quantum),
            output_default: output(),
        },
        Order::Vtc { .. } => Order::Vtc {
            output_default: output(),
        },
    }
}

fn shedding(pool: &Section<'_>) -> Shedding {
    let codel = pool.table("codel").as_ref().map(numbers);
    let controlled = pool.table("controlled_delay").as_ref().map(numbers);
    match (codel, controlled) {
        (None, None) => Shedding::Never,
        (Some((target, interval)), None) => Shedding::CoDel { target, interval },
        (None, Some((target, interval))) => Shedding::ControlledDelay { target, interval },
        (Some((target, interval)), Some(_)) => {
            let help = "leave one out; `controlled_delay` is for clients that do not slow down";
            pool.forbid(
                "controlled_delay",
                "a queue is shortened by `codel` or by `controlled_delay`",
                "the second of two",
                help,
            );
            Shedding::CoDel { target, interval }
        }
    }
}

/// Target and interval.
fn numbers(table: &Section<'_>) -> (Nanos, Nanos) {
    let target = table.optional("target", kind::length);
    let interval = table.or("interval", kind::length, INTERVAL);
    if let Some(target) = &target
        && interval <= target.value
    {
        let message = alloc::format!(
            "`target` is {}, and must be below `interval`, which is {interval}",
            target.value
        );
        let help = Some("an `interval` is usually about twenty targets");
        table.report().error(target.span, message, "not below `interval`", help);
    }
    (target.map_or(TARGET, |target| target.value), interval)
}

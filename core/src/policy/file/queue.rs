//! `queue` of a pool

use crate::file::{Section, kind};
use crate::policy::QueueShape;
use crate::time::Nanos;

pub(super) fn read(table: &Section<'_>) -> QueueShape {
    let later = &["lifo", "adaptive-lifo", "priority", "deadline", "deficit", "vtc"];
    table.optional("order", kind::one_of(&[("fifo", ())], later));
    QueueShape {
        length: table.or("length", kind::integer(0_u32, 1_000_000), 100),
        wait: table.or("wait", kind::length, Nanos::from_secs(10)),
    }
}

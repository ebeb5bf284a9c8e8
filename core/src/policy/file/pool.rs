//! `[[pool]]`

use super::tenant::{later, named};
use super::{balance, endpoint, health, queue, raw};
use crate::file::{Section, Value, kind};
use crate::policy::Pool;
use crate::time::Nanos;

pub(super) fn read(section: &Section<'_>) -> raw::Pool {
    let name = named(section);
    let (balance, choices) = balance::read(&mut section.table_or_empty("balance"));
    section.optional("slow_start", |value: &Value<'_>| match kind::duration(value)? {
        Nanos::ZERO => Ok(()),
        _ => Err(later("slow start", "slow_start = \"0s\", or leave it out")),
    });
    let endpoints = section.tables("endpoint", super::ENDPOINTS);
    if endpoints.is_empty() {
        let help = Some("add [[pool.endpoint]] below it");
        section
            .report()
            .error(name.span, "this pool has no endpoint", "empty", help);
    }
    raw::Pool {
        checked: Pool {
            name: name.value,
            endpoints: 0..0,
            balance,
            breaker: health::read(&mut section.table_or_empty("health")),
            panic_below: health::single(section.or("panic_below", kind::share, 0.5)),
            probe: section.table("probe").as_ref().map(health::probe),
            queue: queue::read(section),
        },
        name: name.span,
        choices,
        endpoints: endpoints.iter().map(endpoint::read).collect(),
    }
}

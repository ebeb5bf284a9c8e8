//! `[[pool]]`

use super::tenant::named;
use super::{balance, endpoint, health, queue, raw, throttle};
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value};
use crate::policy::{Pool, SlowStart};
use crate::time::Nanos;

pub(super) fn read(section: &Section<'_>) -> raw::Pool {
    let name = named(section);
    let balance = balance::read(&mut section.table_or_empty("balance"));
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
            balance: balance.checked,
            slow_start: slow_start(section),
            breaker: health::read(&mut section.table_or_empty("health")),
            panic_below: health::single(section.or("panic_below", kind::share, 0.5)),
            probe: section.table("probe").as_ref().map(health::probe),
            throttle: section.table("throttle").as_mut().and_then(throttle::read),
            queue: queue::read(section),
        },
        name: name.span,
        choices: balance.choices,
        score: balance.score,
        endpoints: endpoints.iter().map(endpoint::read).collect(),
    }
}

/// A window, or a window and its shape; none if it is no time at all.
fn slow_start(section: &Section<'_>) -> Option<SlowStart> {
    const EVENLY: f64 = 1.0;
    const AT_ONCE: f64 = 0.1;
    let value = section.value("slow_start")?;
    let shape = if value.toml().is_table() {
        let table = value.table(alloc::string::String::from("`slow_start`"))?;
        let window = table.required("window", kind::duration);
        SlowStart {
            aggression: table.or("aggression", kind::positive(100.0), EVENLY),
            min_share: table.or("min_share", kind::share_above_0, AT_ONCE),
            window: window?.value,
        }
    } else {
        SlowStart {
            window: value.read(window)?.value,
            aggression: EVENLY,
            min_share: AT_ONCE,
        }
    };
    (shape.window != Nanos::ZERO).then_some(shape)
}

fn window(value: &Value<'_>) -> Result<Nanos, Wrong> {
    let wrong =
        || Wrong::expected("a duration such as \"30s\", or a table such as `{ window = \"30s\", aggression = 1.0 }`");
    kind::duration(value).map_err(|_| wrong())
}

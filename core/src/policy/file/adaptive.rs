//! `bounds` of a `[[limit]]`

use alloc::format;
use core::num::NonZeroU32;

use crate::file::kind;
use crate::file::{At, Section};
use crate::policy::{AdaptiveKind, Bounds};

/// Between what an adaptive limit moves, which is as published where the file does not say.
///
/// Where the published beginning lies beyond the bounds that the file gives, it is the nearest that does not.
pub(super) fn bounds(section: &Section<'_>, kind: AdaptiveKind) -> Bounds {
    let published = Bounds::published(kind);
    let message = "an adaptive limit has no quota: it counts what is in flight";
    section.forbid(
        "quota",
        message,
        "not for an adaptive limit",
        "say how many with `bounds`",
    );
    let message = "an adaptive limit moves: it has bounds";
    section.forbid(
        "max_in_flight",
        message,
        "not for an adaptive limit",
        "bounds = { max = 100 }",
    );
    let table = section.table_or_empty("bounds");
    let initial = table.optional("initial", kind::integer(1_u32, MOST));
    let min = table.optional("min", kind::integer(1_u32, MOST));
    let max = table.optional("max", kind::integer(1_u32, MOST));
    let (least, most) = match (&min, &max) {
        (Some(min), Some(max)) => (min.value, max.value),
        // One that is given moves the other along, if it has to.
        (Some(min), None) => (min.value, published.max.get().max(min.value)),
        (None, Some(max)) => (published.min.get().min(max.value), max.value),
        (None, None) => (published.min.get(), published.max.get()),
    };
    if let Some(at) = &max
        && most < least
    {
        let message = format!("the largest limit, {most}, is below the smallest, {least}");
        let help = Some("a smaller `min` or a larger `max`");
        table.report().error(at.span, message, "`max` is below `min`", help);
    }
    let begins = match initial {
        Some(At { value, span }) => {
            if least <= most && (value < least || most < value) {
                let message = format!("the limit begins at {value}, which is not within {least} and {most}");
                let help = Some(format!("an `initial` from {least} to {most}"));
                table.report().error(span, message, "out of bounds", help);
            }
            value
        }
        None => published.initial.get().min(most).max(least),
    };
    let whole = |limit, instead| NonZeroU32::new(limit).unwrap_or(instead);
    Bounds {
        initial: whole(begins, published.initial),
        min: whole(least, published.min),
        max: whole(most, published.max),
    }
}

/// The largest limit that can be asked for: as many requests as a process can have sockets, and more.
const MOST: u32 = 1 << 20;

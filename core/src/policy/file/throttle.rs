//! `throttle` of a pool

use alloc::format;
use core::num::NonZeroU32;

use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value};
use crate::policy::{EnvoyAdmission, Throttle};
use crate::time::Nanos;

#[derive(Clone, Copy)]
enum Kind {
    Sre,
    EnvoyAdmission,
}

/// Reads a throttle; none if its kind is missing or unknown.
pub(super) fn read(table: &mut Section<'_>) -> Option<Throttle> {
    let words = &[("sre", Kind::Sre), ("envoy-admission", Kind::EnvoyAdmission)];
    Some(match table.variant("kind", kind::one_of(words, &[]), None)? {
        Kind::Sre => Throttle::Sre {
            k_thousandths: whole(table.or("k", between(1.0, 1_000.0), 2.0), 1e3),
            window: table.or("window", kind::length, Nanos::from_secs(120)),
        },
        Kind::EnvoyAdmission => {
            let default = EnvoyAdmission::default();
            Throttle::EnvoyAdmission(EnvoyAdmission {
                success_rate_millionths: whole(table.or("success_rate", kind::share_above_0, 0.95), 1e6),
                aggression: table.or("aggression", between(1.0, 100.0), default.aggression),
                max: table.or("max", kind::share, default.max),
                rps_threshold: table.or("rps_threshold", kind::integer(0_u32, 1_000_000), default.rps_threshold),
                window: table.or("window", kind::length, default.window),
            })
        }
    })
}

fn between(least: f64, most: f64) -> impl Fn(&Value<'_>) -> Result<f64, Wrong> {
    move |value| {
        let number = kind::number(value).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| Wrong::expected(format!("a number from {least} to {most}")))
    }
}

/// The nearest whole number of parts to `number`, and at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be at most a million parts"
)]
fn whole(number: f64, parts: f64) -> NonZeroU32 {
    NonZeroU32::new((number * parts + 0.5) as u32).unwrap_or(NonZeroU32::MIN)
}

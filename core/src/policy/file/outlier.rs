//! `health` of kind "outlier"

use alloc::format;

use super::health::{count, period};
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value};
use crate::policy::{FailurePercentage, Outlier, Percent, Row, SuccessRate, Volume};
use crate::time::Nanos;

pub(super) fn read(table: &Section<'_>) -> Outlier {
    let default = Outlier::default();
    let base = table.or("base_ejection_time", kind::length, default.base_ejection_time);
    let (rate, share) = (&default.success_rate, &default.failure_percentage);
    Outlier {
        interval: table.or("interval", period, default.interval),
        base_ejection_time: base,
        max_ejection_time: longest(table, base, default.max_ejection_time),
        max_ejection_percent: table.or("max_ejection_percent", percent, default.max_ejection_percent),
        consecutive_5xx: Row {
            length: count(table, "consecutive_5xx", default.consecutive_5xx.length.get()),
            enforcing: table.or("enforcing_consecutive_5xx", percent, default.consecutive_5xx.enforcing),
        },
        consecutive_gateway_failure: Row {
            length: count(
                table,
                "consecutive_gateway_failure",
                default.consecutive_gateway_failure.length.get(),
            ),
            enforcing: table.or(
                "enforcing_consecutive_gateway_failure",
                percent,
                default.consecutive_gateway_failure.enforcing,
            ),
        },
        success_rate: SuccessRate {
            volume: Volume {
                minimum_hosts: number(table, "success_rate_minimum_hosts", rate.volume.minimum_hosts),
                request_volume: number(table, "success_rate_request_volume", rate.volume.request_volume),
            },
            stdev_thousandths: table.or("success_rate_stdev_factor", stdevs, rate.stdev_thousandths),
            enforcing: table.or("enforcing_success_rate", percent, rate.enforcing),
        },
        failure_percentage: FailurePercentage {
            volume: Volume {
                minimum_hosts: number(table, "failure_percentage_minimum_hosts", share.volume.minimum_hosts),
                request_volume: number(table, "failure_percentage_request_volume", share.volume.request_volume),
            },
            threshold: table.or("failure_percentage_threshold", percent, share.threshold),
            enforcing: table.or("enforcing_failure_percentage", percent, share.enforcing),
        },
    }
}

/// Left out, it is never below the first ejection.
fn longest(table: &Section<'_>, base: Nanos, default: Nanos) -> Nanos {
    let Some(longest) = table.optional("max_ejection_time", kind::length) else {
        return default.max(base);
    };
    if longest.value < base {
        let message = format!("the longest ejection, {}, is below the first, {base}", longest.value);
        let help = Some("a longer `max_ejection_time`, or a shorter `base_ejection_time`");
        table
            .report()
            .error(longest.span, message, "below `base_ejection_time`", help);
    }
    longest.value
}

fn percent(value: &Value<'_>) -> Result<Percent, Wrong> {
    kind::integer(0_u8, 100)(value).map(Percent::new)
}

fn number(table: &Section<'_>, key: &'static str, default: u32) -> u32 {
    table.or(key, kind::integer(1_u32, 1_000_000), default)
}

/// Standard deviations in thousandths, the nearest and at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 0 and 100"
)]
fn stdevs(value: &Value<'_>) -> Result<u32, Wrong> {
    let most = f64::from(SuccessRate::MOST_STDEVS) / 1e3;
    let factor = kind::positive(most)(value)?;
    Ok(((factor * 1e3 + 0.5) as u32).max(1))
}

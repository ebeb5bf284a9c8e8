//! Figures of one record: shares, and what they are shares of.

use crate::record::{Quiet, Record};

pub(super) fn attainment(record: &Record<Quiet>) -> Option<f64> {
    share(record.attained, record.calls)
}

pub(super) fn no_answer(record: &Record<Quiet>) -> Option<f64> {
    let counts = &record.counts;
    let refused: u64 = counts.refused.iter().sum();
    share(counts.failed + counts.abandoned + refused, counts.offered)
}

pub(super) fn lost_in_faults(record: &Record<Quiet>) -> Option<f64> {
    let lost = record.faults.iter().map(|fault| fault.failed + fault.refused).sum();
    (!record.faults.is_empty()).then(|| float(lost))
}

/// Busy share of the backend's servers; none if there is no bound to them.
pub(super) fn utilization(record: &Record<Quiet>, at: usize) -> Option<f64> {
    let load = &record.endpoints[at].load;
    let capacity = f64::from(load.capacity?);
    let time = record.end.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "one rounding of an exact sum")]
    let busy = load.busy as f64 / 1e9;
    (0.0 < time).then(|| busy / time / capacity)
}

/// Jain's fairness index of the share of its requests that each tenant got answered.
pub(super) fn fairness(record: &Record<Quiet>) -> Option<f64> {
    let offering = record.tenants.iter().filter(|tenant| 0 < tenant.offered);
    let (n, sum, squares) = offering.fold((0.0, 0.0, 0.0), |(n, sum, squares), tenant| {
        // What a tenant got of what it asked for: tenants differ in size.
        let got = float(tenant.completed) / float(tenant.offered);
        (n + 1.0, sum + got, squares + got * got)
    });
    (0.0 < squares).then(|| sum * sum / (n * squares))
}

pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (0 < whole).then(|| float(part) / float(whole))
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

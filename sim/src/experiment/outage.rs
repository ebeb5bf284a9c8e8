//! What a fault cost, and how fast a strategy was itself again.
//!
//! Recovery is read off the bins, averaged over replications: from the end of the fault until a sliding mean of p99
//! and attainment is back within 10 % of what it was before the fault, and stays so for as long as the mean is wide.

/// One bin, averaged over replications.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    /// The 99th percentile of latency; none if nothing was measured.
    pub(super) p99: Option<f64>,
    /// Share of calls that met all their targets; none if none ended.
    pub(super) attainment: Option<f64>,
}

/// How wide the sliding mean is, in bins.
const WIDTH: usize = 30;
/// How far from before is still back.
const NEAR: f64 = 0.10;

/// Seconds after bin `end` until the strategy was back to what it was in bins `calm..start`.
///
/// None if it never was, or if there is nothing to compare with.
#[expect(clippy::cast_precision_loss, reason = "a number of bins")]
pub(super) fn recovery(moments: &[Moment], calm: usize, start: usize, end: usize, bin: f64) -> Option<f64> {
    let before = mean(moments.get(calm..start.min(moments.len()))?);
    let (p99, attainment) = (before.p99?, before.attainment?);
    let is_back = |at: usize| {
        let upto = (at + WIDTH).min(moments.len());
        let now = mean(&moments[at..upto]);
        let fast = now.p99.is_some_and(|now| now <= p99 * (1.0 + NEAR));
        let good = now.attainment.is_some_and(|now| attainment * (1.0 - NEAR) <= now);
        fast && good
    };
    let last = moments.len().checked_sub(WIDTH)?;
    let back = (end..=last).find(|at| is_back(*at))?;
    Some((back - end) as f64 * bin)
}

fn mean(moments: &[Moment]) -> Moment {
    Moment {
        p99: average(moments.iter().filter_map(|moment| moment.p99)),
        attainment: average(moments.iter().filter_map(|moment| moment.attainment)),
    }
}

/// The mean of `values`; none of nothing.
pub(super) fn average(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    (0.0 < n).then(|| sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(p99: impl Fn(usize) -> f64) -> Vec<Moment> {
        let moment = |at| Moment {
            p99: Some(p99(at)),
            attainment: Some(if p99(at) < 2.0 { 1.0 } else { 0.2 }),
        };
        (0..100).map(moment).collect()
    }

    #[test]
    fn undisturbed_is_back_at_once() {
        assert_eq!(recovery(&moments(|_| 1.0), 0, 30, 50, 1.0), Some(0.0));
    }

    #[test]
    fn backlog_delays_recovery() {
        let list = moments(|at| if (30..70).contains(&at) { 5.0 } else { 1.0 });
        let seconds = recovery(&list, 0, 30, 50, 2.0).expect("it recovers");
        assert!((36.0..=40.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn collapse_never_recovers() {
        assert_eq!(
            recovery(&moments(|at| if at < 30 { 1.0 } else { 5.0 }), 0, 30, 50, 1.0),
            None
        );
    }
}

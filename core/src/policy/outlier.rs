//! When an endpoint is ejected for being worse than its peers: the numbers of Envoy's outlier detection.

use core::num::NonZeroU32;

use crate::time::Nanos;

/// The numbers of outlier detection, under the names that Envoy has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// From one sweep of the pool to the next.
    pub interval: Nanos,
    /// How long the first ejection lasts; the n-th lasts n times as long.
    pub base_ejection_time: Nanos,
    /// How long an ejection lasts at most.
    pub max_ejection_time: Nanos,
    /// Most endpoints of a pool that are ejected at once, in percent; one always may be.
    pub max_ejection_percent: Percent,
    /// Failures in a row.
    pub consecutive_5xx: Row,
    /// Gateway failures in a row: 502, 503, 504, and what stands for them.
    pub consecutive_gateway_failure: Row,
    /// A success rate far below that of the others.
    pub success_rate: SuccessRate,
    /// A share of failures, whatever the others do.
    pub failure_percentage: FailurePercentage,
}

/// A share in whole percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

/// So many in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// How many.
    pub length: NonZeroU32,
    /// How often an endpoint that does it is ejected indeed.
    pub enforcing: Percent,
}

/// How much has to be known before endpoints are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Endpoints of which enough is known.
    pub minimum_hosts: u32,
    /// Attempts of an interval that are enough.
    pub request_volume: u32,
}

/// A success rate below the mean by more than so many standard deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// What has to be known.
    pub volume: Volume,
    /// Standard deviations, in thousandths; at most [`SuccessRate::MOST_STDEVS`].
    pub stdev_thousandths: u32,
    /// How often an endpoint that does it is ejected indeed.
    pub enforcing: Percent,
}

/// At least so many failures in a hundred attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePercentage {
    /// What has to be known.
    pub volume: Volume,
    /// The share.
    pub threshold: Percent,
    /// How often an endpoint that does it is ejected indeed.
    pub enforcing: Percent,
}

impl Percent {
    /// Never.
    pub const NONE: Percent = Percent(0);
    /// Always.
    pub const ALL: Percent = Percent(100);

    /// So many percent; more than a hundred are a hundred.
    #[must_use]
    pub const fn new(percent: u8) -> Percent {
        Percent(if percent < 100 { percent } else { 100 })
    }

    /// From 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl SuccessRate {
    /// Most standard deviations, in thousandths: a hundred.
    pub const MOST_STDEVS: u32 = 100_000;
}

impl Default for Outlier {
    fn default() -> Outlier {
        let five = NonZeroU32::MIN.saturating_add(4);
        Outlier {
            interval: Nanos::from_secs(10),
            base_ejection_time: Nanos::from_secs(30),
            max_ejection_time: Nanos::from_secs(300),
            max_ejection_percent: Percent(10),
            consecutive_5xx: Row {
                length: five,
                enforcing: Percent::ALL,
            },
            consecutive_gateway_failure: Row {
                length: five,
                enforcing: Percent::NONE,
            },
            success_rate: SuccessRate {
                volume: Volume {
                    minimum_hosts: 5,
                    request_volume: 100,
                },
                stdev_thousandths: 1_900,
                enforcing: Percent::ALL,
            },
            failure_percentage: FailurePercentage {
                volume: Volume {
                    minimum_hosts: 5,
                    request_volume: 50,
                },
                threshold: Percent(85),
                enforcing: Percent::NONE,
            },
        }
    }
}

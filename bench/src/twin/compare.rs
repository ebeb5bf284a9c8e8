//! Two sides beside each other: how far every figure is off, and whether that is more than chance.

use tollgate_reports::result::Metric;

use super::side::{METRICS, Side, Tally};
use super::sorted::{Sorted, count};

/// How far both sides of one strategy are apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The latencies, by metric.
    pub latencies: Vec<Compared>,
    /// Everything that was counted on either side.
    pub counts: Vec<Counted>,
    /// What the live side adds to a request with which nothing happens, in seconds: the differences between the same
    /// requests, answered by the same endpoint on both sides, to the first token and to the end.
    pub added: Added,
}

/// What the live side adds to the same request, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// To the first token.
    pub ttft: Sorted,
    /// To the end.
    pub e2e: Sorted,
}

impl Added {
    fn new(simulated: &Side, live: &Side) -> Added {
        let (mut ttft, mut e2e) = (Vec::new(), Vec::new());
        for (number, here) in &simulated.plain {
            let Some(there) = live.plain.get(number).filter(|there| there.endpoint == here.endpoint) else {
                continue;
            };
            e2e.push(there.e2e - here.e2e);
            ttft.extend(there.ttft.zip(here.ttft).map(|(there, here)| there - here));
        }
        Added {
            ttft: Sorted::new(ttft),
            e2e: Sorted::new(e2e),
        }
    }
}

/// One latency on both sides, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Which.
    pub metric: Metric,
    /// How many values there are, simulated and live.
    pub values: [usize; 2],
    /// At each of [`QUANTILES`]: simulated and live.
    pub quantiles: [Pair; QUANTILES.len()],
    /// The largest difference between the distribution functions.
    pub distance: Option<f64>,
    /// What it would be exceeded by once in twenty, were both sides drawn independently from one distribution.
    pub chance: Option<f64>,
}

/// A figure on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// As simulated.
    pub simulated: Option<f64>,
    /// As it was live.
    pub live: Option<f64>,
}

/// A count on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Of what.
    pub tally: Tally,
    /// As simulated.
    pub simulated: u64,
    /// As it was live.
    pub live: u64,
}

/// The quantiles that are compared.
pub const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// How far a quantile may be off.
pub const MOST_ERROR: f64 = 0.05;
/// How far a count may be off, as a share.
pub const MOST_DIFFERENCE: f64 = 0.02;
/// How far it may be off in standard errors, if that is more.
pub const MOST_ERRORS: f64 = 3.0;
/// Counts below this are not judged.
pub const LEAST_JUDGED: u64 = 100;

impl Comparison {
    /// Both sides of one strategy.
    #[must_use]
    pub fn new(simulated: &Side, live: &Side) -> Comparison {
        let latencies = METRICS.iter().filter_map(|metric| {
            let (here, there) = (simulated.samples.get(metric)?, live.samples.get(metric)?);
            if here.is_empty() && there.is_empty() {
                return None;
            }
            Some(Compared {
                metric: *metric,
                values: [here.len(), there.len()],
                quantiles: QUANTILES.map(|at| Pair {
                    simulated: here.quantile(at),
                    live: there.quantile(at),
                }),
                distance: here.distance(there),
                chance: here.chance_distance(there),
            })
        });
        let mut tallies: Vec<&Tally> = simulated.counts.keys().chain(live.counts.keys()).collect();
        tallies.sort();
        tallies.dedup();
        Comparison {
            added: Added::new(simulated, live),
            latencies: latencies.collect(),
            counts: tallies
                .into_iter()
                .map(|tally| Counted {
                    tally: tally.clone(),
                    simulated: simulated.count(tally),
                    live: live.count(tally),
                })
                .collect(),
        }
    }

    /// How many figures are judged.
    #[must_use]
    pub fn judged(&self) -> usize {
        let latencies = self.latencies.iter().filter(|latency| latency.metric != Metric::Tpot);
        latencies.count() * QUANTILES.len() + self.counts.iter().filter(|counted| counted.is_judged()).count()
    }

    /// What is further off than it may be, in words.
    #[must_use]
    pub fn misses(&self) -> Vec<String> {
        let mut misses = Vec::new();
        for latency in &self.latencies {
            // TPOT is shown, and has no bound.
            let judged = QUANTILES
                .iter()
                .zip(latency.quantiles)
                .filter(|_| latency.metric != Metric::Tpot);
            for (at, pair) in judged {
                if pair.error().is_some_and(|error| MOST_ERROR < error.abs()) {
                    misses.push(format!(
                        "{} p{} {}",
                        latency.metric.name(),
                        at * 100.0,
                        percentage(pair.error())
                    ));
                }
            }
        }
        misses.extend(
            self.counts
                .iter()
                .filter(|counted| counted.is_missed())
                .map(|counted| format!("{} {}", counted.tally, percentage(counted.difference()))),
        );
        misses
    }
}

impl Pair {
    /// How far live is from simulated, as a share of that.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let (simulated, live) = (self.simulated?, self.live?);
        (simulated.abs() > 0.0).then(|| live / simulated - 1.0)
    }
}

impl Counted {
    /// How far live is from simulated, as a share of that.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        (0 < self.simulated).then(|| number(self.live) / number(self.simulated) - 1.0)
    }

    /// The same in standard errors of the simulated count, taken for one of Poisson's: its root. Both sides have the same
    /// dice, so what chance is left to them is less, and this is strict.
    #[must_use]
    pub fn errors(&self) -> Option<f64> {
        (0 < self.simulated).then(|| (number(self.live) - number(self.simulated)) / number(self.simulated).sqrt())
    }

    /// Whether there is enough of it to be judged.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        LEAST_JUDGED <= self.simulated.max(self.live)
    }

    /// Whether it is further off than it may be.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let is_off = |off: Option<f64>, most: f64| off.is_none_or(|off| most < off.abs());
        let is_off_in_errors = self.tally.is_all() || is_off(self.errors(), MOST_ERRORS);
        self.is_judged() && is_off(self.difference(), MOST_DIFFERENCE) && is_off_in_errors
    }
}

/// A share as a difference in per cent.
#[must_use]
pub fn percentage(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:+.1} %", share * 100.0))
}

fn number(of: u64) -> f64 {
    count(usize::try_from(of).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn side(scale: f64, limited: u64) -> Side {
        let values = (1..=1_000).map(|at| f64::from(at) * scale).collect();
        Side {
            counts: BTreeMap::from([(Tally::Offered, 10_000), (Tally::Refused("limited".into()), limited)]),
            samples: BTreeMap::from([(Metric::E2e, Sorted::new(values))]),
            ..Side::default()
        }
    }

    #[test]
    fn what_is_off_is_named() {
        let same = Comparison::new(&side(1.0, 400), &side(1.0, 400));
        assert_eq!(same.misses(), Vec::<String>::new());
        assert_eq!(same.latencies[0].distance, Some(0.0));
        let off = Comparison::new(&side(1.0, 400), &side(1.06, 470));
        assert_eq!(
            off.misses(),
            [
                "e2e p50 +6.0 %",
                "e2e p90 +6.0 %",
                "e2e p99 +6.0 %",
                "refused: limited +17.5 %"
            ]
        );
        let within = Comparison::new(&side(1.0, 400), &side(1.04, 455));
        assert_eq!(within.misses(), Vec::<String>::new(), "2.75 standard errors");
        assert!((within.counts[1].errors().expect("there were some") - 2.75).abs() < 1e-12);
    }

    #[test]
    fn what_is_rare_is_not_judged() {
        let rare = Comparison::new(&side(1.0, 10), &side(1.0, 90));
        assert_eq!(rare.misses(), Vec::<String>::new());
        let new = Comparison::new(&side(1.0, 0), &side(1.0, 150));
        assert_eq!(new.misses(), ["refused: limited –"]);
    }
}

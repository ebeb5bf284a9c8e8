//! A twin as a page and as data.

use serde_json::{Value, json};
use tollgate_reports::result::File;
use tollgate_reports::twin::{Section, Sheet, Twin};

use super::compare::{LEAST_JUDGED, QUANTILES};
use super::report::{COUNT_HEAD, LATENCY_HEAD, Report, Strategy, count_rows, latency_rows};
use super::sorted::Sorted;

impl Report {
    /// Everything as a page, with pictures and data.
    #[must_use]
    pub fn page(&self, question: &str) -> Twin {
        let misses: usize = self.misses().iter().map(|(_, misses)| misses.len()).sum();
        let judged: usize = self
            .strategies
            .iter()
            .map(|strategy| strategy.comparison.judged())
            .sum();
        let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let section = |strategy: &Strategy| Section {
            title: strategy.name.clone(),
            sheets: vec![
                Sheet {
                    head: owned(&LATENCY_HEAD),
                    rows: latency_rows(&strategy.comparison),
                },
                Sheet {
                    head: owned(&COUNT_HEAD),
                    rows: count_rows(&strategy.comparison),
                },
            ],
            notes: self.why(strategy),
            curves: strategy.curves.clone(),
        };
        Twin {
            title: self.scenario.clone(),
            question: question.to_owned(),
            answer: format!(
                "Of {judged} figures that are judged, {} further off than it may be: 5 % for a percentile of TTFT and E2E, 2 % or \
                 3 standard errors for what happened {LEAST_JUDGED} times or more.",
                match misses {
                    0 => "none is".to_owned(),
                    1 => "one is".to_owned(),
                    many => format!("{many} are"),
                }
            ),
            notes: self.notes.clone(),
            conditions: [
                ("Scenario hash", self.scenario_hash.clone()),
                ("Seed", self.seed.to_string()),
                ("Replication", self.replication.to_string()),
                ("Seconds of the scenario", self.seconds.to_string()),
                ("Warm-up, left out", self.warmup.to_string()),
                ("Time scale", self.scale.to_string()),
                ("Machine", self.machine.clone()),
                ("Made by", format!("tollgate {}", self.tollgate)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
            sections: self.strategies.iter().map(section).collect(),
            data: vec![
                File::new("twin.json", self.json()),
                File::new("twin.csv", self.csv()),
                File::new("twin.md", self.markdown()),
            ],
        }
    }

    /// Everything as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let strategies: Vec<Value> = self
            .strategies
            .iter()
            .map(|strategy| self.strategy_json(strategy))
            .collect();
        let value = json!({
            "tollgate": self.tollgate,
            "twin": self.scenario,
            "scenario_hash": self.scenario_hash,
            "seed": self.seed,
            "replication": self.replication,
            "time_scale": self.scale,
            "seconds": self.seconds,
            "warmup_seconds": self.warmup,
            "wall_seconds": self.wall,
            "machine": self.machine,
            "notes": self.notes,
            "strategies": strategies,
        });
        format!("{value:#}\n")
    }

    fn strategy_json(&self, strategy: &Strategy) -> Value {
        let comparison = &strategy.comparison;
        let latencies: serde_json::Map<String, Value> = comparison
            .latencies
            .iter()
            .map(|latency| {
                let mut of = json!({
                    "simulated_values": latency.values[0],
                    "live_values": latency.values[1],
                    "distance": latency.distance,
                    "distance_by_chance": latency.chance,
                });
                for (name, pair) in QUANTILE_NAMES.iter().zip(latency.quantiles) {
                    of[name] = json!({ "simulated": pair.simulated, "live": pair.live, "error": pair.error() });
                }
                (latency.metric.name().to_owned(), of)
            })
            .collect();
        let counts: serde_json::Map<String, Value> = comparison
            .counts
            .iter()
            .map(|counted| {
                let of = json!({
                    "simulated": counted.simulated,
                    "live": counted.live,
                    "difference": counted.difference(),
                    "standard_errors": counted.errors(),
                    "judged": counted.is_judged(),
                    "missed": counted.is_missed(),
                });
                (counted.tally.to_string(), of)
            })
            .collect();
        let added = |sample: &Sorted| json!({ "values": sample.len(), "p50": sample.quantile(0.5), "p99": sample.quantile(0.99) });
        json!({
            "name": strategy.name,
            "latencies": latencies,
            "counts": counts,
            "added": { "ttft": added(&comparison.added.ttft), "e2e": added(&comparison.added.e2e) },
            "send_lag": { "p50": strategy.lag[0], "p99": strategy.lag[1] },
            "misses": comparison.misses(),
            "why": self.why(strategy),
        })
    }

    /// One line a figure of a strategy.
    ///
    /// # Panics
    ///
    /// Never: a vector takes every byte.
    #[must_use]
    pub fn csv(&self) -> Vec<u8> {
        let mut to = csv::Writer::from_writer(Vec::new());
        let mut line = |fields: [&str; 6]| to.write_record(fields).expect("a vector takes every byte");
        line(["strategy", "figure", "simulated", "live", "error", "standard_errors"]);
        let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for strategy in &self.strategies {
            for latency in &strategy.comparison.latencies {
                let metric = latency.metric.name();
                for (name, pair) in QUANTILE_NAMES.iter().zip(latency.quantiles) {
                    let figure = format!("{metric}.{name}");
                    line([
                        &strategy.name,
                        &figure,
                        &text(pair.simulated),
                        &text(pair.live),
                        &text(pair.error()),
                        "",
                    ]);
                }
                line([
                    &strategy.name,
                    &format!("{metric}.distance"),
                    "",
                    &text(latency.distance),
                    "",
                    "",
                ]);
            }
            for counted in &strategy.comparison.counts {
                line([
                    &strategy.name,
                    &counted.tally.to_string(),
                    &counted.simulated.to_string(),
                    &counted.live.to_string(),
                    &text(counted.difference()),
                    &text(counted.errors()),
                ]);
            }
        }
        to.into_inner().expect("a vector takes every byte")
    }
}

const QUANTILE_NAMES: [&str; QUANTILES.len()] = ["p50", "p90", "p99"];

//! Every limiter side by side: what a decision costs, the rate it holds, the worst window it lets through, and what
//! it refuses or delays under several kinds of arrivals.
//!
//! Each limiter has the same quota, is asked at the same instants, and decides alone: no gateway is around it. What is
//! measured is therefore the algorithm, and time is virtual but for what a decision costs.
//!
//! ```
//! use tollgate_bench::limiters::{Options, lineup};
//!
//! let options = Options { periods: 20, rounds: 1, ..Options::default() };
//! let lineup = lineup(&options, &mut |_| ());
//! let fixed = lineup.tables.iter().find(|table| table.key == "adversarial").expect("it is always measured");
//! assert_eq!(fixed.rows.len(), options.contenders().len());
//! ```

mod arrivals;
mod contender;
mod cost;
mod findings;
pub mod instructions;
mod present;

use std::num::NonZeroU64;
use std::sync::Arc;

use tollgate_core::policy::Quota;
use tollgate_core::time::Nanos;
use tollgate_reports::lineup::Lineup;
use tollgate_sim::trace::Trace;

pub use arrivals::{Arrival, Pattern};
pub use contender::Contender;
pub use findings::{Findings, judge};

/// What is compared, and under what circumstances.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of every limiter; those without a burst allow `amount` at once.
    pub quota: Quota,
    /// What is counted.
    pub unit: Unit,
    /// Recorded traffic, instead of arrivals that are like it.
    pub trace: Option<Recorded>,
    /// The root of all chance.
    pub seed: u64,
    /// How many periods of the quota each pattern goes on for.
    pub periods: u32,
    /// How often the time of a decision is taken; the least counts.
    pub rounds: u32,
    /// Instructions of a decision, by contender, where somebody counted them (see [`instructions`]).
    pub instructions: Result<Vec<f64>, String>,
}

/// Recorded traffic.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// The rows.
    pub trace: Arc<Trace>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Each request is one unit.
    #[default]
    Requests,
    /// A request is as many units as its prompt and its answer have tokens.
    Tokens,
}

impl Default for Options {
    /// A hundred requests a second, a hundred at once, ten minutes of each pattern.
    fn default() -> Options {
        Options {
            quota: Quota {
                amount: NonZeroU64::MIN.saturating_add(99),
                period: Nanos::from_secs(1),
                burst: NonZeroU64::MIN.saturating_add(99),
            },
            unit: Unit::Requests,
            trace: None,
            seed: 1,
            periods: 600,
            rounds: 7,
            instructions: Err("not counted".to_owned()),
        }
    }
}

impl Options {
    /// Who is compared.
    #[must_use]
    pub fn contenders(&self) -> Vec<Contender> {
        Contender::all(self.quota)
    }
}

/// Compares every limiter; `progress` hears what is being measured.
#[must_use]
pub fn lineup(options: &Options, progress: &mut dyn FnMut(&str)) -> Lineup {
    let contenders = options.contenders();
    progress("what a decision costs");
    let costs: Vec<_> = contenders
        .iter()
        .map(|contender| cost::of(contender, options))
        .collect();
    let patterns = Pattern::all(options);
    let findings = patterns.iter().map(|pattern| {
        progress(&pattern.title);
        let arrivals = pattern.arrivals(options);
        contenders
            .iter()
            .map(|contender| contender.judge(options.quota, &arrivals))
            .collect()
    });
    let findings: Vec<Vec<_>> = findings.collect();
    present::lineup(options, &contenders, &costs, &patterns, &findings)
}

//! A limiter of one's own: held to the laws, then compared with GCRA in a flood and in a short simulation.
//!
//! `cargo run --example own_limiter`
//!
//! It grants two rates at once, as traffic meters do (RFC 2698): a fast one with a small burst and a slow one with a
//! large one, of which both must let a request pass. So a client may burst, but not fast and long.

use std::error::Error;
use std::num::NonZeroU64;
use std::path::Path;

use tollgate_bench::limiters::{Options, Pattern, judge};
use tollgate_core::laws::limit::{Subject, bucket_fits, hold};
use tollgate_core::limit::{Decision, Gcra, Limiter, Own, Slate, Standing, Taken, Tat};
use tollgate_core::memory::Packed;
use tollgate_core::policy::{Algorithm, Quota, file};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

/// Two rates, of which both must let a request pass.
#[derive(Debug)]
struct TwoRates {
    fast: Gcra,
    slow: Gcra,
}

impl TwoRates {
    fn new(fast: Quota, slow: Quota) -> TwoRates {
        TwoRates {
            fast: Gcra::new(fast, Nanos::ZERO),
            slow: Gcra::new(slow, Nanos::ZERO),
        }
    }

    /// Changes the states of both.
    fn each(&self, slate: &mut Slate, change: impl Fn(&Gcra, &mut Tat)) {
        for (word, rate) in slate.iter_mut().zip([&self.fast, &self.slow]) {
            let mut state = Tat::unpack(*word);
            change(rate, &mut state);
            *word = state.pack();
        }
    }

    fn states(slate: &Slate) -> [Tat; 2] {
        [Tat::unpack(slate[0]), Tat::unpack(slate[1])]
    }
}

impl Limiter for TwoRates {
    type State = Slate;

    fn take(&self, slate: &mut Slate, now: Instant, cost: Cost) -> Decision {
        let [mut fast, mut slow] = TwoRates::states(slate);
        let decisions = (
            self.fast.take(&mut fast, now, cost),
            self.slow.take(&mut slow, now, cost),
        );
        match decisions {
            (Decision::Allow { .. }, Decision::Allow { .. }) => {
                [slate[0], slate[1]] = [fast.pack(), slow.pack()];
                Decision::Allow { at: now }
            }
            (Decision::Never, _) | (_, Decision::Never) => Decision::Never,
            (Decision::Wait { until: one }, Decision::Wait { until: other }) => {
                Decision::Wait { until: one.max(other) }
            }
            (wait @ Decision::Wait { .. }, Decision::Allow { .. })
            | (Decision::Allow { .. }, wait @ Decision::Wait { .. }) => wait,
        }
    }

    fn undo(&self, slate: &mut Slate, now: Instant, taken: Taken) {
        self.each(slate, |rate, state| rate.undo(state, now, taken));
    }

    fn settle(&self, slate: &mut Slate, now: Instant, taken: Taken, used: Cost) {
        self.each(slate, |rate, state| rate.settle(state, now, taken, used));
    }

    fn is_idle(&self, slate: &Slate, now: Instant) -> bool {
        let [fast, slow] = TwoRates::states(slate);
        self.fast.is_idle(&fast, now) && self.slow.is_idle(&slow, now)
    }

    fn standing(&self, slate: &Slate, now: Instant) -> Standing {
        let [fast, slow] = TwoRates::states(slate);
        let (fast, slow) = (self.fast.standing(&fast, now), self.slow.standing(&slow, now));
        Standing {
            limit: fast.limit.min(slow.limit),
            remaining: fast.remaining.min(slow.remaining),
            reset: fast.reset.max(slow.reset),
        }
    }
}

/// For the laws: a quota's rate, and beside it one that is twice as fast.
impl Subject for TwoRates {
    fn of(quota: Quota) -> TwoRates {
        let twice = Quota {
            amount: quota.amount.saturating_add(quota.amount.get()),
            ..quota
        };
        TwoRates::new(twice, quota)
    }

    fn fits(quota: Quota, window: Nanos, units: u128) -> bool {
        bucket_fits(quota, window, units)
    }
}

const POLICY: &str = r#"
    [[limit]]
    name = "rate"
    per = []
    quota = { amount = 600, period = "1m", burst = 120 }
    [[pool]]
    name = "servers"
    [[pool.endpoint]]
    name = "b0"
    [[route]]
    name = "all"
    pools = ["servers"]
    retry = { max_attempts = 1 }
"#;

/// Two minutes of twelve requests a second, where ten are granted.
const SCENARIO: &str = r#"
    name = "own-limiter"
    seed = 1
    [run]
    duration = "120s"
    warmup = "0s"
    [workload]
    arrivals = { process = "gamma", rate = 12.0, cv = 3.0 }
    prompt_tokens = { distribution = "constant", value = 1 }
    output_tokens = { distribution = "constant", value = 1 }
    client = { kind = "fire-and-forget" }
    [[backend]]
    name = "b0"
    kind = "queue"
    servers = "unbounded"
    service = { distribution = "constant", value = "100ms" }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    print(&run()?, &flooded()?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example says what it found")]
fn print(found: &[(String, f64)], flooded: &[(&str, f64)]) {
    println!("two rates obey the laws of limiters");
    for (name, refused) in found {
        println!("{name:<10} refuses {:.1} % of the requests", refused * 100.0);
    }
    for (name, worst) in flooded {
        println!("{name:<10} lets {worst:.1} times fifteen through in a second, when flooded at the worst moment");
    }
}

/// The most that each lets through within a second, over the fast quota, in the flood that `tollgate limiters` makes.
fn flooded() -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let [fast, slow] = rates()?;
    let options = Options {
        quota: slow,
        ..Options::default()
    };
    let patterns = Pattern::all(&options);
    let flood = patterns.iter().find(|pattern| pattern.key == "adversarial");
    let floods = flood.ok_or("there is a flood")?.arrivals(&options);
    let (gcra, two_rates) = (Gcra::new(slow, Nanos::ZERO), TwoRates::new(fast, slow));
    let worst = |windows: Vec<f64>| windows.into_iter().fold(0.0, f64::max);
    let of_gcra = floods.iter().map(|flood| judge(&gcra, fast, flood).worst_window);
    let of_two = floods.iter().map(|flood| judge(&two_rates, fast, flood).worst_window);
    Ok(vec![
        ("gcra", worst(of_gcra.collect())),
        ("two-rates", worst(of_two.collect())),
    ])
}

/// Fifteen a second with ten at once, and six hundred a minute with a hundred and twenty at once.
fn rates() -> Result<[Quota; 2], &'static str> {
    let quota = |amount: u64, secs, burst: u64| -> Option<Quota> {
        Some(Quota {
            amount: NonZeroU64::new(amount)?,
            period: Nanos::from_secs(secs),
            burst: NonZeroU64::new(burst)?,
        })
    };
    let fast = quota(15, 1, 10).ok_or("a rate is not zero")?;
    let slow = quota(600, 60, 120).ok_or("a rate is not zero")?;
    Ok([fast, slow])
}

/// Holds the limiter to the laws, and finds what share of requests each limiter refuses.
fn run() -> Result<Vec<(String, f64)>, Box<dyn Error>> {
    hold::<TwoRates>(64)?;

    let (gcra, _) = file::read("policy.toml", POLICY)?;
    let mut own = gcra.clone();
    let [fast, slow] = rates()?;
    // A policy's limiters live as long as the program.
    let limiter: &'static TwoRates = Box::leak(Box::new(TwoRates::new(fast, slow)));
    own.limits[0].algorithm = Algorithm::Own(Own::new("two-rates", 10, limiter));

    let folder = Folder::new(Path::new("."), &|_| None);
    let (scenario, _) = scenario::read("own-limiter.toml", SCENARIO, &folder)?;
    let workload = Workload::open(scenario.workload.clone())?;
    let policies = vec![(String::from("gcra"), gcra), (String::from("two-rates"), own)];
    let mut found = Vec::new();
    for strategy in prepare(&scenario, &workload, policies, 0)? {
        let record = Engine::new(&strategy.plan, 0, Quiet)
            .run(|_| true)
            .ok_or("nobody stops it")?;
        let (offered, completed) = (record.counts.offered, record.counts.completed);
        found.push((strategy.name.clone(), 1.0 - as_f64(completed) / as_f64(offered)));
    }
    Ok(found)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand requests")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{flooded, run};

    #[test]
    fn two_rates_let_no_more_through_than_one_of_them() {
        let found = flooded().expect("there is a flood");
        let [(_, gcra), (_, two_rates)] = found[..] else {
            panic!("{found:?}");
        };
        assert!(1.0 < two_rates && two_rates < gcra, "{found:?}");
    }

    #[test]
    fn two_rates_refuse_more_than_one_of_them() {
        let found = run().expect("it is lawful, and its files are read");
        let [(_, gcra), (_, two_rates)] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(0.0 < *gcra && gcra < two_rates, "{found:?}");
    }
}

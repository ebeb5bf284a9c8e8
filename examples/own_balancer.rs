//! A balancer of one's own: held to the laws, then simulated beside P2C.
//!
//! It fills one endpoint before it opens the next, so that at night most of them can be switched off. What that costs in
//! latency is what the simulation says.
//!
//! `cargo run --release --example own_balancer` prints a table. Its test does the same.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use tollgate_core::balance::{Own, OwnBalancer, PoolView};
use tollgate_core::dice::Rng;
use tollgate_core::laws;
use tollgate_core::policy::{BalanceKind, LoadKind, Policy, file};
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::{Strategy, prepare};
use tollgate_sim::record::Quiet;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

/// The first endpoint with fewer than so many attempts in flight; if all have more, the least loaded.
struct FillFirst {
    most: f64,
}

impl OwnBalancer for FillFirst {
    fn name(&self) -> &'static str {
        "fill-first"
    }

    fn pick(&self, pool: &dyn PoolView, _rng: &mut Rng) -> Option<usize> {
        let available = || (0..pool.len()).filter(|index| pool.is_available(*index));
        let has_room = |index: &usize| pool.load(*index) < self.most;
        let least = || available().min_by(|one, other| pool.load(*one).total_cmp(&pool.load(*other)));
        available().find(has_room).or_else(least)
    }
}

static FILL_FIRST: FillFirst = FillFirst { most: 4.0 };

/// Eight endpoints, and the balancer that is to be beaten.
const POLICY: &str = r#"
    [[pool]]
    name = "all"
    balance = { kind = "p2c", load = "in-flight" }
    health = { kind = "off" }
    endpoint = [
        { name = "b0" }, { name = "b1" }, { name = "b2" }, { name = "b3" },
        { name = "b4" }, { name = "b5" }, { name = "b6" }, { name = "b7" },
    ]
    [[route]]
    name = "all"
    pools = ["all"]
"#;

/// Four requests at a time each, a second a request: traffic for a third of that.
const SCENARIO: &str = r#"
    name = "night"
    [run]
    requests = 100_000
    warmup = "60s"
    [workload]
    arrivals = { process = "poisson", rate = 10.0 }
    prompt_tokens = { distribution = "constant", value = 100 }
    output_tokens = { distribution = "constant", value = 100 }
    client = { kind = "fire-and-forget", timeout = "none" }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    write!(std::io::stdout(), "{}", compare()?)?;
    Ok(())
}

/// The table.
fn compare() -> Result<String, Box<dyn Error>> {
    laws::balance::hold(&Own(&FILL_FIRST), 1_000)?;

    let (p2c, _) = file::read("policy.toml", POLICY)?;
    let mut own = p2c.clone();
    own.pools[0].balance.kind = BalanceKind::Own(Own(&FILL_FIRST));
    own.pools[0].balance.load = LoadKind::InFlight;

    let mut table = format!(
        "{:<12} {:>8} {:>8} {:>16}\n",
        "balancer", "mean", "p99", "endpoints in use"
    );
    for strategy in strategies(vec![("p2c".to_owned(), p2c), ("fill-first".to_owned(), own)])? {
        let record = Engine::new(&strategy.plan, 0, Quiet).run(|_| true).ok_or("stopped")?;
        let e2e = &record.latencies.e2e;
        let (mean, p99) = (e2e.mean().ok_or("nothing")?, e2e.quantile(0.99).ok_or("nothing")?);
        // A hundredth of the traffic is hardly a use.
        let in_use = record
            .endpoints
            .iter()
            .filter(|endpoint| record.attempts / 100 < endpoint.attempts);
        writeln!(
            table,
            "{:<12} {mean:>6.2} s {p99:>6.2} s {:>16}",
            strategy.name,
            in_use.count()
        )?;
    }
    Ok(table)
}

fn strategies(policies: Vec<(String, Policy)>) -> Result<Vec<Strategy>, Box<dyn Error>> {
    let mut text = String::from(SCENARIO);
    for number in 0..8 {
        write!(
            text,
            "[[backend]]\nname = \"b{number}\"\nkind = \"queue\"\nservers = 4\nservice = {{ distribution = \"exponential\", mean = \"1s\" }}\n"
        )?;
    }
    let (scenario, _) = scenario::read("scenario.toml", &text, &Folder::nowhere())?;
    let workload = Workload::open(scenario.workload.clone())?;
    Ok(prepare(&scenario, &workload, policies, 0)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_fills_endpoints_and_pays_in_latency() {
        let table = super::compare().expect("laws hold and strategies run");
        let in_use = |line: usize| {
            let word = table.lines().nth(line).and_then(|line| line.split_whitespace().last());
            word.and_then(|word| word.parse::<usize>().ok()).expect("a number")
        };
        assert_eq!(in_use(1), 8, "{table}");
        assert!(in_use(2) < 6, "{table}");
    }
}

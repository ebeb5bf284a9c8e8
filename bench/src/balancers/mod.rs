//! Every balancer over the same traffic: how fast, how even, how much of a herd, and how soon it leaves who fails.
//!
//! Eight endpoints, four of twice the speed and the weight of the others, at 70 % of what they can do together. In the
//! middle one of the fast ones answers with 503 for a while. All balancers meet the same arrivals, sizes and service
//! times, in virtual time, through policy, gate and lifecycle.

mod measure;

use core::fmt::{self, Write as _};

use tollgate_core::policy::file;
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::prepare;
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::Workload;

use measure::Launches;

/// What became of the traffic under one balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The balancer, as a policy file writes it.
    pub balance: &'static str,
    /// Mean response in seconds.
    pub mean: f64,
    /// The 99th percentile of responses in seconds.
    pub p99: f64,
    /// The busiest endpoint's utilization over the mean of all.
    pub imbalance: f64,
    /// The most attempts launched at one endpoint within one [`ROUND_TRIP`], over its fair share of what is launched in
    /// that time.
    pub herd: f64,
    /// Seconds until 90 % of the traffic had left the endpoint that failed; none: not before it was well again.
    pub left: Option<f64>,
    /// Seconds until 90 % of its share had come back; none: not before the end.
    pub back: Option<f64>,
}

/// Every balancer, as a policy file writes it.
pub const BALANCERS: [&str; 14] = [
    "{ kind = \"round-robin\" }",
    "{ kind = \"weighted-round-robin\" }",
    "{ kind = \"random\" }",
    "{ kind = \"weighted-random\" }",
    "{ kind = \"least-in-flight\" }",
    "{ kind = \"least-in-flight\", staleness = \"1s\" }",
    "{ kind = \"shortest-expected-delay\" }",
    "{ kind = \"p2c\", load = \"in-flight\" }",
    "{ kind = \"p2c\", load = \"peak-ewma\" }",
    "{ kind = \"weighted-p2c\", load = \"expected-delay\" }",
    "{ kind = \"least-in-flight\", load = \"token-backlog\" }",
    "{ kind = \"least-time\" }",
    "{ kind = \"least-latency\" }",
    "{ kind = \"score\" }",
];

/// From a launch to the first that its answer can change, in seconds.
pub const ROUND_TRIP: f64 = 0.1;

/// Arrivals a second.
const RATE: f64 = 33.6;
/// Seconds of virtual time; the fault begins at a half and lasts for a tenth.
const LENGTH: f64 = 3_000.0;
/// Left out, in seconds.
const WARMUP: f64 = 60.0;
/// The endpoint that fails, its part of all weight, and when it fails, in seconds.
const FAILS: usize = 0;
const SHARE: f64 = 2.0 / 12.0;
const FAILS_AT: f64 = LENGTH / 2.0;
const WELL_AT: f64 = LENGTH * 0.6;

/// Runs every balancer with this seed.
///
/// # Errors
///
/// If the files that are made here cannot be read, which is a bug of this function.
pub fn compare(seed: u64) -> Result<Vec<Row>, Broken> {
    BALANCERS.iter().map(|balance| run(balance, seed)).collect()
}

/// Why nothing was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Runs one.
///
/// # Errors
///
/// As [`compare`].
pub fn run(balance: &'static str, seed: u64) -> Result<Row, Broken> {
    let broken = |what: &dyn fmt::Display| Broken(format!("{balance}: {what}"));
    let (policy, _) = file::read("policy.toml", &policy(balance)).map_err(|problems| broken(&problems))?;
    let (scenario, _) =
        scenario::read("scenario.toml", &world(seed), &Folder::nowhere()).map_err(|problems| broken(&problems))?;
    let workload = Workload::open(scenario.workload.clone()).map_err(|error| broken(&error))?;
    let strategies =
        prepare(&scenario, &workload, vec![(balance.to_owned(), policy)], 0).map_err(|error| broken(&error))?;
    let record = Engine::new(&strategies[0].plan, 0, Launches::default())
        .run(|_| true)
        .ok_or_else(|| broken(&"stopped"))?;
    let e2e = &record.latencies.e2e;
    let nothing = || broken(&"nothing was answered");
    let launches = &record.observer;
    Ok(Row {
        balance,
        mean: e2e.mean().ok_or_else(nothing)?,
        p99: e2e.quantile(0.99).ok_or_else(nothing)?,
        imbalance: measure::imbalance(&record.endpoints),
        herd: launches.herd(),
        left: launches.left(),
        back: launches.back(),
    })
}

fn weight(number: usize) -> u32 {
    if number < 4 { 2 } else { 1 }
}

fn policy(balance: &str) -> String {
    let mut text = format!(
        "[[pool]]\nname = \"all\"\nbalance = {balance}\nhealth = {{ kind = \"consecutive\", failures = 5, open = \"10s\" }}\n"
    );
    for number in 0..8 {
        let weight = weight(number);
        writeln!(
            text,
            "[[pool.endpoint]]\nname = \"b{number}\"\nweight = {weight}\nmax_in_flight = 64"
        )
        .expect("text grows");
    }
    text + "[[route]]\nname = \"all\"\npools = [\"all\"]\n"
}

fn world(seed: u64) -> String {
    let mut text = format!(
        "name = \"balancers\"\nseed = {seed}\n[run]\nduration = \"{LENGTH}s\"\nwarmup = \"{WARMUP}s\"\n\
         [network]\ngateway_to_backend = \"{}s\"\n\
         [workload]\narrivals = {{ process = \"poisson\", rate = {RATE:?} }}\n\
         prompt_tokens = {{ distribution = \"lognormal\", median = 600, p95 = 4_000 }}\n\
         output_tokens = {{ distribution = \"lognormal\", median = 150, p95 = 600 }}\n\
         max_tokens = \"output\"\nclient = {{ kind = \"fire-and-forget\", timeout = \"none\" }}\n\
         [[fault]]\nbackend = \"b{FAILS}\"\nkind = \"outage\"\nstatus = 503\nat = \"{FAILS_AT}s\"\nfor = \"{}s\"\n",
        ROUND_TRIP / 2.0,
        WELL_AT - FAILS_AT
    );
    for number in 0..8 {
        let mean = 1.0 / f64::from(weight(number));
        writeln!(
            text,
            "[[backend]]\nname = \"b{number}\"\nkind = \"queue\"\nservers = 4\nservice = {{ distribution = \"exponential\", mean = \"{mean}s\" }}"
        )
        .expect("text grows");
    }
    text
}

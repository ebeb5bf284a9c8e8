//! The command line of `tollgate load`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use tollgate_core::file::kind;
use tollgate_core::time::Nanos;

#[derive(Debug, ClapArgs)]
pub(crate) struct Load {
    /// A scenario file, or the name of a shipped one (see `tollgate scenarios`)
    pub(crate) scenario: String,
    /// The base URL of an OpenAI-style API, such as `http://127.0.0.1:8080/v1`
    #[arg(long, value_name = "URL")]
    pub(crate) target: String,
    /// The policy whose targets are to be met [default: that of the scenario's only strategy]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<String>,
    /// The strategy of the scenario whose targets are to be met; beside --policy, what the results are called
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Option<String>,
    /// Calls a second on average, instead of the scenario's rate
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// How long calls begin, such as 30s [default: the scenario's]
    #[arg(long, value_name = "D", value_parser = length)]
    pub(crate) duration: Option<Nanos>,
    /// After how many calls none begins any more [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub(crate) requests: Option<u64>,
    /// The beginning that every count leaves out [default: the scenario's]
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(crate) warmup: Option<Nanos>,
    /// Replay this recorded traffic instead of the scenario's arrivals and lengths
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// The root of all randomness [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Which of the independent runs that `simulate` makes of this seed
    #[arg(long, value_name = "K", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..10_000))]
    pub(crate) replication: u64,
    /// How many seconds of the scenario pass in one of the machine
    #[arg(long, value_name = "X", allow_negative_numbers = true, default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// What is asked for where the workload names no model
    #[arg(long, value_name = "NAME", default_value = "gpt-4o-mini")]
    pub(crate) model: String,
    /// The key of a tenant, or of everybody; seen by whoever lists processes. May be given several times
    #[arg(long, value_name = "[TENANT=]KEY")]
    pub(crate) key: Vec<String>,
    /// The environment variable that holds the key of a tenant, or of everybody. May be given several times
    #[arg(long, value_name = "[TENANT=]VARIABLE")]
    pub(crate) key_env: Vec<String>,
    /// Most connections; requests beyond them wait
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) connections: u32,
    /// Most calls that are open at once; those beyond are not made, and counted
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: u32,
    /// How long answers are waited for once no call begins any more
    #[arg(long, value_name = "D", default_value = "1m", value_parser = duration)]
    pub(crate) grace: Nanos,
    /// Certificates to trust instead of Mozilla's list: a PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Say which dice each request has, so that a mock draws what the simulator draws
    #[arg(long)]
    pub(crate) mock_dice: bool,
    /// When the clock begins, in nanoseconds since 1970
    #[arg(long, value_name = "NS", hide = true)]
    pub(crate) begins: Option<u64>,
    /// End when standard input does
    #[arg(long, hide = true)]
    pub(crate) leash: bool,
    /// Keep so many requests whole, in requests.csv
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) keep: u32,
    /// Where the result set and its report go [default: target/tollgate/NAME-load]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the summary as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// Calls a second, as somebody writes them.
fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok().filter(|rate| (1e-3..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 0.001 to 1,000,000 a second".to_owned())
}

/// A length of time, as files write it.
fn duration(text: &str) -> Result<Nanos, String> {
    let wrong = || "a duration is a number and a unit, such as 250ms, 30s or 1m".to_owned();
    kind::parse_duration(text).ok_or_else(wrong)
}

/// A length of time that is not nothing.
pub(super) fn length(text: &str) -> Result<Nanos, String> {
    let length = duration(text)?;
    let is_some = length != Nanos::ZERO;
    is_some
        .then_some(length)
        .ok_or_else(|| "a run of no length measures nothing".to_owned())
}

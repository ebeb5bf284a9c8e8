//! The command lines of `tollgate twin` and `tollgate calibrate`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use tollgate_core::time::Nanos;

use super::load::length;

#[derive(Debug, ClapArgs)]
pub(crate) struct Twin {
    /// A scenario file, or the name of a shipped one (see `tollgate scenarios`)
    pub(crate) scenario: String,
    /// Only this strategy of the scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) strategy: Vec<String>,
    /// How many seconds of the scenario pass in one of the machine [default: so many that all ends in under five minutes]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = time_scale)]
    pub(crate) time_scale: Option<f64>,
    /// How long calls begin, such as 2m, a tenth of it left out of counts [default: the scenario's]
    #[arg(long, value_name = "D", value_parser = length)]
    pub(crate) duration: Option<Nanos>,
    /// The root of all randomness [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Which of the independent runs that `simulate` makes of this seed
    #[arg(long, value_name = "K", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..10_000))]
    pub(crate) replication: u64,
    /// Where both result sets, the figures and a page go
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the figures as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Fit the scenario's `[network]` to a run of half a minute as fast as time is, and store it in the file
    #[arg(long, conflicts_with_all = ["out", "json", "time_scale"])]
    pub(crate) calibrate: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Calibrate {
    /// Access logs of `tollgate serve`, in the order in which they were written
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,
    /// The file for the backends [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print the figures as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// How fast time may run.
fn time_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.1..=1_000.0).contains(scale));
    scale.ok_or_else(|| "a time scale is a number from 0.1 to 1,000".to_owned())
}

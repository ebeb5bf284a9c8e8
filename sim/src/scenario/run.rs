//! `[run]`

use std::num::NonZeroU32;

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{Section, Value};
use tollgate_core::time::Nanos;

/// For how long a scenario runs, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSpec {
    /// When arrivals stop; none: only `requests` stops them.
    pub duration: Option<Nanos>,
    /// After how many requests arrivals stop; none: only `duration` stops them. One of the two is there.
    pub requests: Option<u64>,
    /// What is left out of every count.
    pub warmup: Warmup,
    /// How many independent runs.
    pub replications: NonZeroU32,
}

/// The beginning of a run that is left out of every count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warmup {
    /// So long, shorter than the run.
    Length(Nanos),
    /// This share of the run, at least 0 and below 1.
    Share(f64),
    /// Found in the run itself; only where nothing changes on purpose.
    Auto,
}

pub(super) fn read(table: &Section<'_>) -> RunSpec {
    let requests = table.optional("requests", kind::integer(1_u64, 1_000_000_000_000));
    let duration = table.optional("duration", kind::length).map(|at| at.value);
    let unsaid = requests.is_none().then_some(Nanos::from_secs(600));
    let replications = table.or("replications", kind::integer(1_u32, 10_000), 5);
    table.optional("gateways", gateways);
    let run = RunSpec {
        duration: duration.or(unsaid),
        requests: requests.map(|at| at.value),
        warmup: table.or("warmup", warmup, Warmup::Share(0.1)),
        replications: NonZeroU32::new(replications).unwrap_or(NonZeroU32::MIN),
    };
    if let (Warmup::Length(length), Some(duration)) = (run.warmup, run.duration)
        && duration <= length
    {
        let message = format!("a warm-up of {length} leaves nothing of a run of {duration}");
        let help = Some("a shorter warm-up, or a longer run");
        table
            .report()
            .error(table.place("warmup"), message, "as long as the run", help);
    }
    run
}

fn gateways(value: &Value<'_>) -> Result<(), Wrong> {
    let number = if value.toml().is_table() {
        2
    } else {
        kind::integer(1_u32, 10_000)(value)?
    };
    if number == 1 {
        return Ok(());
    }
    Err(Wrong::said("several gateways are not built yet", "not built yet").help("gateways = 1"))
}

fn warmup(value: &Value<'_>) -> Result<Warmup, Wrong> {
    let text = value.toml().as_str();
    if text == Some("auto") {
        return Ok(Warmup::Auto);
    }
    let wrong = || Wrong::expected("a duration such as \"1m\", a share below 1 such as \"10%\", or \"auto\"");
    let is_share = text.is_none_or(|text| text.ends_with('%'));
    if !is_share {
        return kind::duration(value).map(Warmup::Length).map_err(|_| wrong());
    }
    let share = kind::share(value).ok().filter(|share| *share < 1.0);
    share.map(Warmup::Share).ok_or_else(wrong)
}

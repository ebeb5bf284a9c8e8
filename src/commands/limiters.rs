//! `tollgate limiters`: every rate limiter side by side.

use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use tollgate_bench::limiters::{self, Options, Recorded, Unit, instructions};
use tollgate_core::policy::Quota;
use tollgate_sim::trace::{ReadOptions, Trace};

use super::lineup;
use super::out::Claim;
use crate::args::{self, Limiters};
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Limiters) -> Result<(), Failure> {
    let mut options = options(args)?;
    if args.only_decide {
        instructions::run(&options);
        return Ok(());
    }
    lineup::check(&args.out)?;
    if let Some(file) = &args.trace {
        options.trace = Some(recorded(file)?);
    }
    let _claim = Claim::new(&args.out)?;
    let began = Instant::now();
    {
        let _waiting = term::Waiting::new("counting instructions");
        options.instructions = count(&options);
    }
    let mut waiting = None;
    let found = limiters::lineup(&options, &mut |what| {
        drop(waiting.take());
        waiting = Some(term::Waiting::new(what));
    });
    drop(waiting);
    lineup::finish(&found, &args.out, args.json, began)
}

fn options(args: &Limiters) -> Result<Options, Failure> {
    let (amount, period) = args.quota;
    let amount = NonZeroU64::new(amount).ok_or_else(|| Failure::wrong("a quota of nothing lets nothing through"))?;
    let burst = args.burst.and_then(NonZeroU64::new).unwrap_or(amount);
    Ok(Options {
        quota: Quota { amount, period, burst },
        unit: match args.unit {
            args::Unit::Requests => Unit::Requests,
            args::Unit::Tokens => Unit::Tokens,
        },
        seed: args.seed,
        ..Options::default()
    })
}

fn recorded(file: &Path) -> Result<Recorded, Failure> {
    let _waiting = term::Waiting::new("reading the trace");
    let trace = Trace::load(file, &ReadOptions::default()).map_err(Failure::wrong)?;
    for note in trace.notes() {
        term::tell(&format!("note: {note}"));
    }
    let name = file.file_name().unwrap_or(file.as_os_str());
    Ok(Recorded {
        name: name.to_string_lossy().into_owned(),
        trace: Arc::new(trace),
    })
}

/// Instructions of each limiter, by running this program again under valgrind.
fn count(options: &Options) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let scratch =
        tempfile::tempdir().map_err(|error| format!("there is no place for what valgrind writes: {error}"))?;
    let mut child = Command::new(program);
    child.arg("limiters").arg("--only-decide");
    child.arg(format!(
        "--quota={}/{}ns",
        options.quota.amount,
        options.quota.period.as_nanos()
    ));
    child.arg(format!("--burst={}", options.quota.burst));
    instructions::count(&child, options, scratch.path())
}

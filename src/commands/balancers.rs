//! `tollgate balancers`: every balancer side by side.

use std::time::Instant;

use tollgate_bench::balancers::{self, Options};
use tollgate_reports::lineup::check_free;

use super::limiters::finish;
use super::out::{self, Claim};
use crate::args::Balancers;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Balancers) -> Result<(), Failure> {
    out::check_place(&args.out)?;
    check_free(&args.out).map_err(Failure::wrong)?;
    let _claim = Claim::new(&args.out)?;
    let began = Instant::now();
    let mut options = Options {
        seed: args.seed,
        minutes: args.minutes,
        ..Options::default()
    };
    if let Some(threads) = args.threads {
        options.threads = usize::from(threads);
    }
    let steps = term::Steps::new(balancers::runs());
    let lineup = balancers::lineup(&options, &|| steps.done());
    drop(steps);
    finish(&lineup, &args.out, args.json, began)
}

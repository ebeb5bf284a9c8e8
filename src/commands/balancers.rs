//! `tollgate balancers`: every balancer side by side.

use std::time::Instant;

use super::lineup;
use super::out::Claim;
use crate::args::Balancers;
use crate::error::Failure;
use crate::term;
use tollgate_bench::balancers::{self, Options};

/// Runs the command.
pub(crate) fn run(args: &Balancers) -> Result<(), Failure> {
    lineup::check(&args.out)?;
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
    let found = balancers::lineup(&options, &|| steps.done());
    drop(steps);
    lineup::finish(&found, &args.out, args.json, began)
}

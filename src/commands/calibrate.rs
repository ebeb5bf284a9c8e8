//! `tollgate calibrate`: backends from the access log of a gateway.

use std::fmt::Write as _;

use tollgate_bench::calibrate::Calibration;
use tollgate_bench::log::Log;

use super::out;
use crate::args::Calibrate;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Calibrate) -> Result<(), Failure> {
    if let Some(out) = &args.out {
        out::check_new(out)?;
    }
    let waiting = term::Waiting::new("reading");
    let mut log = Log::default();
    for file in &args.logs {
        log.add(file).map_err(Failure::wrong)?;
    }
    let found = Calibration::new(&log);
    drop(waiting);
    if found.backends.is_empty() {
        let mut gaps = String::new();
        for gap in &found.gaps {
            let _never = write!(gaps, "\n  = note: {gap}");
        }
        return Err(Failure::wrong(format!(
            "the log has no attempt at any endpoint, so there is nothing to fit{gaps}\n  = help: `tollgate serve --log-access \
             FILE` writes one"
        )));
    }
    if let Some(out) = &args.out {
        out::write_new(out, &found.toml())
            .map_err(|error| Failure::failed(format!("`{}` cannot be written: {error}", out.display())))?;
    }
    if args.json {
        return term::print(&found.json());
    }
    term::tell(&found.text());
    match &args.out {
        Some(_) => Ok(()),
        None => term::print(&found.toml()),
    }
}

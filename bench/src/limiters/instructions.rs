//! Instructions of a decision of each limiter.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use super::Options;
use super::cost::Decide;
use crate::callgrind::{self, mark};

/// Decisions that are counted of each limiter.
const DECISIONS: u32 = 20_000;

/// What runs under valgrind: the decisions of each limiter between two marks.
pub fn run(options: &Options) {
    let decide = Decide {
        quota: options.quota,
        decisions: DECISIONS,
    };
    mark(0);
    for (nth, contender) in options.contenders().iter().enumerate() {
        black_box(contender.visit(&decide));
        mark(nth + 1);
    }
}

/// Instructions of a decision of each contender, with the loop around it.
///
/// `child` is a program that does nothing but [`run`].
///
/// # Errors
///
/// Why they could not be counted: valgrind is not there, or does not do what is expected of it.
#[expect(clippy::cast_precision_loss, reason = "a few million instructions")]
pub fn count(child: &Command, options: &Options, scratch: &Path) -> Result<Vec<f64>, String> {
    let counted = callgrind::count(child, options.contenders().len(), scratch)?;
    let each = |total| total as f64 / f64::from(DECISIONS);
    Ok(counted.into_iter().map(each).collect())
}

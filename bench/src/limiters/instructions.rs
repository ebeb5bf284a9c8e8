//! Instructions of a decision, counted by valgrind's callgrind.
//!
//! A program that counts its own instructions has to be run under valgrind: [`count`] starts one that does nothing but
//! call [`run`], and reads what callgrind writes down each time [`mark`] is entered.

use std::fs;
use std::hint::black_box;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Options;
use super::cost::Decide;

/// Decisions that are counted of each limiter.
const DECISIONS: u32 = 20_000;

/// A place in the program by which callgrind tells one limiter from the next.
#[inline(never)]
pub fn mark(nth: usize) {
    black_box(nth);
}

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
pub fn count(mut child: Command, options: &Options, scratch: &Path) -> Result<Vec<f64>, String> {
    let out = scratch.join("callgrind");
    let program = child.get_program().to_owned();
    let args: Vec<_> = child.get_args().map(ToOwned::to_owned).collect();
    child = Command::new("valgrind");
    child
        .arg("--tool=callgrind")
        .arg("--dump-before=*limiters::instructions::mark*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = child.status().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            "valgrind is not installed".to_owned()
        } else {
            format!("valgrind cannot be run: {error}")
        }
    })?;
    if !status.success() {
        return Err(format!("valgrind ended with {status}"));
    }
    // The first dump is of what came before the first mark.
    let counted = (0..options.contenders().len()).map(|nth| {
        let file = scratch.join(format!("callgrind.{}", nth + 2));
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let total = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        let total: u32 = total.ok_or_else(|| format!("{} has no totals", file.display()))?;
        Ok(f64::from(total) / f64::from(DECISIONS))
    });
    counted.collect()
}

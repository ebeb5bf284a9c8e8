//! Instructions of parts of a program, counted by valgrind's callgrind.
//!
//! A program that counts its own instructions has to be run under valgrind: [`count`] starts one, and reads what callgrind
//! writes down each time the program enters [`mark`].

use std::fs;
use std::hint::black_box;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// A place in the program by which callgrind tells one part from the next.
#[inline(never)]
pub fn mark(nth: usize) {
    black_box(nth);
}

/// Instructions of each of the `parts` between one mark and the next that `child` makes, `parts` and one of them.
/// What is written on the way goes to `scratch`.
///
/// # Errors
///
/// Why they could not be counted: valgrind is not there, or does not do what is expected of it.
pub fn count(child: &Command, parts: usize, scratch: &Path) -> Result<Vec<u64>, String> {
    let status = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--dump-before=*bench::callgrind::mark*")
        .arg(format!("--callgrind-out-file={}", scratch.join("callgrind").display()))
        .arg(child.get_program())
        .args(child.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let status = status.map_err(|error| {
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
    let counted = (0..parts).map(|nth| {
        let file = scratch.join(format!("callgrind.{}", nth + 2));
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let total = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
        total.ok_or_else(|| format!("{} has no totals", file.display()))
    });
    counted.collect()
}

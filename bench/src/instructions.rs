//! Instructions of the hot paths, held against a table that is checked in.
//!
//! Time tells a change of a tenth from noise only on a machine that does nothing else; instructions are the same on every
//! run. So a change that makes a path cost a twentieth more fails, and has to be meant: then it rewrites the table.
//!
//! The table holds for one compiler's code for x86-64, optimized. Another version of the compiler may need another
//! table; another kind of machine has none.

use std::fmt::Write as _;
use std::path::Path as FilePath;
use std::process::Command;

use crate::callgrind::{self, mark};
use crate::paths::Path;

/// Rounds that are counted of each path, after as many that warm it up.
const ROUNDS: u32 = 2_000;
/// How much more than in the table a path may cost, and how much less before the table should know, in hundredths.
pub const TOLERANCE: f64 = 5.0;

/// What runs under valgrind: each path between two marks.
pub fn run() {
    let mut paths = Path::all();
    for path in &mut paths {
        path.run(ROUNDS);
    }
    mark(0);
    for (nth, path) in paths.iter_mut().enumerate() {
        path.run(ROUNDS);
        mark(nth + 1);
    }
}

/// The name of each path and the instructions of a round, with the loop around it.
///
/// `child` is a program that does nothing but [`run`].
///
/// # Errors
///
/// Why they could not be counted.
#[expect(clippy::cast_precision_loss, reason = "a few million instructions")]
pub fn count(child: &Command, scratch: &FilePath) -> Result<Vec<(String, f64)>, String> {
    let names: Vec<_> = Path::all().into_iter().map(|path| path.name).collect();
    let counted = callgrind::count(child, names.len(), scratch)?;
    let each = counted.into_iter().map(|total| total as f64 / f64::from(ROUNDS));
    Ok(names.into_iter().zip(each).collect())
}

/// The table as it is checked in: a line for each path, its instructions first.
#[must_use]
pub fn table(counted: &[(String, f64)]) -> String {
    let mut text = String::from(HEAD);
    for (name, instructions) in counted {
        writeln!(text, "{instructions:9.1}  {name}").expect("a string takes everything");
    }
    text
}

const HEAD: &str = "\
# Instructions of a round of each hot path, with the loop around it: x86-64, release build, counted by callgrind.
# Rewritten by `cargo run --release -p tollgate-bench --bin instructions -- --rewrite`.
";

/// What is different, a line each, and whether any of it is a failure.
///
/// # Errors
///
/// Which line of the table cannot be read.
pub fn compare(table: &str, counted: &[(String, f64)]) -> Result<(String, bool), String> {
    let mut written = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let row = line.trim().split_once("  ");
        let row = row.and_then(|(number, name)| Some((name, number.parse::<f64>().ok()?)));
        written.push(row.ok_or_else(|| format!("not a line of the table: {line}"))?);
    }
    let (mut said, mut has_failed) = (String::new(), false);
    let mut say = |line: std::fmt::Arguments<'_>| writeln!(said, "{line}").expect("a string takes everything");
    for (name, now) in counted {
        let Some((_, before)) = written.iter().find(|(written, _)| written == name) else {
            say(format_args!("new: {name}, {now:.1}: rewrite the table"));
            has_failed = true;
            continue;
        };
        let change = (now / before - 1.0) * 100.0;
        if TOLERANCE < change {
            say(format_args!("worse: {name}, {before:.1} to {now:.1}, {change:+.1} %"));
            has_failed = true;
        } else if change < -TOLERANCE {
            say(format_args!(
                "better: {name}, {before:.1} to {now:.1}, {change:+.1} %: rewrite the table"
            ));
        }
    }
    for (name, _) in &written {
        if !counted.iter().any(|(counted, _)| counted == name) {
            say(format_args!("gone: {name}: rewrite the table"));
            has_failed = true;
        }
    }
    Ok((said, has_failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(instructions: f64) -> Vec<(String, f64)> {
        vec![("one".to_owned(), instructions), ("other, of 8".to_owned(), 40.0)]
    }

    #[test]
    fn a_twentieth_more_fails() {
        let table = table(&counted(100.0));
        let judged = |now| compare(&table, &counted(now)).expect("it was written just now");
        assert_eq!(judged(100.0), (String::new(), false));
        assert_eq!(judged(104.9), (String::new(), false));
        assert_eq!(judged(106.0), ("worse: one, 100.0 to 106.0, +6.0 %\n".to_owned(), true));
        let better = "better: one, 100.0 to 90.0, -10.0 %: rewrite the table\n";
        assert_eq!(judged(90.0), (better.to_owned(), false));
    }

    #[test]
    fn every_path_has_its_line() {
        let (said, has_failed) =
            compare(&table(&counted(1.0)[..1]), &counted(1.0)[1..]).expect("it was written just now");
        let expected = "new: other, of 8, 40.0: rewrite the table\ngone: one: rewrite the table\n";
        assert_eq!((said.as_str(), has_failed), (expected, true));
        assert!(compare("a line", &[]).is_err());
    }
}

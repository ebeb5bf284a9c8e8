//! `tollgate report`: draws one result set again, or lays several side by side.

use std::path::{Path, PathBuf};

use tollgate_reports::{ResultSet, merge, table};

use super::out::{self, Claim};
use crate::args::Report;
use crate::error::Failure;
use crate::term;

/// Runs the command.
pub(crate) fn run(args: &Report) -> Result<(), Failure> {
    let out = match (&args.out, args.dirs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [only]) => only.clone(),
        (None, _) => PathBuf::from("target/tollgate/report"),
    };
    let mut sets = Vec::new();
    for dir in &args.dirs {
        let set = ResultSet::read(dir).map_err(Failure::wrong)?;
        sets.push((label(dir), set));
    }
    out::check_directory(&out)?;
    let _claim = Claim::new(&out)?;
    let is_redrawn = args.dirs.contains(&out);
    let set = if sets.len() == 1 { sets.remove(0).1 } else { merge(sets) };
    let written = if is_redrawn {
        set.write_report(&out)
    } else {
        set.write(&out)
    };
    written.map_err(Failure::failed)?;
    term::print(&table::text(&set.summary, term::width()))?;
    term::print(&format!("\nreport: {}", out.join("report.html").display()))
}

/// What a set is called beside others: the name of its directory.
fn label(dir: &Path) -> String {
    let whole = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| dir.display().to_string())
}

//! What `limiters` and `balancers` have in common: where a lineup goes, and how it is shown.

use std::path::Path;
use std::time::Instant;

use tollgate_reports::lineup::{Lineup, check_free};

use super::out;
use crate::error::Failure;
use crate::term;

/// Whether a lineup can be put into `dir`, which need not be there yet.
pub(crate) fn check(dir: &Path) -> Result<(), Failure> {
    out::check_place(dir)?;
    check_free(dir).map_err(Failure::wrong)
}

/// Writes a lineup and shows it.
pub(crate) fn finish(lineup: &Lineup, dir: &Path, json: bool, began: Instant) -> Result<(), Failure> {
    lineup.write(dir).map_err(Failure::failed)?;
    for note in &lineup.notes {
        term::tell(&format!("note: {note}"));
    }
    if json {
        return term::print(&lineup.to_json());
    }
    let width = term::width();
    let text = format!(
        "{}\n\n{}\n{}\n\n{:.1} s; the same with pictures: {}",
        term::wrapped(&lineup.question, width, 0),
        lineup.text(width),
        term::wrapped(&lineup.answer, width, 0),
        began.elapsed().as_secs_f64(),
        dir.join("report.html").display()
    );
    term::print(&text)
}

//! `tollgate scenarios`: what is shipped, and which question each answers.

use crate::commands::load;
use crate::error::Failure;
use crate::{shipped, term};

/// Runs the command.
pub(crate) fn run() -> Result<(), Failure> {
    let widest = shipped::SCENARIOS
        .iter()
        .map(|shipped| shipped.name.len())
        .max()
        .unwrap_or(0);
    for shipped in shipped::SCENARIOS {
        let scenario = load::read_scenario(&load::find_scenario(shipped.name)?)?;
        term::print(&format!("{:widest$}  {}", shipped.name, scenario.description));
    }
    term::print("\nRun one with `tollgate simulate NAME`; copy one here to edit with `tollgate new NAME`.");
    Ok(())
}

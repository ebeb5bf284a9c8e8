//! `tollgate scenarios`: what is shipped, and which question each answers.

use crate::commands::files;
use crate::error::Failure;
use crate::{shipped, term};

/// Runs the command.
pub(crate) fn run() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for shipped in shipped::SCENARIOS {
        let scenario = files::read_scenario(&files::shipped(shipped))?;
        rows.push((shipped.name, scenario.description));
    }
    let policies: Vec<_> = shipped::POLICIES
        .iter()
        .map(|shipped| (shipped.name, comment(shipped.text)))
        .collect();
    let text = format!(
        "Scenarios: `tollgate simulate NAME` runs one, `tollgate new NAME` copies it\n\n{}\n\
         Policies: `tollgate simulate SCENARIO --policy NAME` compares them\n\n{}",
        table(&rows),
        table(&policies)
    );
    term::print(&text)
}

/// Names and what they are, in two columns.
fn table(rows: &[(&str, String)]) -> String {
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let row = |(name, what): &(&str, String)| {
        let what = term::wrapped(what, term::width(), widest + 4);
        format!("  {name:widest$}  {what}\n")
    };
    rows.iter().map(row).collect()
}

/// The comment at the beginning of a file.
fn comment(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

//! What was measured, as a table that can be read and pasted.

use std::io::{self, Write as _};
use std::time::Duration;

/// Rows of cells under their heads.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, heads: &[&str]) -> Table {
        Table {
            title: title.into(),
            rows: vec![heads.iter().map(ToString::to_string).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes the table in Markdown.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{}\n", self.title)?;
        for (number, row) in self.rows.iter().enumerate() {
            writeln!(out, "| {} |", row.join(" | "))?;
            if number == 0 {
                writeln!(out, "|{}", "---|".repeat(row.len()))?;
            }
        }
        out.flush()
    }
}

/// The value below which the share `at` of `values` lies; zero of none.
pub(crate) fn quantile(values: &mut [Duration], at: f64) -> Duration {
    values.sort_unstable();
    let Some(last) = values.len().checked_sub(1) else {
        return Duration::ZERO;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position among values, between the first and the last"
    )]
    let position = (last as f64 * at).round() as usize;
    values[position.min(last)]
}

/// The middle one of `values`; not a number of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Milliseconds, to the microsecond.
pub(crate) fn ms(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}

/// A ratio, or a dash where there is nothing to compare with.
pub(crate) fn ratio(value: f64, to: f64) -> String {
    if value.is_finite() && 0.0 < to {
        format!("{:.2}", value / to)
    } else {
        "–".to_owned()
    }
}

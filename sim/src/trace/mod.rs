//! Recorded traffic: read, described, imported, replayed.
//!
//! People's logs are large, and wrong in a hundred ways. [`TraceReader`] streams any of the [formats](Format) and says
//! of the first thing it cannot use where it is, what it says and what to do about it; [`Trace`] holds a whole one in
//! 24 bytes a row, so that every strategy and replication can replay the same ten million calls from one copy.
//!
//! | law | meaning |
//! |---|---|
//! | `no_bytes_make_it_panic` | any file gives rows or a [`TraceError`] |
//! | `rows_are_sorted_or_refused` | the times of a trace never go back |
//! | `packing_loses_nothing` | a row of a [`Trace`] is the row that was read |
//! | `what_is_imported_is_what_was_read` | our own format keeps every nanosecond |
//! | `bad_lines_are_named` | an error has the line, the column and the text |

mod access_log;
mod describe;
mod error;
mod expand;
mod fit;
mod format;
mod import;
mod layout;
mod load;
mod names;
mod number;
mod packed;
mod reader;
mod row;
mod source;
mod survey;
#[cfg(test)]
mod tests;

pub use describe::{Burstiness, Description, Lengths, Shapes, describe};
pub use error::{TraceCause, TraceError};
pub use format::{Columns, Format};
pub use import::{Imported, import};
pub use load::{MAX_ROWS, Progress};
pub use packed::Trace;
pub use reader::TraceReader;
pub use row::TraceRow;

/// How a trace is to be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// How it is written.
    pub format: Format,
    /// Whether rows out of order are put in order instead of refused.
    pub sort: bool,
    /// Where to stop: rows from this time on are left out. Needed to expand a part of a long table of rates.
    pub until: Option<tollgate_core::time::Nanos>,
}

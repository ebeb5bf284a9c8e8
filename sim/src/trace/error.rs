//! What can be wrong with a trace, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a trace cannot be used: where, what stands there, and what to do.
#[derive(Debug)]
pub struct TraceError(Box<Report>);

/// On the heap, so that a result is as small as its success.
#[derive(Debug)]
struct Report {
    file: PathBuf,
    line: Option<u64>,
    column: Option<String>,
    text: Option<String>,
    cause: TraceCause,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceCause {
    /// The file cannot be opened, read or written.
    Io(io::Error),
    /// It is a directory.
    Directory,
    /// A pipe or a device: it cannot be read twice, and may never end.
    NotAFile,
    /// It has no byte.
    EmptyFile,
    /// It has a header and nothing else, or nothing before the time asked for.
    NoRows,
    /// Not text.
    NotUtf8,
    /// No known format has these columns.
    UnknownFormat {
        /// What the file has.
        found: Vec<String>,
        /// Every format that was tried, and the columns that it lacks.
        tried: Vec<(&'static str, Vec<String>)>,
    },
    /// A column is not there.
    MissingColumn {
        /// Its name.
        name: String,
        /// The columns that are there.
        found: Vec<String>,
        /// The one whose name is nearest.
        nearest: Option<String>,
    },
    /// The line has too few or too many fields; the last line is often cut off.
    WrongFields {
        /// How many the header has.
        expected: u64,
        /// How many the line has.
        found: u64,
    },
    /// The line is not JSON, or lacks a field.
    NotJson(String),
    /// Nothing where a value must be.
    Missing,
    /// Not a number, NaN included.
    NotANumber,
    /// Below zero.
    Negative,
    /// Larger than anything possible.
    TooLarge {
        /// The most.
        most: u64,
    },
    /// Outside the range of a rate table's column.
    OutOfRange {
        /// The least that is allowed.
        least: f64,
        /// The most that is allowed.
        most: f64,
    },
    /// Neither seconds nor a date and time.
    NotATime,
    /// Neither true nor false.
    NotABool,
    /// An earlier time than that of the row before.
    Unsorted {
        /// The line of the row before.
        before_line: u64,
        /// How much earlier, in seconds.
        by: f64,
    },
    /// More than fits in memory.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// A kind of gaps between calls that is not known.
    NotAPattern,
}

impl TraceError {
    pub(crate) fn of_file(file: &Path, cause: TraceCause) -> TraceError {
        TraceError(Box::new(Report {
            file: file.to_owned(),
            line: None,
            column: None,
            text: None,
            cause,
        }))
    }

    pub(crate) fn at_line(file: &Path, line: u64, cause: TraceCause) -> TraceError {
        TraceError::of_file(file, cause).with_line(Some(line))
    }

    pub(crate) fn in_column(file: &Path, line: u64, column: &str, text: &[u8], cause: TraceCause) -> TraceError {
        let mut error = TraceError::at_line(file, line, cause);
        error.0.column = Some(column.to_owned());
        error.0.text = Some(excerpt(text));
        error
    }

    pub(crate) fn with_line(mut self, line: Option<u64>) -> TraceError {
        self.0.line = line;
        self
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The line, from 1; none if the whole file is meant.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// The name of the column.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// What stands there, cut to a readable length.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.text.as_deref()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn cause(&self) -> &TraceCause {
        &self.0.cause
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn help(&self) -> String {
        match &self.0.cause {
            TraceCause::Io(_) => "check the path and the permissions".to_owned(),
            TraceCause::Directory => "name a file in it".to_owned(),
            TraceCause::NotAFile => "write what it says into a file, and name that".to_owned(),
            TraceCause::EmptyFile => "the file is empty: was the download or the export cut off?".to_owned(),
            TraceCause::NoRows => "a trace needs at least one call".to_owned(),
            TraceCause::NotUtf8 => "convert the file to UTF-8; a compressed file must be unpacked first".to_owned(),
            TraceCause::UnknownFormat { .. } => {
                "name the columns: `tollgate trace import FILE --format csv --columns time=..,prompt=..,output=..`"
                    .to_owned()
            }
            TraceCause::MissingColumn {
                nearest: Some(nearest), ..
            } => format!("did you mean {nearest:?}?"),
            TraceCause::MissingColumn {
                nearest: None, found, ..
            } => format!("the file has {}", found.join(", ")),
            TraceCause::WrongFields { expected, found } if found < expected => {
                "if this is the last line, the file was cut off: remove the line or fetch the file again".to_owned()
            }
            TraceCause::WrongFields { .. } => "quote fields that contain a comma".to_owned(),
            TraceCause::NotJson(_) => {
                "each line is one object with \"timestamp\" (ms), \"input_length\" and \"output_length\"".to_owned()
            }
            TraceCause::Missing
            | TraceCause::NotANumber
            | TraceCause::Negative
            | TraceCause::TooLarge { .. }
            | TraceCause::OutOfRange { .. } => "correct or remove the line".to_owned(),
            TraceCause::NotATime => {
                "times are seconds, as in 12.5, or dates, as in 2023-11-16 18:15:46.68 or 2024-05-10T00:00:00Z"
                    .to_owned()
            }
            TraceCause::NotABool => "write true or false".to_owned(),
            TraceCause::Unsorted { .. } => "put the rows in order with `tollgate trace import FILE --sort`".to_owned(),
            TraceCause::TooMany { .. } => "split the file, or read a part of it".to_owned(),
            TraceCause::NotAPattern => "the pattern is Gamma, Weibull or Exponential".to_owned(),
        }
    }
}

impl fmt::Display for TraceCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceCause::Io(error) => error.fmt(f),
            TraceCause::Directory => f.write_str("this is a directory, not a file"),
            TraceCause::NotAFile => f.write_str("this is a pipe or a device, not a file"),
            TraceCause::EmptyFile => f.write_str("nothing in it"),
            TraceCause::NoRows => f.write_str("no call in it"),
            TraceCause::NotUtf8 => f.write_str("not UTF-8 text"),
            TraceCause::UnknownFormat { found, tried } => {
                write!(f, "no known format has the columns {}", found.join(", "))?;
                tried
                    .iter()
                    .try_for_each(|(name, missing)| write!(f, "\n  {name}: lacks {}", missing.join(", ")))
            }
            TraceCause::MissingColumn { name, .. } => write!(f, "no column {name:?}"),
            TraceCause::WrongFields { expected, found } => {
                write!(f, "{found} fields where the header has {expected}")
            }
            TraceCause::NotJson(why) => write!(f, "not the JSON expected: {why}"),
            TraceCause::Missing => f.write_str("nothing where a value must be"),
            TraceCause::NotANumber => f.write_str("not a number"),
            TraceCause::Negative => f.write_str("below zero"),
            TraceCause::TooLarge { most } => write!(f, "more than {most}"),
            TraceCause::OutOfRange { least, most } => write!(f, "not between {least} and {most}"),
            TraceCause::NotATime => f.write_str("neither seconds nor a date and time"),
            TraceCause::NotABool => f.write_str("neither true nor false"),
            TraceCause::Unsorted { before_line, by } => {
                write!(f, "out of order: {by} s earlier than the row in line {before_line}")
            }
            TraceCause::TooMany { what, most } => write!(f, "more than {most} {what}"),
            TraceCause::NotAPattern => f.write_str("not a known pattern of gaps"),
        }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file().display())?;
        if let Some(line) = self.line() {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(column) = self.column() {
            write!(f, "column `{column}`: ")?;
        }
        if let Some(text) = self.text() {
            write!(f, "{text:?}: ")?;
        }
        write!(f, "{}\n  = help: {}", self.cause(), self.help())
    }
}

impl Error for TraceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            TraceCause::Io(error) => Some(error),
            TraceCause::Directory
            | TraceCause::NotAFile
            | TraceCause::EmptyFile
            | TraceCause::NoRows
            | TraceCause::NotUtf8
            | TraceCause::UnknownFormat { .. }
            | TraceCause::MissingColumn { .. }
            | TraceCause::WrongFields { .. }
            | TraceCause::NotJson(_)
            | TraceCause::Missing
            | TraceCause::NotANumber
            | TraceCause::Negative
            | TraceCause::TooLarge { .. }
            | TraceCause::OutOfRange { .. }
            | TraceCause::NotATime
            | TraceCause::NotABool
            | TraceCause::Unsorted { .. }
            | TraceCause::TooMany { .. }
            | TraceCause::NotAPattern => None,
        }
    }
}

/// The beginning of `text`, whatever its encoding.
fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 60;
    let all = String::from_utf8_lossy(text);
    let mut short: String = all.chars().take(MOST).collect();
    if short.len() < all.len() {
        short.push('…');
    }
    short
}

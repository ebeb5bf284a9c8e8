//! Which column of a file holds what: the known formats, and how one is recognized.

use std::path::Path;

use super::{Columns, Format, TraceCause, TraceError};

/// How the time of a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    Seconds,
    Millis,
    Date,
    /// Seconds, or else a date.
    Any,
}

/// Positions of the columns, and what their times mean.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) time: usize,
    pub(crate) kind: Time,
    /// Whether times are those of a clock, so that the first row begins the trace.
    pub(crate) from_first: bool,
    pub(crate) prompt: Option<usize>,
    pub(crate) output: Option<usize>,
    /// Whether an empty length means "not told".
    pub(crate) sparse: bool,
    pub(crate) tenant: Option<usize>,
    pub(crate) model: Option<usize>,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) stream: Option<usize>,
}

/// A format by the names of its columns.
struct Known {
    format: Format,
    required: &'static [&'static str],
}

const SERVEGEN: &[&str] = &["client", "timestamp", "rate", "pattern", "shape", "scale"];

/// In the order of trial: the more particular first.
fn known() -> [Known; 5] {
    [
        Known {
            format: Format::Tollgate,
            required: &["time", "prompt", "output"],
        },
        Known {
            format: Format::Azure,
            required: &["TIMESTAMP", "ContextTokens", "GeneratedTokens"],
        },
        Known {
            format: Format::Mooncake,
            required: &["timestamp", "input_length", "output_length"],
        },
        Known {
            format: Format::Burstgpt,
            required: &["Timestamp", "Model", "Request tokens", "Response tokens"],
        },
        Known {
            format: Format::Servegen,
            required: SERVEGEN,
        },
    ]
}

/// The format whose columns are all there.
pub(crate) fn recognize(file: &Path, header: &[String]) -> Result<Format, TraceError> {
    let mut tried = Vec::new();
    for candidate in known() {
        let missing: Vec<String> = candidate
            .required
            .iter()
            .filter(|name| position(header, name).is_none())
            .map(|&name| name.to_owned())
            .collect();
        if missing.is_empty() {
            return Ok(candidate.format);
        }
        tried.push((candidate.format.name(), missing));
    }
    Err(TraceError::at_line(
        file,
        1,
        TraceCause::UnknownFormat {
            found: header.to_vec(),
            tried,
        },
    ))
}

impl Layout {
    /// Where `format`, which is neither [`Format::Auto`] nor [`Format::Servegen`] nor lines of JSON, finds its columns in `header`.
    pub(crate) fn new(file: &Path, format: &Format, header: &[String]) -> Result<Layout, TraceError> {
        let (columns, kind, from_first, sparse) = match format {
            Format::Azure => (
                columns("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
                Time::Date,
                true,
                false,
            ),
            Format::Mooncake => (
                columns("timestamp", "input_length", "output_length"),
                Time::Millis,
                false,
                false,
            ),
            Format::Burstgpt => {
                let named = columns("Timestamp", "Request tokens", "Response tokens");
                (
                    Columns {
                        model: Some("Model".to_owned()),
                        ..named
                    },
                    Time::Seconds,
                    false,
                    false,
                )
            }
            Format::Csv(columns) => (columns.clone(), Time::Any, true, false),
            Format::Auto | Format::Servegen | Format::AccessLog | Format::Tollgate => {
                let optional = |name: &str| position(header, name).map(|_| name.to_owned());
                let ours = Columns {
                    tenant: optional("tenant"),
                    model: optional("model"),
                    max_tokens: optional("max_tokens"),
                    stream: optional("stream"),
                    ..columns("time", "prompt", "output")
                };
                (ours, Time::Seconds, false, true)
            }
        };
        let find = |name: &String| require(file, header, name);
        let find_if = |name: &Option<String>| name.as_ref().map(find).transpose();
        Ok(Layout {
            time: find(&columns.time)?,
            kind,
            from_first,
            prompt: find_if(&columns.prompt)?,
            output: find_if(&columns.output)?,
            sparse,
            tenant: find_if(&columns.tenant)?,
            model: find_if(&columns.model)?,
            max_tokens: find_if(&columns.max_tokens)?,
            stream: find_if(&columns.stream)?,
        })
    }
}

fn columns(time: &str, prompt: &str, output: &str) -> Columns {
    let named = |name: &str| Some(name.to_owned());
    Columns {
        time: time.to_owned(),
        prompt: named(prompt),
        output: named(output),
        ..Columns::default()
    }
}

/// The position of the column `name`, or an error that names the nearest.
pub(crate) fn require(file: &Path, header: &[String], name: &str) -> Result<usize, TraceError> {
    position(header, name).ok_or_else(|| {
        let nearest = header
            .iter()
            .map(|column| (distance(&column.to_lowercase(), &name.to_lowercase()), column))
            .filter(|(distance, column)| *distance <= column.chars().count().max(name.chars().count()) / 2)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, column)| column.clone());
        let cause = TraceCause::MissingColumn {
            name: name.to_owned(),
            found: header.to_vec(),
            nearest,
        };
        TraceError::at_line(file, 1, cause)
    })
}

fn position(header: &[String], name: &str) -> Option<usize> {
    let exact = header.iter().position(|column| column == name);
    exact.or_else(|| header.iter().position(|column| column.eq_ignore_ascii_case(name)))
}

/// Levenshtein's distance: characters inserted, deleted or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().take(MAX_NAME).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left) in from.chars().take(MAX_NAME).enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (index, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

/// Longer names are compared by their beginnings.
const MAX_NAME: usize = 64;

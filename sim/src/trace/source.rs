//! Where rows come from: CSV, lines of JSON, or a table of rates.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;

use super::access_log::{AccessLog, is_access_log};
use super::expand::Expansion;
use super::layout::{Layout, Time, recognize};
use super::names::{Names, Unnamed};
use super::number::{boolean, date, decimal, tokens, tokens_of};
use super::packed::{MAX_MODELS, MAX_TENANTS};
use super::{Format, TraceCause, TraceError, TraceRow};

/// A row as it stands in the file: its time may be that of any clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    /// Nanoseconds.
    pub(crate) at: i64,
    pub(crate) line: u64,
    pub(crate) row: TraceRow,
}

/// The rows of a file in its own order.
#[derive(Debug)]
pub(crate) enum Source {
    Csv {
        csv: csv::Reader<File>,
        record: csv::ByteRecord,
        layout: Layout,
        header: Vec<String>,
    },
    Json {
        lines: BufReader<File>,
        buffer: Vec<u8>,
        line: u64,
        bytes: u64,
    },
    AccessLog(AccessLog<BufReader<File>>),
    Rates(Box<Expansion>),
}

/// The names that rows refer to by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dictionary {
    pub(crate) tenants: Names,
    pub(crate) models: Names,
}

/// Lines longer than this are no trace.
pub(crate) const MAX_LINE: u64 = 16 << 20;
/// How much is looked at to find the first line.
const PEEK: u64 = 1 << 16;

impl Source {
    /// Opens `file` and finds out its format where `format` leaves it open.
    pub(crate) fn open(file: &Path, format: &Format, names: &mut Dictionary) -> Result<(Source, Format), TraceError> {
        let fail = |cause| TraceError::of_file(file, cause);
        let io = |error| fail(TraceCause::Io(error));
        // Looked at before it is opened: opening a pipe waits for whoever writes to it.
        let kind = std::fs::metadata(file).map_err(io)?.file_type();
        if kind.is_dir() {
            return Err(fail(TraceCause::Directory));
        }
        if !kind.is_file() {
            return Err(fail(TraceCause::NotAFile));
        }
        let mut handle = File::open(file).map_err(io)?;
        let mut start = Vec::new();
        handle.by_ref().take(PEEK).read_to_end(&mut start).map_err(io)?;
        handle.rewind().map_err(io)?;
        if start.is_empty() {
            return Err(fail(TraceCause::EmptyFile));
        }
        if start.contains(&0) {
            return Err(fail(TraceCause::NotUtf8));
        }
        let is_json = start.trim_ascii_start().first() == Some(&b'{');
        if *format == Format::AccessLog || (*format == Format::Auto && is_json && is_access_log(&start)) {
            let lines = BufReader::with_capacity(1 << 16, handle);
            return Ok((Source::AccessLog(AccessLog::new(lines)), Format::AccessLog));
        }
        if is_json && matches!(format, Format::Auto | Format::Mooncake) {
            let lines = BufReader::with_capacity(1 << 16, handle);
            return Ok((
                Source::Json {
                    lines,
                    buffer: Vec::new(),
                    line: 0,
                    bytes: 0,
                },
                Format::Mooncake,
            ));
        }
        let mut csv = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(handle);
        let header: Vec<String> = match csv.byte_headers() {
            Ok(header) => header
                .iter()
                .map(column_name)
                .collect::<Option<_>>()
                .ok_or(fail(TraceCause::NotUtf8))?,
            Err(error) => return Err(of_csv(file, error)),
        };
        let format = match format {
            Format::Auto => recognize(file, &header)?,
            Format::Azure
            | Format::Mooncake
            | Format::Burstgpt
            | Format::Servegen
            | Format::Tollgate
            | Format::AccessLog
            | Format::Csv(_) => format.clone(),
        };
        if format == Format::Servegen {
            let expansion = Expansion::read(file, &header, csv, names)?;
            return Ok((Source::Rates(Box::new(expansion)), format));
        }
        let layout = Layout::new(file, &format, &header)?;
        Ok((
            Source::Csv {
                csv,
                record: csv::ByteRecord::new(),
                layout,
                header,
            },
            format,
        ))
    }

    /// The next row, or none at the end.
    pub(crate) fn next(&mut self, file: &Path, names: &mut Dictionary) -> Option<Result<Raw, TraceError>> {
        match self {
            Source::Csv {
                csv,
                record,
                layout,
                header,
            } => match csv.read_byte_record(record) {
                Ok(true) => Some(of_record(record, layout, names).map_err(|bad| bad.located(file, record, header))),
                Ok(false) => None,
                Err(error) => Some(Err(of_csv(file, error))),
            },
            Source::Json {
                lines,
                buffer,
                line,
                bytes,
            } => loop {
                buffer.clear();
                match lines.by_ref().take(MAX_LINE).read_until(b'\n', buffer) {
                    Ok(0) => return None,
                    Ok(len) => {
                        *line += 1;
                        *bytes += u64::try_from(len).unwrap_or(u64::MAX);
                        if !buffer.trim_ascii().is_empty() {
                            return Some(of_json(file, *line, buffer));
                        }
                    }
                    Err(error) => return Some(Err(TraceError::at_line(file, *line + 1, TraceCause::Io(error)))),
                }
            },
            Source::AccessLog(log) => log.next(file, names),
            Source::Rates(expansion) => expansion.next().map(Ok),
        }
    }

    /// How many bytes of the file have been read.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Source::Csv { csv, .. } => csv.position().byte(),
            Source::Json { bytes, .. } => *bytes,
            Source::AccessLog(log) => log.bytes(),
            Source::Rates(expansion) => expansion.bytes(),
        }
    }

    /// What a reader should know of what was left out.
    pub(crate) fn notes(&self) -> Vec<String> {
        match self {
            Source::AccessLog(log) => log.notes(),
            Source::Csv { .. } | Source::Json { .. } | Source::Rates(_) => Vec::new(),
        }
    }

    /// Whether times are those of a clock, so that the first row begins the trace.
    pub(crate) const fn is_from_first(&self) -> bool {
        match self {
            Source::Csv { layout, .. } => layout.from_first,
            Source::AccessLog(_) => true,
            Source::Json { .. } | Source::Rates(_) => false,
        }
    }

    /// Which of tenant, model, `max_tokens` and stream there are.
    pub(crate) const fn tells(&self) -> [bool; 4] {
        match self {
            Source::Csv { layout, .. } => [
                layout.tenant.is_some(),
                layout.model.is_some(),
                layout.max_tokens.is_some(),
                layout.stream.is_some(),
            ],
            Source::Json { .. } => [false; 4],
            Source::AccessLog(_) => [true; 4],
            Source::Rates(_) => [true, false, false, false],
        }
    }
}

fn column_name(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).ok().map(|name| name.trim().to_owned())
}

/// A field that cannot be used, by its position.
struct BadField {
    field: usize,
    cause: TraceCause,
}

impl BadField {
    fn located(self, file: &Path, record: &csv::ByteRecord, header: &[String]) -> TraceError {
        let line = record.position().map_or(0, csv::Position::line);
        let column = header.get(self.field).map_or("", String::as_str);
        TraceError::in_column(
            file,
            line,
            column,
            record.get(self.field).unwrap_or_default(),
            self.cause,
        )
    }
}

fn of_record(record: &csv::ByteRecord, layout: &Layout, names: &mut Dictionary) -> Result<Raw, BadField> {
    let text = |field: usize| record.get(field).unwrap_or_default();
    let at = time(text(layout.time), layout.kind).map_err(|cause| BadField {
        field: layout.time,
        cause,
    })?;
    let length = |field: Option<usize>, sparse: bool| -> Result<Option<NonZeroU32>, BadField> {
        match field {
            None => Ok(None),
            Some(field) if sparse && text(field).is_empty() => Ok(None),
            Some(field) => tokens(text(field)).map(Some).map_err(|cause| BadField { field, cause }),
        }
    };
    let mut row = TraceRow {
        prompt: length(layout.prompt, layout.sparse)?,
        output: length(layout.output, layout.sparse)?,
        max_tokens: length(layout.max_tokens, true)?,
        ..TraceRow::default()
    };
    if let Some(field) = layout.stream
        && !text(field).is_empty()
    {
        row.stream = Some(boolean(text(field)).map_err(|cause| BadField { field, cause })?);
    }
    if let Some(field) = layout.tenant {
        let number = names.tenants.number(text(field), MAX_TENANTS);
        row.tenant = Some(number.map_err(|why| unnamed(field, why, "tenants", MAX_TENANTS))?);
    }
    if let Some(field) = layout.model {
        let number = names
            .models
            .number(text(field), MAX_MODELS)
            .and_then(|n| u8::try_from(n).map_err(|_| Unnamed::TooMany));
        row.model = Some(number.map_err(|why| unnamed(field, why, "models", MAX_MODELS))?);
    }
    Ok(Raw {
        at,
        line: record.position().map_or(0, csv::Position::line),
        row,
    })
}

fn unnamed(field: usize, why: Unnamed, what: &'static str, most: usize) -> BadField {
    let cause = match why {
        Unnamed::NotUtf8 => TraceCause::NotUtf8,
        Unnamed::TooMany => TraceCause::TooMany {
            what,
            most: u64::try_from(most).unwrap_or(u64::MAX),
        },
    };
    BadField { field, cause }
}

fn time(text: &[u8], kind: Time) -> Result<i64, TraceCause> {
    match kind {
        Time::Seconds => decimal(text, 9),
        Time::Millis => decimal(text, 6),
        Time::Date => date(text),
        Time::Any => match decimal(text, 9) {
            Err(TraceCause::NotANumber) => date(text),
            other => other,
        },
    }
}

/// A line of Mooncake's JSON; further fields are allowed.
#[derive(Deserialize)]
struct JsonLine {
    timestamp: f64,
    input_length: f64,
    output_length: f64,
}

fn of_json(file: &Path, line: u64, text: &[u8]) -> Result<Raw, TraceError> {
    let parsed: JsonLine = serde_json::from_slice(text)
        .map_err(|error| TraceError::at_line(file, line, TraceCause::NotJson(error.to_string())))?;
    let bad = |column: &str, value: f64, cause| {
        TraceError::in_column(file, line, column, value.to_string().as_bytes(), cause)
    };
    let length = |column: &str, value: f64| tokens_of(value).map(Some).map_err(|cause| bad(column, value, cause));
    let nanos = parsed.timestamp * 1e6;
    if 9.2e18 <= nanos.abs() {
        return Err(bad(
            "timestamp",
            parsed.timestamp,
            TraceCause::TooLarge {
                most: 9_200_000_000_000,
            },
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 2^63")]
    let at = nanos as i64;
    let row = TraceRow {
        prompt: length("input_length", parsed.input_length)?,
        output: length("output_length", parsed.output_length)?,
        ..TraceRow::default()
    };
    Ok(Raw { at, line, row })
}

pub(crate) fn of_csv(file: &Path, error: csv::Error) -> TraceError {
    let line = error.position().map(csv::Position::line);
    let cause = match error.into_kind() {
        csv::ErrorKind::Io(error) => TraceCause::Io(error),
        csv::ErrorKind::Utf8 { .. } => TraceCause::NotUtf8,
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => TraceCause::WrongFields {
            expected: expected_len,
            found: len,
        },
        other @ (csv::ErrorKind::Seek | csv::ErrorKind::Serialize(_) | csv::ErrorKind::Deserialize { .. } | _) => {
            TraceCause::Io(std::io::Error::other(format!("{other:?}")))
        }
    };
    TraceError::of_file(file, cause).with_line(line)
}

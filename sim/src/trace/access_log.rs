//! Our own access log as a trace: lines of JSON, one a request, written when it was over.
//!
//! A trace is what clients asked for, so a request that was refused or failed is a row like any other; only what was
//! answered before any policy saw it is left out. What a request would have been answered is known of completed
//! ones alone: of the others, the workload draws it.

use std::borrow::Cow;
use std::io::{BufRead, Read as _};
use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::number::{date, tokens_of};
use super::packed::{MAX_MODELS, MAX_TENANTS};
use super::source::{Dictionary, MAX_LINE, Raw};
use super::{TraceCause, TraceError, TraceRow};

/// The lines of an access log.
#[derive(Debug)]
pub(crate) struct AccessLog<R> {
    lines: R,
    buffer: Vec<u8>,
    line: u64,
    bytes: u64,
    /// Lines of requests that no policy saw.
    direct: u64,
    /// Lines that the log says it lacks.
    dropped: u64,
    /// Whether the last line breaks off.
    is_cut: bool,
}

/// What is read of a line; there is more, and there may be.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    dropped: Option<u64>,
    end: Option<Cow<'a, str>>,
    tenant: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    prompt: Option<f64>,
    prompt_estimate: Option<f64>,
    output: Option<f64>,
    max_tokens: Option<f64>,
}

/// Whether a file that begins with `start` is an access log.
pub(crate) fn is_access_log(start: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        time: Option<IgnoredAny>,
        end: Option<IgnoredAny>,
        dropped: Option<IgnoredAny>,
    }
    let first = start.trim_ascii_start().split(|byte| *byte == b'\n').next();
    let first = first.unwrap_or_default();
    match serde_json::from_slice::<Probe>(first) {
        Ok(probe) => probe.time.is_some() && (probe.end.is_some() || probe.dropped.is_some()),
        Err(_) => first.starts_with(b"{\"time\":\""),
    }
}

impl<R: BufRead> AccessLog<R> {
    pub(crate) fn new(lines: R) -> AccessLog<R> {
        AccessLog {
            lines,
            buffer: Vec::new(),
            line: 0,
            bytes: 0,
            direct: 0,
            dropped: 0,
            is_cut: false,
        }
    }

    /// How many bytes have been read.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next row in the order of the file, or none at the end.
    pub(crate) fn next(&mut self, file: &Path, names: &mut Dictionary) -> Option<Result<Raw, TraceError>> {
        loop {
            self.buffer.clear();
            match (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(len) => {
                    self.line += 1;
                    self.bytes += u64::try_from(len).unwrap_or(u64::MAX);
                }
                Err(error) => return Some(Err(TraceError::at_line(file, self.line + 1, TraceCause::Io(error)))),
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let record: Record<'_> = match serde_json::from_slice(&self.buffer) {
                Ok(record) => record,
                // A log may be read while it is written.
                Err(error) if error.is_eof() && self.buffer.last() != Some(&b'\n') => {
                    self.is_cut = true;
                    return None;
                }
                Err(error) => {
                    let cause = TraceCause::NotJson(error.to_string());
                    return Some(Err(TraceError::at_line(file, self.line, cause)));
                }
            };
            if let Some(dropped) = record.dropped {
                self.dropped = self.dropped.saturating_add(dropped);
            } else if record.end.as_deref() == Some("direct") {
                self.direct += 1;
            } else {
                return Some(row(file, self.line, &record, names));
            }
        }
    }

    /// What a reader should know of what was left out.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if 0 < self.direct {
            notes.push(format!(
                "{} of the log's requests are left out: no policy saw them, for they were malformed, had no known key, or \
                 asked for the list of models",
                self.direct
            ));
        }
        if 0 < self.dropped {
            notes.push(format!("the log says that it lacks {} requests", self.dropped));
        }
        if self.is_cut {
            notes.push(format!("line {} breaks off and is left out", self.line));
        }
        notes
    }
}

fn row(file: &Path, line: u64, record: &Record<'_>, names: &mut Dictionary) -> Result<Raw, TraceError> {
    let bad = |column: &str, text: &str, cause| TraceError::in_column(file, line, column, text.as_bytes(), cause);
    let at = date(record.time.as_bytes()).map_err(|cause| bad("time", &record.time, cause))?;
    let tokens = |column: &str, count: Option<f64>| -> Result<Option<NonZeroU32>, TraceError> {
        let count = count.map(|count| tokens_of(count).map_err(|cause| bad(column, &count.to_string(), cause)));
        count.transpose()
    };
    let prompt = tokens("prompt", record.prompt)?;
    let is_complete = record.end.as_deref() == Some("completed");
    let tenant = record.tenant.as_deref().map(|name| {
        let number = names.tenants.number(name.as_bytes(), MAX_TENANTS);
        let most = u64::try_from(MAX_TENANTS).unwrap_or(u64::MAX);
        number.map_err(|_| bad("tenant", name, TraceCause::TooMany { what: "tenants", most }))
    });
    // Clients may ask for whatever they like: from some number of models on, they are not told apart.
    let model = record.model.as_deref().filter(|name| !name.is_empty());
    let model = model.and_then(|name| names.models.number(name.as_bytes(), MAX_MODELS).ok());
    Ok(Raw {
        at,
        line,
        row: TraceRow {
            prompt: prompt.map_or_else(
                || tokens("prompt_estimate", record.prompt_estimate),
                |prompt| Ok(Some(prompt)),
            )?,
            output: tokens("output", record.output.filter(|_| is_complete))?,
            max_tokens: tokens("max_tokens", record.max_tokens)?,
            tenant: tenant.transpose()?,
            model: model.and_then(|model| u8::try_from(model).ok()),
            stream: record.stream,
            ..TraceRow::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"time":"2026-01-02T03:04:07.000Z","tenant":"acme","model":"m","end":"completed","stream":true,"prompt":10,"output":20,"max_tokens":64}
{"time":"2026-01-02T03:04:05.000Z","tenant":null,"model":"","end":"refused","prompt":null,"prompt_estimate":7,"output":null}
{"time":"2026-01-02T03:04:08.000Z","dropped":3}
{"time":"2026-01-02T03:04:06.000Z","end":"direct","status":401}

{"time":"2026-01-02T03:04:06.500Z","tenant":"acme","end":"abandoned","prompt":5,"output":9}
"#;

    fn rows(text: &str) -> (Vec<Result<Raw, TraceError>>, Vec<String>, Dictionary) {
        let mut log = AccessLog::new(text.as_bytes());
        let mut names = Dictionary::default();
        let mut rows = Vec::new();
        while let Some(row) = log.next(Path::new("access.jsonl"), &mut names) {
            rows.push(row);
        }
        (rows, log.notes(), names)
    }

    #[test]
    fn what_clients_asked_for_is_read() {
        let (rows, notes, names) = rows(LOG);
        let rows: Vec<Raw> = rows.into_iter().map(|row| row.expect("all is well")).collect();
        let tokens = |row: &TraceRow| [row.prompt, row.output, row.max_tokens].map(|count| count.map(NonZeroU32::get));
        assert_eq!(tokens(&rows[0].row), [Some(10), Some(20), Some(64)]);
        assert_eq!(tokens(&rows[1].row), [Some(7), None, None]);
        // How long its answer would have been is not known.
        assert_eq!(tokens(&rows[2].row), [Some(5), None, None]);
        assert_eq!(rows.iter().map(|raw| raw.line).collect::<Vec<_>>(), [1, 2, 6]);
        assert_eq!(rows[0].at - rows[1].at, 2_000_000_000);
        assert_eq!(
            (rows[0].row.stream, rows[0].row.tenant, rows[0].row.model),
            (Some(true), Some(0), Some(0))
        );
        assert_eq!((rows[1].row.tenant, rows[1].row.model), (None, None));
        assert_eq!(names.tenants.as_slice(), ["acme"]);
        assert_eq!(
            notes,
            [
                "1 of the log's requests are left out: no policy saw them, for they were malformed, had no known key, or \
                 asked for the list of models",
                "the log says that it lacks 3 requests"
            ]
        );
    }

    #[test]
    fn a_line_that_breaks_off_is_left_out_at_the_end_only() {
        let whole = LOG.trim_end();
        let (found, notes, _) = rows(&whole[..whole.len() - 9]);
        assert!(found.len() == 2 && found.iter().all(Result::is_ok));
        assert_eq!(
            notes.last().map(String::as_str),
            Some("line 6 breaks off and is left out")
        );
        let (found, ..) = rows(&format!("{{\"time\":\n{LOG}"));
        let error = found[0].as_ref().expect_err("no JSON").to_string();
        assert!(error.starts_with("access.jsonl:1: "), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            (r#"{"time":"yesterday","end":"completed"}"#, "column `time`"),
            (
                r#"{"time":"2026-01-02T03:04:05Z","end":"completed","prompt":-1}"#,
                "column `prompt`",
            ),
            (r#"{"end":"completed"}"#, "missing field `time`"),
            (
                r#"{"time":"2026-01-02T03:04:05Z","prompt":"x"}"#,
                "not the JSON expected",
            ),
        ] {
            let (found, ..) = rows(&format!("{line}\n"));
            let error = found[0].as_ref().expect_err(line).to_string();
            assert!(
                error.contains("access.jsonl:1: ") && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn it_is_told_from_other_lines_of_json() {
        assert!(is_access_log(LOG.as_bytes()) && is_access_log(b"{\"time\":\"2026-01-02T03"));
        assert!(is_access_log(b" { \"end\": \"failed\", \"time\": \"\" }\n"));
        assert!(!is_access_log(
            b"{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n"
        ));
        assert!(!is_access_log(b"time,prompt,output\n"));
    }
}

//! The access log of a gateway, read back: what each request met, and what of the log is missing.
//!
//! A log of a real deployment has gaps: lines that its gateway dropped under load and said so, a last line that is cut, a
//! file that was rotated away in the middle of a line. Whatever makes sense is read, and whatever does not is counted.

use std::fmt;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;

/// A log, or several one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// What is known of requests that a policy has seen.
    pub entries: Vec<Entry>,
    /// Requests that were answered before any policy saw them.
    pub direct: u64,
    /// Requests that the log says it lacks.
    pub dropped: u64,
    /// Lines that make no sense, and the first of them.
    pub unread: u64,
    /// Where the first of them is: file and line.
    pub first_unread: Option<(PathBuf, u64)>,
    /// Files whose last line breaks off.
    pub cut: u64,
    /// All lines.
    pub lines: u64,
}

/// What is known of a request. Times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When it arrived.
    #[serde(deserialize_with = "date")]
    pub time: Option<SystemTime>,
    /// What it was called.
    pub id: String,
    /// Who answered it.
    pub endpoint: Option<String>,
    /// The status that its client was answered.
    pub status: u16,
    /// How it ended: `completed`, `failed`, `refused`, `abandoned`.
    pub end: String,
    /// Why, if it was not answered.
    pub cause: Option<String>,
    /// How its last attempt failed.
    pub fault: Option<String>,
    /// Whether the answer was streamed.
    pub stream: Option<bool>,
    /// Tokens of the prompt.
    pub prompt: Option<u32>,
    /// Tokens of the answer.
    pub output: Option<u32>,
    /// The most that were asked for.
    pub max_tokens: Option<u32>,
    /// Attempts of every kind.
    pub attempts: u32,
    /// Those after a failure, in the same pool.
    pub retries: u32,
    /// Those beside another.
    pub hedges: u32,
    /// Those in a further pool.
    pub fallbacks: u32,
    /// Waited for a permit.
    pub queue_wait_ms: f64,
    /// To the first token of a stream.
    pub ttft_ms: Option<f64>,
    /// To the end.
    pub e2e_ms: f64,
    /// To the launch of the attempt that answered.
    pub overhead_ms: Option<f64>,
    /// Attempts that did not answer.
    pub lost: Vec<Lost>,
    /// Lines that are missing here; then it is no request.
    dropped: Option<u64>,
}

/// An attempt that did not answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Where it was made.
    pub endpoint: String,
    /// When, after the request arrived.
    pub launched_ms: f64,
    /// How it failed; none if it was stopped.
    pub fault: Option<String>,
}

/// A log that cannot be read at all.
#[derive(Debug)]
pub struct Unreadable {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub cause: io::Error,
}

/// Longest line that is taken for one.
const MOST_LINE: u64 = 1 << 20;

impl Log {
    /// Reads the file `path` after whatever was read before.
    ///
    /// # Errors
    ///
    /// If it cannot be read. What it says may be anything.
    pub fn add(&mut self, path: &std::path::Path) -> Result<(), Unreadable> {
        let unreadable = |cause| Unreadable {
            file: path.to_owned(),
            cause,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        self.read(io::BufReader::new(file), path).map_err(unreadable)
    }

    /// The same of what `reader` says, which errors call `path`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(&mut self, mut reader: impl BufRead, path: &std::path::Path) -> io::Result<()> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = io::Read::take(&mut reader, MOST_LINE).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            self.lines += 1;
            match serde_json::from_slice::<Entry>(&line) {
                Ok(entry) => self.take(entry),
                Err(_) if line.last() != Some(&b'\n') => self.cut += 1,
                Err(_) => {
                    self.unread += 1;
                    self.first_unread.get_or_insert_with(|| (path.to_owned(), number));
                }
            }
        }
    }

    fn take(&mut self, entry: Entry) {
        if let Some(dropped) = entry.dropped {
            self.dropped += dropped;
        } else if matches!(entry.end.as_str(), "completed" | "failed" | "refused" | "abandoned") {
            self.entries.push(entry);
        } else {
            self.direct += 1;
        }
    }

    /// What is missing, in sentences.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if 0 < self.dropped {
            gaps.push(format!(
                "the log says that it lacks {} requests: its gateway had more to write than it could",
                self.dropped
            ));
        }
        if 0 < self.cut {
            gaps.push(format!("{} last lines break off and are left out", self.cut));
        }
        if let Some((file, line)) = &self.first_unread {
            gaps.push(format!(
                "{} lines are no lines of an access log and are left out, the first at {}:{line}",
                self.unread,
                file.display()
            ));
        }
        if 0 < self.direct {
            gaps.push(format!(
                "{} requests were answered before any policy saw them",
                self.direct
            ));
        }
        gaps
    }
}

impl Entry {
    /// Milliseconds per token after the first, of a complete stream.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        let further = f64::from(self.output?.checked_sub(1).filter(|further| 0 < *further)?);
        (self.end == "completed").then_some((self.e2e_ms - self.ttft_ms?) / further)
    }
}

fn date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    humantime::parse_rfc3339(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be read: {}", self.file.display(), self.cause)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LOG: &str = r#"{"time":"2026-01-02T03:04:05.250Z","id":"a","end":"completed","endpoint":"alpha","status":200,"stream":true,"output":11,"ttft_ms":100.0,"e2e_ms":300.0,"overhead_ms":0.1,"attempts":2,"retries":1,"lost":[{"endpoint":"beta","launched_ms":0.1,"fault":"server"}],"policy":"p","new":1}
{"time":"2026-01-02T03:04:06.000Z","dropped":3}
{"time":"2026-01-02T03:04:06.000Z","end":"direct","status":401}
half a line of a file that was rot
{"time":"2026-01-02T03:04:07.000Z","end":"refused","cause":"limited","status":429}
{"time":"2026-01-02T03:04:08.000Z","end":"comp"#;

    #[test]
    fn a_log_with_gaps_is_read_and_they_are_told() {
        let mut log = Log::default();
        log.read(LOG.as_bytes(), Path::new("access.jsonl")).expect("bytes");
        assert_eq!(
            (log.entries.len(), log.dropped, log.direct, log.unread, log.cut),
            (2, 3, 1, 1, 1)
        );
        let entry = &log.entries[0];
        assert_eq!(entry.tpot_ms(), Some(20.0));
        assert_eq!(entry.lost[0].fault.as_deref(), Some("server"));
        assert_eq!(log.entries[1].tpot_ms(), None);
        let gaps = log.gaps().join("\n");
        for told in [
            "lacks 3 requests",
            "1 last lines",
            "access.jsonl:4",
            "1 requests were answered",
        ] {
            assert!(gaps.contains(told), "{gaps}");
        }
    }

    #[test]
    fn anything_may_be_a_log() {
        for text in ["", "\n\n", "{}", "[]\n{}\n", "\u{0}", "{\"time\":3}\n"] {
            let mut log = Log::default();
            log.read(text.as_bytes(), Path::new("any")).expect("bytes");
            assert!(log.entries.is_empty(), "{text:?}");
        }
        let missing = Log::default()
            .add(Path::new("/nonexistent"))
            .expect_err("it is not there");
        assert!(missing.to_string().contains("/nonexistent"));
    }
}

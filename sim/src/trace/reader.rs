//! Rows one after the other, in bounded memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::time::Nanos;

use super::source::{Dictionary, Raw, Source};
use super::{Format, ReadOptions, TraceCause, TraceError, TraceRow};

/// Reads a trace row by row. After an error there are no more rows.
///
/// Times count from the beginning of the trace: that is the first row where they are those of a clock
/// ([`Format::Azure`], [`Format::Csv`]), and zero where they are seconds of a recording.
///
/// ```no_run
/// use std::path::Path;
/// use tollgate_sim::trace::{ReadOptions, TraceReader};
///
/// let mut reader = TraceReader::open(Path::new("access.csv"), &ReadOptions::default())?;
/// let mut tokens = 0;
/// for row in &mut reader {
///     tokens += row?.prompt.map_or(0, |prompt| u64::from(prompt.get()));
/// }
/// println!("{tokens} tokens from {} tenants", reader.tenants().len());
/// # Ok::<(), tollgate_sim::trace::TraceError>(())
/// ```
pub struct TraceReader {
    file: PathBuf,
    format: Format,
    source: Source,
    names: Dictionary,
    /// Rows that were looked at to see whether there is a grid.
    ahead: VecDeque<Raw>,
    /// Rows whose jitter may still put them behind later ones, by time, then number.
    pending: BinaryHeap<Reverse<Jittered>>,
    /// Whether all instants lie on a grid.
    is_coarse: bool,
    drawn: u64,
    before: Option<(i64, u64)>,
    origin: Option<i64>,
    until: Option<Nanos>,
    /// Whether a row was left out for that.
    is_cut: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// Nothing more in the file; only pending rows.
    Draining,
    Done,
}

/// A row after its jitter; ordered by time and number alone.
#[derive(Clone, Copy, Debug)]
struct Jittered {
    number: u64,
    raw: Raw,
}

/// The grid of Mooncake's conversation trace, and how far its rounding to milliseconds strays.
const GRID: i64 = 3_000_000_000;
const STRAY: i64 = 1_000_000;
/// Rows to look at for a grid.
const AHEAD: usize = 64;

impl TraceReader {
    /// Opens `file` and reads as far as it needs to know the format.
    ///
    /// [`ReadOptions::sort`] is for [`Trace::load`](super::Trace::load) and [`import`](super::import()), which can
    /// hold all rows; here rows out of order are refused.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or its format not be found out or not be what was stated.
    pub fn open(file: &Path, options: &ReadOptions) -> Result<TraceReader, TraceError> {
        let mut names = Dictionary::default();
        let (source, format) = Source::open(file, &options.format, &mut names)?;
        let mut reader = TraceReader {
            file: file.to_owned(),
            format,
            source,
            names,
            ahead: VecDeque::new(),
            pending: BinaryHeap::new(),
            is_coarse: false,
            drawn: 0,
            before: None,
            origin: None,
            until: options.until,
            is_cut: false,
            state: State::Reading,
        };
        if reader.format == Format::Mooncake {
            reader.find_grid()?;
        }
        Ok(reader)
    }

    /// The format, found out if it was not stated.
    #[must_use]
    pub const fn format(&self) -> &Format {
        &self.format
    }

    /// The names of the tenants so far.
    #[must_use]
    pub fn tenants(&self) -> &[String] {
        self.names.tenants.as_slice()
    }

    /// The names of the models so far.
    #[must_use]
    pub fn models(&self) -> &[String] {
        self.names.models.as_slice()
    }

    /// How many bytes of the file have been read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.source.bytes()
    }

    pub(crate) const fn tells(&self) -> [bool; 4] {
        self.source.tells()
    }

    pub(crate) const fn is_from_first(&self) -> bool {
        self.source.is_from_first()
    }

    /// Whether a row was read that comes after the last one wanted.
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What a reader should know of what was left out so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    pub(crate) fn into_names(self) -> (Vec<String>, Vec<String>) {
        (self.names.tenants.into_list(), self.names.models.into_list())
    }

    fn find_grid(&mut self) -> Result<(), TraceError> {
        while self.ahead.len() < AHEAD {
            match self.source.next(&self.file, &mut self.names) {
                Some(raw) => self.ahead.push_back(raw?),
                None => break,
            }
        }
        if self.ahead.iter().all(|raw| on_grid(raw.at).is_some()) {
            self.is_coarse = true;
        }
        Ok(())
    }

    /// The next row in the order of the file, with its jitter but the clock's own time.
    pub(crate) fn next_raw(&mut self) -> Option<Result<Raw, TraceError>> {
        let raw = match self.ahead.pop_front() {
            Some(raw) => Ok(raw),
            None => self.source.next(&self.file, &mut self.names)?,
        };
        Some(raw.map(|raw| self.jittered(raw)))
    }

    fn jittered(&mut self, raw: Raw) -> Raw {
        let number = self.drawn;
        self.drawn += 1;
        match on_grid(raw.at) {
            Some(at) if self.is_coarse => {
                let jitter = Dice::new(0)
                    .request(number)
                    .roll(Purpose::Trace, 0)
                    .below(GRID.unsigned_abs());
                Raw {
                    at: at.saturating_add(i64::try_from(jitter).expect("below the grid")),
                    ..raw
                }
            }
            Some(_) | None => raw,
        }
    }

    /// The next row in order of time.
    fn next_sorted(&mut self) -> Option<Result<Raw, TraceError>> {
        if !self.is_coarse {
            return self.next_in_order();
        }
        loop {
            if let Some(Reverse(first)) = self.pending.peek() {
                // No later row of the file can come before the grid point of the newest one.
                let newest = self.before.map_or(i64::MIN, |(at, _)| at);
                if self.state == State::Draining || first.raw.at <= newest {
                    return self.pending.pop().map(|Reverse(first)| Ok(first.raw));
                }
            } else if self.state == State::Draining {
                return None;
            }
            match self.next_in_order() {
                Some(Ok(raw)) => {
                    let number = self.drawn;
                    let raw = self.jittered(raw);
                    self.pending.push(Reverse(Jittered { number, raw }));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => self.state = State::Draining,
            }
        }
    }

    /// The next row of the file without jitter, refused if it goes back in time.
    fn next_in_order(&mut self) -> Option<Result<Raw, TraceError>> {
        let raw = match self.ahead.pop_front() {
            Some(raw) => raw,
            None => match self.source.next(&self.file, &mut self.names)? {
                Ok(raw) => raw,
                Err(error) => return Some(Err(error)),
            },
        };
        if let Some((at, before_line)) = self.before
            && raw.at < at
        {
            let by = Nanos::from_nanos(at.abs_diff(raw.at)).as_secs_f64();
            let cause = TraceCause::Unsorted { before_line, by };
            return Some(Err(TraceError::at_line(&self.file, raw.line, cause)));
        }
        self.before = Some((raw.at, raw.line));
        Some(Ok(raw))
    }

    fn row(&mut self, raw: Raw) -> Result<TraceRow, TraceError> {
        let origin = match self.origin {
            Some(origin) => origin,
            None if self.source.is_from_first() => raw.at,
            None => 0,
        };
        self.origin = Some(origin);
        let time = since(raw.at, origin).ok_or_else(|| negative(&self.file, &raw))?;
        Ok(TraceRow { time, ..raw.row })
    }
}

/// The point of the grid that `at` is a rounding of.
fn on_grid(at: i64) -> Option<i64> {
    let above = at.rem_euclid(GRID);
    if above <= STRAY {
        Some(at - above)
    } else if GRID - STRAY <= above {
        at.checked_add(GRID - above)
    } else {
        None
    }
}

/// How long after `origin` nanoseconds `at` is; none if before.
pub(crate) fn since(at: i64, origin: i64) -> Option<Nanos> {
    u64::try_from(i128::from(at) - i128::from(origin))
        .ok()
        .map(Nanos::from_nanos)
}

pub(crate) fn negative(file: &Path, raw: &Raw) -> TraceError {
    let secs = -Nanos::from_nanos(raw.at.unsigned_abs()).as_secs_f64();
    TraceError::in_column(
        file,
        raw.line,
        "time",
        secs.to_string().as_bytes(),
        TraceCause::Negative,
    )
}

impl Iterator for TraceReader {
    type Item = Result<TraceRow, TraceError>;

    fn next(&mut self) -> Option<Result<TraceRow, TraceError>> {
        if self.state == State::Done {
            return None;
        }
        let next = self.next_sorted().map(|raw| raw.and_then(|raw| self.row(raw)));
        let ends = match (&next, self.until) {
            (Some(Ok(row)), Some(until)) => until <= row.time,
            (Some(Ok(_)), None) => false,
            (Some(Err(_)) | None, _) => true,
        };
        if !ends {
            return next;
        }
        self.state = State::Done;
        self.is_cut = matches!(next, Some(Ok(_)));
        next.filter(Result::is_err)
    }
}

impl fmt::Debug for TraceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceReader")
            .field("file", &self.file)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Jittered {
    const fn key(&self) -> (i64, u64) {
        (self.raw.at, self.number)
    }
}

impl PartialEq for Jittered {
    fn eq(&self, other: &Jittered) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Jittered {}

impl PartialOrd for Jittered {
    fn partial_cmp(&self, other: &Jittered) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jittered {
    fn cmp(&self, other: &Jittered) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

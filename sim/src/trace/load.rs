//! From a file to a trace in memory.

use std::path::Path;

use super::reader::{TraceReader, negative, since};
use super::{ReadOptions, Trace, TraceCause, TraceError, TraceRow};

/// The most rows of a trace in memory: 2.4 GB.
pub const MAX_ROWS: usize = 100_000_000;

/// How far a trace has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// Bytes of the file.
    pub of: u64,
}

/// Rows between two reports of progress.
const STRIDE: usize = 1 << 16;

impl Trace {
    /// Reads the whole of `file`, at most [`MAX_ROWS`] rows.
    ///
    /// # Errors
    ///
    /// The first thing in the file that cannot be used; rows out of order unless [`ReadOptions::sort`] is set, or
    /// the format has them so.
    pub fn load(file: &Path, options: &ReadOptions) -> Result<Trace, TraceError> {
        Trace::load_with(file, options, &mut |_| ())
    }

    /// As [`Trace::load`], telling `progress` every 65,536 rows how far it is.
    ///
    /// # Errors
    ///
    /// As [`Trace::load`].
    pub fn load_with(
        file: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Trace, TraceError> {
        let reader = TraceReader::open(file, options)?;
        if options.sort || reader.format().is_out_of_order() {
            sorted(file, reader, options, progress)
        } else {
            in_order(file, reader, progress)
        }
    }
}

fn in_order(file: &Path, mut reader: TraceReader, progress: &mut dyn FnMut(Progress)) -> Result<Trace, TraceError> {
    let mut trace = Trace::with_capacity(0);
    while let Some(row) = reader.next() {
        trace.push(&row?);
        step(file, &reader, &mut trace, progress)?;
    }
    let is_cut = reader.is_cut();
    finish(file, reader, trace, is_cut)
}

fn sorted(
    file: &Path,
    mut reader: TraceReader,
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Trace, TraceError> {
    let mut trace = Trace::with_capacity(0);
    let from_first = reader.is_from_first();
    let mut earliest = if from_first { i64::MAX } else { 0 };
    while let Some(raw) = reader.next_raw() {
        let raw = raw?;
        earliest = earliest.min(raw.at);
        if earliest < 0 && !from_first {
            return Err(negative(file, &raw));
        }
        // Until the earliest is known, times count from the least there is.
        let time = since(raw.at, i64::MIN).expect("nothing is before the least");
        trace.push(&TraceRow { time, ..raw.row });
        step(file, &reader, &mut trace, progress)?;
    }
    let shift = since(earliest, i64::MIN).expect("nothing is before the least");
    trace.shift_back(shift);
    trace.sort();
    let is_cut = options.until.is_some_and(|until| trace.truncate(until));
    finish(file, reader, trace, is_cut)
}

fn step(
    file: &Path,
    reader: &TraceReader,
    trace: &mut Trace,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), TraceError> {
    if MAX_ROWS < trace.len() {
        let cause = TraceCause::TooMany {
            what: "rows",
            most: widened(MAX_ROWS),
        };
        return Err(TraceError::of_file(file, cause));
    }
    if trace.len().is_multiple_of(STRIDE) {
        let of = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let now = Progress {
            rows: widened(trace.len()),
            bytes: reader.bytes(),
            of,
        };
        if trace.len() == STRIDE {
            reserve(trace, now);
        }
        progress(now);
    }
    Ok(())
}

/// Makes room for the whole file at once, judging by its beginning, so that growing does not double the memory.
fn reserve(trace: &mut Trace, now: Progress) {
    if 0 < now.bytes && now.bytes <= now.of {
        let expected = u128::from(now.rows) * u128::from(now.of) / u128::from(now.bytes);
        let expected = usize::try_from(expected + expected / 64)
            .unwrap_or(MAX_ROWS)
            .min(MAX_ROWS);
        trace.reserve(expected.saturating_sub(trace.len()));
    }
}

fn finish(file: &Path, reader: TraceReader, trace: Trace, is_cut: bool) -> Result<Trace, TraceError> {
    if trace.is_empty() {
        return Err(TraceError::of_file(file, TraceCause::NoRows));
    }
    let notes = reader.notes();
    let (tenants, models) = reader.into_names();
    Ok(trace.finish(tenants, models, notes, is_cut))
}

fn widened(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

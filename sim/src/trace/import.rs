//! From any format to ours.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tollgate_core::time::Nanos;

use super::load::Progress;
use super::reader::TraceReader;
use super::{Format, ReadOptions, Trace, TraceCause, TraceError, TraceRow};

/// What an import has written.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The format that was read.
    pub format: Format,
    /// Rows written.
    pub rows: u64,
    /// Tenants among them.
    pub tenants: usize,
    /// From the beginning of the trace to its last row.
    pub duration: Nanos,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Rows between two reports of progress.
const STRIDE: u64 = 1 << 16;

/// Converts `file` to our own CSV at `to`, which is replaced in one step when everything has been read, or not at all.
///
/// Rows stream through; only [`ReadOptions::sort`], and a format that needs it, holds them all.
///
/// # Errors
///
/// The first thing in `file` that cannot be used, or that `to` cannot be written.
pub fn import(
    file: &Path,
    options: &ReadOptions,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported, TraceError> {
    let part = Part::beside(to);
    // The format and its columns are known before the rows are.
    let reader = TraceReader::open(file, options)?;
    let imported = if options.sort || reader.format().is_out_of_order() {
        let (format, columns) = (reader.format().clone(), reader.tells());
        let trace = Trace::load_with(file, options, progress)?;
        let mut out = Output::create(&part.0, to, columns)?;
        for row in trace.rows() {
            out.write(&row, trace.tenants(), trace.models())?;
        }
        out.finish(format, trace.tenants().len(), trace.notes().to_vec())?
    } else {
        stream(file, reader, &part.0, to, progress)?
    };
    fs::rename(&part.0, to).map_err(|error| TraceError::of_file(to, TraceCause::Io(error)))?;
    Ok(imported)
}

fn stream(
    file: &Path,
    mut reader: TraceReader,
    part: &Path,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported, TraceError> {
    let of = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let mut out = Output::create(part, to, reader.tells())?;
    while let Some(row) = reader.next() {
        out.write(&row?, reader.tenants(), reader.models())?;
        if out.rows.is_multiple_of(STRIDE) {
            progress(Progress {
                rows: out.rows,
                bytes: reader.bytes(),
                of,
            });
        }
    }
    if out.rows == 0 {
        return Err(TraceError::of_file(file, TraceCause::NoRows));
    }
    let format = reader.format().clone();
    out.finish(format, reader.tenants().len(), reader.notes())
}

/// A file that is removed unless it has been renamed.
struct Part(PathBuf);

impl Part {
    /// Its own name is short, so that `to` may have the longest one that there can be.
    fn beside(to: &Path) -> Part {
        let mut hasher = DefaultHasher::new();
        to.file_name().hash(&mut hasher);
        let name = format!(".{:016x}.{}.part", hasher.finish(), std::process::id());
        Part(to.with_file_name(name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename there is nothing to remove, and that is the good case.
        drop(fs::remove_file(&self.0));
    }
}

struct Output<'a> {
    csv: csv::Writer<BufWriter<File>>,
    to: &'a Path,
    columns: [bool; 4],
    text: String,
    rows: u64,
    last: Nanos,
}

impl<'a> Output<'a> {
    fn create(part: &Path, to: &'a Path, columns: [bool; 4]) -> Result<Output<'a>, TraceError> {
        let failed = |error| TraceError::of_file(to, TraceCause::Io(error));
        let file = File::create(part).map_err(failed)?;
        let mut csv = csv::Writer::from_writer(BufWriter::with_capacity(1 << 16, file));
        let optional = ["tenant", "model", "max_tokens", "stream"].into_iter().zip(columns);
        let names = optional.filter_map(|(name, is_told)| is_told.then_some(name));
        csv.write_record(["time", "prompt", "output"].into_iter().chain(names))
            .map_err(|error| failed(error.into()))?;
        Ok(Output {
            csv,
            to,
            columns,
            text: String::new(),
            rows: 0,
            last: Nanos::ZERO,
        })
    }

    fn write(&mut self, row: &TraceRow, tenants: &[String], models: &[String]) -> Result<(), TraceError> {
        self.write_fields(row, tenants, models)
            .map_err(|error| TraceError::of_file(self.to, TraceCause::Io(error.into())))?;
        self.rows += 1;
        self.last = row.time;
        Ok(())
    }

    fn write_fields(&mut self, row: &TraceRow, tenants: &[String], models: &[String]) -> Result<(), csv::Error> {
        let [tenant, model, max_tokens, stream] = self.columns;
        seconds(&mut self.text, row.time);
        self.csv.write_field(&self.text)?;
        self.number(row.prompt.map(u32::from))?;
        self.number(row.output.map(u32::from))?;
        if tenant {
            let name = row.tenant.and_then(|index| tenants.get(usize::try_from(index).ok()?));
            self.csv.write_field(name.map_or("", String::as_str))?;
        }
        if model {
            let name = row.model.and_then(|index| models.get(usize::from(index)));
            self.csv.write_field(name.map_or("", String::as_str))?;
        }
        if max_tokens {
            self.number(row.max_tokens.map(u32::from))?;
        }
        if stream {
            self.csv
                .write_field(row.stream.map_or("", |stream| if stream { "true" } else { "false" }))?;
        }
        self.csv.write_record(None::<&[u8]>)
    }

    fn number(&mut self, number: Option<u32>) -> Result<(), csv::Error> {
        self.text.clear();
        if let Some(number) = number {
            write!(self.text, "{number}").expect("writing to a string does not fail");
        }
        self.csv.write_field(&self.text)
    }

    fn finish(self, format: Format, tenants: usize, notes: Vec<String>) -> Result<Imported, TraceError> {
        let failed = |error| TraceError::of_file(self.to, TraceCause::Io(error));
        let mut file = self.csv.into_inner().map_err(|error| failed(error.into_error()))?;
        file.flush().map_err(failed)?;
        Ok(Imported {
            format,
            rows: self.rows,
            tenants,
            duration: self.last,
            notes,
        })
    }
}

/// Seconds with as many digits as it takes.
fn seconds(text: &mut String, time: Nanos) {
    text.clear();
    let (whole, rest) = (time.as_nanos() / 1_000_000_000, time.as_nanos() % 1_000_000_000);
    write!(text, "{whole}.{rest:09}").expect("writing to a string does not fail");
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    text.truncate(kept.max(1));
}

//! The result set: what a run leaves behind, as types and as files.
//!
//! [`ResultSet::write`] puts a set into a directory, all of it or nothing; [`ResultSet::read`] brings back what a report
//! needs to be drawn again. Counts are `f64` because they are means over replications. What is undefined is `None` and
//! becomes `null` in JSON and an empty field in CSV, never 0 and never NaN.

mod error;
mod hgrm;
mod merge;
mod number;
mod read;
mod rows;
mod store;
mod summary;
mod write;

use std::path::{Path, PathBuf};

use crate::{figure, page};

pub use error::{ReadError, WriteError};
pub use hgrm::{MalformedTable, Metric, NamedHistogram, PercentileRow, PercentileTable};
pub use merge::merge;
pub use rows::{EndpointSeriesRow, RequestRow, SeriesRow, TenantRow};
pub use store::{File, Keep, check_free, is_ours, store};
pub(crate) use store::{Shape, store_as};
pub use summary::{
    Cause, ClientSummary, EndpointSummary, FaultWindow, Latency, Mode, RequestCounts, StrategySummary, Summary,
};

/// Everything one run leaves behind: a summary, the rows behind it, and the latency distributions.
///
/// Strategies are told apart by name: each `strategy` field in the rows is the `name` of one of
/// [`Summary::strategies`].
#[derive(Clone, Debug, PartialEq)]
pub struct ResultSet {
    /// The figures of each strategy and the conditions of the run.
    pub summary: Summary,
    /// Width in seconds of the bins of `series` and `endpoint_series`; counts in a row are per bin.
    pub bin_seconds: f64,
    /// One row per bin and strategy, bins ascending within a strategy.
    pub series: Vec<SeriesRow>,
    /// One row per bin, strategy and endpoint, bins ascending within a strategy.
    pub endpoint_series: Vec<EndpointSeriesRow>,
    /// One row per strategy and tenant.
    pub tenants: Vec<TenantRow>,
    /// At most one distribution per strategy and metric.
    pub histograms: Vec<NamedHistogram>,
    /// Sampled requests; when empty, no `requests.csv` is written. Not read back.
    pub requests: Vec<RequestRow>,
}

impl Default for ResultSet {
    fn default() -> Self {
        ResultSet {
            summary: Summary::default(),
            bin_seconds: 1.0,
            series: Vec::new(),
            endpoint_series: Vec::new(),
            tenants: Vec::new(),
            histograms: Vec::new(),
            requests: Vec::new(),
        }
    }
}

impl ResultSet {
    /// Writes the result set into `dir` and returns the paths written, sorted.
    ///
    /// Either all of it arrives or nothing changes: files are first written beside their place and then renamed into it.
    /// Files of an earlier result set in `dir` are replaced or, when this set has none of that name, removed; every
    /// other file stays.
    ///
    /// # Errors
    ///
    /// When the directory cannot be written, when it holds a file of somebody else under one of our names, or when a
    /// count is not finite.
    pub fn write(&self, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
        store(dir, &self.files()?, Keep::Foreign)
    }

    /// Draws the figures and the page again into `dir`, beside the data of a result set that is there already, and
    /// returns the paths written, sorted.
    ///
    /// # Errors
    ///
    /// As for [`write`](ResultSet::write).
    pub fn write_report(&self, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
        store(dir, &self.report_files()?, Keep::All)
    }

    /// Every file of the set, in memory: the data, the figures and the page.
    ///
    /// # Errors
    ///
    /// When a count is not finite.
    pub fn files(&self) -> Result<Vec<File>, WriteError> {
        let mut files = self.data_files()?;
        files.extend(self.report_files()?);
        Ok(files)
    }

    /// The figures, as SVG and PNG, and `report.html`, in memory.
    ///
    /// # Errors
    ///
    /// When a figure cannot be drawn, which would be a bug.
    pub fn report_files(&self) -> Result<Vec<File>, WriteError> {
        let figures = figure::all(self);
        let mut files = figure::files(&figures)?;
        files.push(File::new("report.html", page::with_figures(self, &figures)?));
        Ok(files)
    }

    /// Reads what a report is drawn from: the summary, both series, the tenants and the percentile tables.
    ///
    /// `summary.json` must be there; a file that is missing beside it reads as empty.
    ///
    /// # Errors
    ///
    /// When `dir` holds no result set, or a file in it cannot be read or understood.
    pub fn read(dir: &Path) -> Result<ResultSet, ReadError> {
        read::read(dir)
    }

    /// The rows of one strategy, in order of time.
    pub fn series_of<'a>(&'a self, strategy: &'a str) -> impl Iterator<Item = &'a SeriesRow> + 'a {
        self.series.iter().filter(move |row| row.strategy == strategy)
    }

    /// The distribution of one metric of one strategy, if it was recorded.
    #[must_use]
    pub fn histogram(&self, strategy: &str, metric: Metric) -> Option<&PercentileTable> {
        self.histograms
            .iter()
            .find(|named| named.strategy == strategy && named.metric == metric)
            .map(|named| &named.table)
    }
}

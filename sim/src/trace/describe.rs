//! What a trace holds: rate, burstiness, lengths, tenants.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::survey::Survey;
use super::{ReadOptions, Trace, TraceCause, TraceError, TraceReader};

/// What a trace holds. A figure that is not defined is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Calls.
    pub calls: usize,
    /// Seconds from the first call to the last.
    pub duration_seconds: f64,
    /// Calls a second over that time.
    pub rate: Option<f64>,
    /// Burstiness in windows of 1, 10, 60 and 300 s.
    pub windows: Vec<Burstiness>,
    /// Standard deviation of the gaps between calls over their mean.
    pub gap_cv: Option<f64>,
    /// Shapes of distributions fitted to the gaps.
    pub gap_shapes: Shapes,
    /// Tokens of prompts.
    pub prompt: Option<Lengths>,
    /// Tokens of answers.
    pub output: Option<Lengths>,
    /// Spearman's rank correlation of the two (of at most a million calls, evenly spaced).
    pub prompt_output_spearman: Option<f64>,
    /// Tenants that the trace names.
    pub tenants: usize,
    /// Share of the calls of the busiest tenant.
    pub top_tenant_share: Option<f64>,
    /// How many of the busiest tenants make nine tenths of the calls.
    pub tenants_for_90_percent: Option<usize>,
    /// Models that the trace names.
    pub models: usize,
}

/// Burstiness in windows of one length, counted from the first call; windows cut by the end are left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Burstiness {
    /// Length of a window.
    pub seconds: u32,
    /// Most calls in a window over the mean.
    pub peak_over_mean: Option<f64>,
    /// Variance of the calls in a window over their mean: 1 for a Poisson process. None under five windows.
    pub dispersion: Option<f64>,
}

/// Shapes fitted by maximum likelihood to the gaps above zero (at most a million of them, evenly spaced); 1 is exponential, below 1 is bursty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shapes {
    /// Of a gamma distribution.
    pub gamma: Option<f64>,
    /// Of a Weibull distribution.
    pub weibull: Option<f64>,
}

/// Quantiles of a length: the least value that this share of the calls does not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: u32,
    /// 90 %.
    pub p90: u32,
    /// 95 %.
    pub p95: u32,
    /// 99 %.
    pub p99: u32,
    /// The longest.
    pub max: u32,
}

impl Trace {
    /// What it holds.
    #[must_use]
    pub fn describe(&self) -> Description {
        let mut survey = Survey::default();
        self.rows().for_each(|row| survey.add(&row));
        survey.finish(self.tenants().len(), self.models().len())
    }
}

/// What `file` holds and what was left out of it, in one pass and in memory that does not grow with its calls: a table of
/// rates may stand for hundreds of millions.
///
/// Only rows that are to be put in order are held all, as [`Trace::load`] does.
///
/// # Errors
///
/// The first thing in the file that cannot be used; rows out of order unless [`ReadOptions::sort`] is set.
pub fn describe(file: &Path, options: &ReadOptions) -> Result<(Description, Vec<String>), TraceError> {
    let mut reader = TraceReader::open(file, options)?;
    if options.sort || reader.format().is_out_of_order() {
        let trace = Trace::load(file, options)?;
        return Ok((trace.describe(), trace.notes().to_vec()));
    }
    let mut survey = Survey::default();
    for row in &mut reader {
        survey.add(&row?);
    }
    if survey.is_empty() {
        return Err(TraceError::of_file(file, TraceCause::NoRows));
    }
    let description = survey.finish(reader.tenants().len(), reader.models().len());
    Ok((description, reader.notes()))
}

impl Description {
    /// The figures that tell a trace from others, in one line.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let tokens = |name, lengths: &Option<Lengths>| match lengths {
            Some(lengths) => format!(", {name} tokens p50/p99 {}/{}", lengths.p50, lengths.p99),
            None => String::new(),
        };
        format!(
            "trace: {} requests in {:.1} s, {} a second{}{}",
            self.calls,
            self.duration_seconds,
            shown(self.rate, 3),
            tokens("prompt", &self.prompt),
            tokens("output", &self.output),
        )
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "calls       {} in {:.1} s, {} a second",
            self.calls,
            self.duration_seconds,
            shown(self.rate, 3)
        )?;
        writeln!(
            f,
            "gaps        cv {}, gamma shape {}, Weibull shape {} (1 is Poisson, below 1 bursty)",
            shown(self.gap_cv, 2),
            shown(self.gap_shapes.gamma, 2),
            shown(self.gap_shapes.weibull, 2)
        )?;
        writeln!(f, "windows     {:>10} {:>10} {:>10}", "length", "peak/mean", "var/mean")?;
        for window in &self.windows {
            let length = format!("{} s", window.seconds);
            let (peak, dispersion) = (shown(window.peak_over_mean, 1), shown(window.dispersion, 1));
            writeln!(f, "            {length:>10} {peak:>10} {dispersion:>10}")?;
        }
        writeln!(
            f,
            "tokens      {:>10} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "mean", "p50", "p90", "p95", "p99", "max"
        )?;
        for (name, lengths) in [("prompt", &self.prompt), ("output", &self.output)] {
            match lengths {
                Some(Lengths {
                    mean,
                    p50,
                    p90,
                    p95,
                    p99,
                    max,
                }) => {
                    writeln!(
                        f,
                        "  {name:<10}{mean:>10.1} {p50:>8} {p90:>8} {p95:>8} {p99:>8} {max:>8}"
                    )?;
                }
                None => writeln!(f, "  {name:<10}{:>10}", "not told")?,
            }
        }
        write!(
            f,
            "            rank correlation {}",
            shown(self.prompt_output_spearman, 2)
        )?;
        if self.tenants != 0 {
            let top = self.top_tenant_share.map(|share| share * 100.0);
            let most = self.tenants_for_90_percent.unwrap_or(self.tenants);
            let (n, top) = (self.tenants, shown(top, 1));
            write!(
                f,
                "\ntenants     {n}; the busiest makes {top} % of the calls, {most} make 90 %"
            )?;
        }
        if self.models != 0 {
            write!(f, "\nmodels      {}", self.models)?;
        }
        Ok(())
    }
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

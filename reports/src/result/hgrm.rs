//! Latency distributions as percentile tables, in the text form that `HdrHistogram`'s plotters read.

use std::fmt::Write as _;
use std::str::FromStr;

use hdrhistogram::Histogram;

/// What a distribution is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// From receiving a request to its last token.
    E2e,
    /// From receiving a request to its first token.
    Ttft,
    /// Time per output token after the first.
    Tpot,
    /// Time spent queued.
    QueueWait,
    /// E2E minus the winning attempt's time.
    Overhead,
}

impl Metric {
    /// Every metric, in the order used everywhere.
    pub const ALL: [Metric; 5] = [
        Metric::E2e,
        Metric::Ttft,
        Metric::Tpot,
        Metric::QueueWait,
        Metric::Overhead,
    ];

    /// The metric as it stands in files, such as `queue_wait`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::E2e => "e2e",
            Metric::Ttft => "ttft",
            Metric::Tpot => "tpot",
            Metric::QueueWait => "queue_wait",
            Metric::Overhead => "overhead",
        }
    }
}

/// The distribution of one metric under one strategy; the file `STRATEGY.METRIC.hgrm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedHistogram {
    /// The strategy's name.
    pub strategy: String,
    /// What was recorded.
    pub metric: Metric,
    /// How it is distributed.
    pub table: PercentileTable,
}

impl NamedHistogram {
    /// Names the percentile table of a histogram of nanoseconds.
    #[must_use]
    pub fn new(strategy: impl Into<String>, metric: Metric, nanoseconds: &Histogram<u64>) -> NamedHistogram {
        NamedHistogram {
            strategy: strategy.into(),
            metric,
            table: PercentileTable::from(nanoseconds),
        }
    }
}

/// A distribution by percentiles: five rows for every halving of the distance to 100 %.
///
/// Its text form gives values in milliseconds with six decimals, so nanoseconds survive the way to a file and back.
///
/// ```
/// use hdrhistogram::Histogram;
/// use tollgate_reports::result::PercentileTable;
///
/// let mut recorded = Histogram::<u64>::new(3)?;
/// recorded.record(1_500_000)?;
/// let table = PercentileTable::from(&recorded);
/// assert_eq!(table.to_string().parse(), Ok(table));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PercentileTable {
    /// Percentiles ascending; the last is 1. Empty if nothing was recorded.
    pub rows: Vec<PercentileRow>,
    /// Mean in nanoseconds.
    pub mean_ns: u64,
    /// Standard deviation in nanoseconds.
    pub deviation_ns: u64,
    /// Largest value in nanoseconds, at the histogram's resolution.
    pub max_ns: u64,
    /// How many values were recorded.
    pub count: u64,
    /// The histogram's buckets (powers of two).
    pub buckets: u64,
    /// The histogram's linear steps per bucket.
    pub sub_buckets: u64,
}

/// One line of a percentile table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileRow {
    /// The value in nanoseconds.
    pub value_ns: u64,
    /// The percentile in steps of 10⁻¹², 0 to 10¹².
    pub percentile_e12: u64,
    /// How many recorded values are at most the value.
    pub total_count: u64,
}

const E12: f64 = 1e12;

impl PercentileRow {
    /// The value in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nine digits are plenty for a latency")]
    pub fn seconds(&self) -> f64 {
        self.value_ns as f64 / 1e9
    }

    /// The percentile as a share, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "at most 10^12, which is exact")]
    pub fn percentile(&self) -> f64 {
        self.percentile_e12 as f64 / E12
    }
}

impl From<&Histogram<u64>> for PercentileTable {
    fn from(nanoseconds: &Histogram<u64>) -> Self {
        const TICKS_PER_HALF_DISTANCE: u32 = 5;

        let mut total_count = 0;
        let rows = nanoseconds
            .iter_quantiles(TICKS_PER_HALF_DISTANCE)
            .map(|step| {
                total_count += step.count_since_last_iteration();
                PercentileRow {
                    value_ns: step.value_iterated_to(),
                    percentile_e12: rounded(step.quantile_iterated_to() * E12),
                    total_count,
                }
            })
            .collect();

        // HdrHistogram resolves the leading digits of a value by at least twice as many linear steps.
        let sub_buckets = (2 * 10_u64.pow(u32::from(nanoseconds.sigfig()))).next_power_of_two();

        PercentileTable {
            rows,
            mean_ns: rounded(nanoseconds.mean()),
            deviation_ns: rounded(nanoseconds.stdev()),
            max_ns: nanoseconds.max(),
            count: nanoseconds.len(),
            buckets: u64::from(nanoseconds.buckets()),
            sub_buckets,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and none of these is negative"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

impl std::fmt::Display for PercentileTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        for row in &self.rows {
            let percentile = row.percentile();
            write!(f, "{:>12} {percentile:.12} {:>10}", ms(row.value_ns), row.total_count)?;
            if percentile < 1.0 {
                write!(f, " {:>14.2}", 1.0 / (1.0 - percentile))?;
            }
            f.write_char('\n')?;
        }
        writeln!(
            f,
            "#[Mean    = {:>12}, StdDeviation   = {:>12}]",
            ms(self.mean_ns),
            ms(self.deviation_ns)
        )?;
        writeln!(
            f,
            "#[Max     = {:>12}, Total count    = {:>12}]",
            ms(self.max_ns),
            self.count
        )?;
        writeln!(
            f,
            "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
            self.buckets, self.sub_buckets
        )
    }
}

/// Nanoseconds as milliseconds, exactly.
fn ms(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

impl FromStr for PercentileTable {
    type Err = MalformedTable;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut table = PercentileTable::default();
        for (i, line) in text.lines().enumerate() {
            let line_number = i as u64 + 1;
            let broken = |cause: &str| MalformedTable {
                line: line_number,
                cause: cause.to_owned(),
            };

            let line = line.trim();
            if line.is_empty() || line.starts_with("Value") {
                continue;
            }
            let Some(footer) = line.strip_prefix("#[") else {
                table
                    .rows
                    .push(row(line).ok_or_else(|| broken("not a value, a percentile and a count"))?);
                continue;
            };
            let (first, second) = pair(footer).ok_or_else(|| broken("not two named numbers"))?;
            let not_a_number = || broken("not a number");
            if footer.starts_with("Mean") {
                table.mean_ns = fixed(first, 6).ok_or_else(not_a_number)?;
                table.deviation_ns = fixed(second, 6).ok_or_else(not_a_number)?;
            } else if footer.starts_with("Max") {
                table.max_ns = fixed(first, 6).ok_or_else(not_a_number)?;
                table.count = fixed(second, 0).ok_or_else(not_a_number)?;
            } else if footer.starts_with("Buckets") {
                table.buckets = fixed(first, 0).ok_or_else(not_a_number)?;
                table.sub_buckets = fixed(second, 0).ok_or_else(not_a_number)?;
            }
        }
        Ok(table)
    }
}

/// Why a text is not a percentile table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedTable {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub cause: String,
}

impl std::fmt::Display for MalformedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.cause)
    }
}

impl std::error::Error for MalformedTable {}

fn row(line: &str) -> Option<PercentileRow> {
    let mut fields = line.split_whitespace();
    Some(PercentileRow {
        value_ns: fixed(fields.next()?, 6)?,
        percentile_e12: fixed(fields.next()?, 12)?,
        total_count: fixed(fields.next()?, 0)?,
    })
}

/// The two numbers of `Name = 1, Other = 2]`.
fn pair(footer: &str) -> Option<(&str, &str)> {
    let (first, second) = footer.strip_suffix(']')?.split_once(',')?;
    Some((first.split_once('=')?.1.trim(), second.split_once('=')?.1.trim()))
}

/// A decimal number in units of 10^-`digits`, exactly; further digits are cut.
fn fixed(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept = &fraction[..digits.min(fraction.len())];
    let unsigned = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !unsigned(whole) || !unsigned(fraction) {
        return None;
    }
    format!("{whole}{kept:0<digits$}").parse().ok()
}

//! What a trace holds: rate, burstiness, lengths, tenants.

use std::fmt;

use serde::Serialize;
use tollgate_core::math::sqrt;
use tollgate_core::time::Nanos;

use super::Trace;
use super::fit::{count_of, gamma_shape, mean, spearman, weibull_shape};

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

const WINDOWS: [u32; 4] = [1, 10, 60, 300];
const FEWEST_WINDOWS: usize = 5;
const SAMPLE: usize = 1_000_000;

impl Trace {
    /// What it holds.
    #[must_use]
    pub fn describe(&self) -> Description {
        let first = self.row(0).map_or(Nanos::ZERO, |row| row.time);
        let duration = self.duration() - first;
        let duration_seconds = duration.as_secs_f64();
        let rate = (0.0 < duration_seconds).then(|| count_of(self.len()) / duration_seconds);
        let stride = self.len() / SAMPLE + 1;
        let pairs: Vec<(u32, u32)> = self
            .rows()
            .step_by(stride)
            .filter_map(|row| Some((row.prompt?.get(), row.output?.get())))
            .collect();
        let (gap_cv, gap_shapes) = self.gaps(stride);
        let counts = self.calls_by_tenant();
        Description {
            calls: self.len(),
            duration_seconds,
            rate,
            windows: WINDOWS.iter().map(|seconds| self.burstiness(first, *seconds)).collect(),
            gap_cv,
            gap_shapes,
            prompt: lengths(
                self.rows()
                    .filter_map(|row| row.prompt)
                    .map(std::num::NonZeroU32::get)
                    .collect(),
            ),
            output: lengths(
                self.rows()
                    .filter_map(|row| row.output)
                    .map(std::num::NonZeroU32::get)
                    .collect(),
            ),
            prompt_output_spearman: spearman(&pairs),
            tenants: counts.len(),
            top_tenant_share: counts.first().map(|most| count_of(*most) / count_of(self.len())),
            tenants_for_90_percent: for_90_percent(&counts),
            models: self.models().len(),
        }
    }

    fn gaps(&self, stride: usize) -> (Option<f64>, Shapes) {
        let times = || self.rows().map(|row| row.time);
        let gaps = || {
            times()
                .zip(times().skip(1))
                .map(|(before, after)| (after - before).as_secs_f64())
        };
        let n = count_of(self.len().saturating_sub(1));
        let mean = gaps().sum::<f64>() / n;
        let variance = gaps().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / n;
        let cv = (0.0 < mean).then(|| sqrt(variance) / mean);
        let sample: Vec<f64> = gaps().step_by(stride).filter(|gap| 0.0 < *gap).collect();
        (
            cv,
            Shapes {
                gamma: gamma_shape(&sample),
                weibull: weibull_shape(&sample),
            },
        )
    }

    fn burstiness(&self, first: Nanos, seconds: u32) -> Burstiness {
        let length = u64::from(seconds) * 1_000_000_000;
        let whole = (self.duration() - first).as_nanos() / length;
        // Sums of counts and of their squares, so that a sparse year needs no array of its windows.
        let (mut calls, mut squares, mut peak) = (0.0, 0.0, 0.0_f64);
        let (mut window, mut inside) = (0, 0_u32);
        for row in self.rows() {
            let at = (row.time - first).as_nanos() / length;
            if at != window {
                let count = f64::from(inside);
                calls += count;
                squares += count * count;
                peak = peak.max(count);
                window = at;
                inside = 0;
            }
            if whole <= at {
                break;
            }
            inside += 1;
        }
        let windows = crate::workload::arrivals::count(whole);
        let mean = calls / windows;
        let variance = squares / windows - mean * mean;
        let is_enough = FEWEST_WINDOWS <= usize::try_from(whole).unwrap_or(usize::MAX);
        Burstiness {
            seconds,
            peak_over_mean: (whole != 0).then(|| peak / mean),
            dispersion: is_enough.then(|| variance / mean),
        }
    }

    /// Calls of each tenant, the busiest first.
    fn calls_by_tenant(&self) -> Vec<usize> {
        let mut counts = vec![0; self.tenants().len()];
        for tenant in self.rows().filter_map(|row| row.tenant) {
            if let Some(count) = usize::try_from(tenant).ok().and_then(|index| counts.get_mut(index)) {
                *count += 1;
            }
        }
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }
}

fn for_90_percent(counts: &[usize]) -> Option<usize> {
    let all: usize = counts.iter().sum();
    let mut sum = 0;
    counts
        .iter()
        .position(|count| {
            sum += count;
            all * 9 <= sum * 10
        })
        .map(|index| index + 1)
}

fn lengths(mut values: Vec<u32>) -> Option<Lengths> {
    let mean = mean(values.iter().map(|value| f64::from(*value)))?;
    values.sort_unstable();
    let at = |percent: usize| values[(values.len() * percent).div_ceil(100) - 1];
    Some(Lengths {
        mean,
        p50: at(50),
        p90: at(90),
        p95: at(95),
        p99: at(99),
        max: at(100),
    })
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

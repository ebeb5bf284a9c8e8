//! Everything that a description needs, gathered call by call in bounded memory.

use std::collections::BTreeMap;

use tollgate_core::math::sqrt;
use tollgate_core::time::Nanos;

use super::describe::{Burstiness, Description, Lengths, Shapes};
use super::fit::{count_of, gamma_shape, spearman, weibull_shape};
use super::row::TraceRow;
use crate::workload::arrivals::count;

/// What has been seen of a trace so far.
#[derive(Debug)]
pub(crate) struct Survey {
    calls: usize,
    first: Nanos,
    last: Nanos,
    gaps: Spread,
    /// Gaps above zero, in seconds.
    gap_sample: Sample<f64>,
    windows: [Windows; 4],
    prompt: Counts,
    output: Counts,
    pairs: Sample<(u32, u32)>,
    by_tenant: Vec<usize>,
}

impl Default for Survey {
    fn default() -> Survey {
        Survey {
            calls: 0,
            first: Nanos::ZERO,
            last: Nanos::ZERO,
            gaps: Spread::default(),
            gap_sample: Sample::default(),
            windows: [1, 10, 60, 300].map(Windows::of),
            prompt: Counts::default(),
            output: Counts::default(),
            pairs: Sample::default(),
            by_tenant: Vec::new(),
        }
    }
}

impl Survey {
    /// Takes note of the next call, which is not before the one before it.
    pub(crate) fn add(&mut self, row: &TraceRow) {
        if self.calls == 0 {
            self.first = row.time;
        } else {
            let gap = (row.time - self.last).as_secs_f64();
            self.gaps.add(gap);
            if 0.0 < gap {
                self.gap_sample.offer(gap);
            }
        }
        self.calls += 1;
        self.last = row.time;
        for windows in &mut self.windows {
            windows.add(row.time - self.first);
        }
        let (prompt, output) = (row.prompt.map(u32::from), row.output.map(u32::from));
        self.prompt.add(prompt);
        self.output.add(output);
        self.pairs.offer_all(prompt.zip(output));
        if let Some(tenant) = row.tenant.and_then(|tenant| usize::try_from(tenant).ok()) {
            // The reader bounds the number of tenants.
            if self.by_tenant.len() <= tenant {
                self.by_tenant.resize(tenant + 1, 0);
            }
            self.by_tenant[tenant] += 1;
        }
    }

    /// Whether there was no call.
    pub(crate) const fn is_empty(&self) -> bool {
        self.calls == 0
    }

    /// The figures, of a trace that names so many tenants and models.
    pub(crate) fn finish(mut self, tenants: usize, models: usize) -> Description {
        self.by_tenant.resize(tenants, 0);
        self.by_tenant.sort_unstable_by(|a, b| b.cmp(a));
        let duration_seconds = (self.last - self.first).as_secs_f64();
        Description {
            calls: self.calls,
            duration_seconds,
            rate: (0.0 < duration_seconds).then(|| count_of(self.calls) / duration_seconds),
            windows: self.windows.iter().map(Windows::burstiness).collect(),
            gap_cv: self.gaps.cv(),
            gap_shapes: Shapes {
                gamma: gamma_shape(&self.gap_sample.kept),
                weibull: weibull_shape(&self.gap_sample.kept),
            },
            prompt: self.prompt.lengths(),
            output: self.output.lengths(),
            prompt_output_spearman: spearman(&self.pairs.kept),
            tenants,
            top_tenant_share: self
                .by_tenant
                .first()
                .map(|most| count_of(*most) / count_of(self.calls)),
            tenants_for_90_percent: for_90_percent(&self.by_tenant),
            models,
        }
    }
}

/// Mean and variance by Welford's method.
#[derive(Debug, Default)]
struct Spread {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.n += 1;
        let off = value - self.mean;
        self.mean += off / count(self.n);
        self.squares += off * (value - self.mean);
    }

    /// The standard deviation over the mean.
    fn cv(&self) -> Option<f64> {
        (0.0 < self.mean).then(|| sqrt(self.squares / count(self.n)) / self.mean)
    }
}

/// At most a million of whatever is offered, evenly spaced.
#[derive(Debug)]
struct Sample<T> {
    kept: Vec<T>,
    /// One in so many is kept.
    stride: u64,
    offered: u64,
}

/// The most that is kept of anything.
const SAMPLE: usize = 1_000_000;

impl<T> Default for Sample<T> {
    fn default() -> Sample<T> {
        Sample {
            kept: Vec::new(),
            stride: 1,
            offered: 0,
        }
    }
}

impl<T> Sample<T> {
    fn offer_all(&mut self, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.offer(value));
    }

    fn offer(&mut self, value: T) {
        if self.offered.is_multiple_of(self.stride) {
            if self.kept.len() == SAMPLE {
                let mut at = 0_u64;
                self.kept.retain(|_| {
                    at += 1;
                    !at.is_multiple_of(2)
                });
                self.stride *= 2;
            }
            // At a full sample the number offered is a multiple of the doubled stride too: a million is even.
            self.kept.push(value);
        }
        self.offered += 1;
    }
}

/// Calls in windows of one length. What is summed needs no array of the windows of a sparse year.
#[derive(Debug)]
struct Windows {
    seconds: u32,
    /// The window that the last call was in, and the calls in it so far.
    current: u64,
    inside: f64,
    calls: f64,
    squares: f64,
    peak: f64,
}

impl Windows {
    const fn of(seconds: u32) -> Windows {
        Windows {
            seconds,
            current: 0,
            inside: 0.0,
            calls: 0.0,
            squares: 0.0,
            peak: 0.0,
        }
    }

    /// A call so long after the first one.
    fn add(&mut self, since_first: Nanos) {
        let at = since_first.as_nanos() / (u64::from(self.seconds) * 1_000_000_000);
        if at != self.current {
            self.calls += self.inside;
            self.squares += self.inside * self.inside;
            self.peak = self.peak.max(self.inside);
            self.current = at;
            self.inside = 0.0;
        }
        self.inside += 1.0;
    }

    /// The window of the last call is cut by the end, and does not count.
    fn burstiness(&self) -> Burstiness {
        const FEWEST_WINDOWS: u64 = 5;
        let whole = self.current;
        let windows = count(whole);
        let mean = self.calls / windows;
        let variance = self.squares / windows - mean * mean;
        Burstiness {
            seconds: self.seconds,
            peak_over_mean: (whole != 0).then(|| self.peak / mean),
            dispersion: (FEWEST_WINDOWS <= whole).then(|| variance / mean),
        }
    }
}

/// How often each length occurs: as many entries as there are different lengths, which `MAX_TOKENS` bounds.
#[derive(Debug, Default)]
struct Counts {
    by_length: BTreeMap<u32, u64>,
    n: u64,
    sum: u64,
}

impl Counts {
    fn add(&mut self, length: Option<u32>) {
        let Some(length) = length else {
            return;
        };
        *self.by_length.entry(length).or_insert(0) += 1;
        self.n += 1;
        self.sum = self.sum.saturating_add(u64::from(length));
    }

    fn lengths(&self) -> Option<Lengths> {
        let max = self.by_length.last_key_value().map(|(length, _)| *length)?;
        let at = |percent: u128| {
            let rank = (u128::from(self.n) * percent).div_ceil(100);
            let mut seen = 0;
            let reached = self.by_length.iter().find(|(_, n)| {
                seen += u128::from(**n);
                rank <= seen
            });
            reached.map_or(max, |(length, _)| *length)
        };
        Some(Lengths {
            mean: count(self.sum) / count(self.n),
            p50: at(50),
            p90: at(90),
            p95: at(95),
            p99: at(99),
            max,
        })
    }
}

/// How many of the busiest tenants make nine tenths of the calls.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sample_is_thinned_evenly() {
        let mut sample = Sample::default();
        sample.offer_all(0..5_000_000_u32);
        assert_eq!(sample.stride, 8);
        assert_eq!(sample.kept.len(), 625_000);
        assert!(
            sample
                .kept
                .iter()
                .enumerate()
                .all(|(at, value)| at * 8 == *value as usize)
        );
    }
}

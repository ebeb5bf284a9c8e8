//! Metrics that are found by position: every series is there from the start, and counting takes no lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// One point of an axis: the labels that tell it from the others.
pub(super) type Point = Vec<(&'static str, String)>;

/// Something that is counted, and knows how it is written down.
pub(super) trait Cell: fmt::Debug + Send + Sync + 'static {
    const TYPE: MetricType;

    /// Whether nothing has been counted yet.
    fn is_untouched(&self) -> bool;

    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result;
}

/// Series of one metric, one for each combination of the points of its axes.
#[derive(Debug)]
pub(super) struct Grid<const N: usize, C> {
    axes: [Vec<Point>; N],
    cells: Vec<C>,
    /// Whether series that nothing was counted in are left out.
    is_sparse: bool,
}

impl<const N: usize, C: Cell> Grid<N, C> {
    pub(super) fn new(axes: [Vec<Point>; N], cell: impl Fn() -> C) -> Arc<Grid<N, C>> {
        Grid::of(axes, cell, false)
    }

    /// Of so many combinations that most never happen.
    pub(super) fn sparse(axes: [Vec<Point>; N], cell: impl Fn() -> C) -> Arc<Grid<N, C>> {
        Grid::of(axes, cell, true)
    }

    fn of(axes: [Vec<Point>; N], cell: impl Fn() -> C, is_sparse: bool) -> Arc<Grid<N, C>> {
        let size = axes.iter().map(Vec::len).product();
        Arc::new(Grid {
            axes,
            cells: (0..size).map(|_| cell()).collect(),
            is_sparse,
        })
    }

    /// The series at these positions of the axes.
    #[inline]
    pub(super) fn at(&self, position: [usize; N]) -> &C {
        let mut index = 0;
        for (axis, at) in self.axes.iter().zip(position) {
            debug_assert!(at < axis.len(), "positions come from the policy or a closed set");
            index = index * axis.len() + at;
        }
        &self.cells[index]
    }

    /// Every series.
    pub(super) fn cells(&self) -> &[C] {
        &self.cells
    }

    fn encode_all(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        for (index, cell) in self.cells.iter().enumerate() {
            if self.is_sparse && cell.is_untouched() {
                continue;
            }
            let mut labels: Vec<&(&'static str, String)> = Vec::new();
            let mut rest = index;
            for axis in self.axes.iter().rev() {
                labels.extend(axis[rest % axis.len()].iter().rev());
                rest /= axis.len();
            }
            labels.reverse();
            let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
            cell.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A grid as the registry holds it.
#[derive(Debug)]
pub(super) struct Registered<const N: usize, C>(pub(super) Arc<Grid<N, C>>);

impl<const N: usize, C: Cell> EncodeMetric for Registered<N, C> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self.0.cells.as_slice() {
            // Without labels there are no braces either.
            [only] if N == 0 => only.encode(encoder),
            _ => self.0.encode_all(&mut encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        C::TYPE
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn one(&self) {
        self.add(1);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Cell for Count {
    const TYPE: MetricType = MetricType::Counter;

    fn is_untouched(&self) -> bool {
        self.get() == 0
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.get(), None)
    }
}

/// How often what lay where: an observation is two additions.
///
/// The histogram of `prometheus-client` takes a lock for each.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [u64],
    scale: Scale,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram counts, and in which unit it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Microseconds, shown as seconds: their sum overflows after half a million years.
    Micros,
    /// Things, shown as they are.
    Ones,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, reason = "read by people and plots")]
    fn shown(self, value: u64) -> f64 {
        match self {
            Scale::Micros => value as f64 / 1e6,
            Scale::Ones => value as f64,
        }
    }
}

impl Histogram {
    /// With a bucket up to and including each of `bounds`, and one beyond.
    pub(super) fn new(bounds: &'static [u64], scale: Scale) -> Histogram {
        Histogram {
            bounds,
            scale,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

impl Cell for Histogram {
    const TYPE: MetricType = MetricType::Histogram;

    fn is_untouched(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // The sum first: what is counted in between then only makes the mean a little small.
        let sum = self.scale.shown(self.sum.load(Ordering::Relaxed));
        let bounds = self
            .bounds
            .iter()
            .map(|bound| self.scale.shown(*bound))
            .chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

/// A number that was read when metrics were asked for.
#[derive(Debug)]
pub(super) struct Reading(pub(super) f64);

impl Cell for Reading {
    const TYPE: MetricType = MetricType::Gauge;

    fn is_untouched(&self) -> bool {
        false
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0)
    }
}

/// The same of a number that only grows.
#[derive(Debug)]
pub(super) struct Total(pub(super) f64);

impl Cell for Total {
    const TYPE: MetricType = MetricType::Counter;

    fn is_untouched(&self) -> bool {
        false
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.0, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_upper_bound() {
        let histogram = Histogram::new(&[10, 20], Scale::Ones);
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(value);
        }
        let counts: Vec<u64> = histogram
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(histogram.sum.load(Ordering::Relaxed), 1_062);
    }

    #[test]
    fn positions_are_told_apart() {
        let axis = |name, count: usize| (0..count).map(|at| vec![(name, at.to_string())]).collect();
        let grid = Grid::new([axis("a", 3), axis("b", 2)], Count::default);
        for a in 0..3 {
            for b in 0..2 {
                grid.at([a, b]).add((10 * a + b) as u64);
            }
        }
        let counts: Vec<u64> = grid.cells().iter().map(Count::get).collect();
        assert_eq!(counts, [0, 1, 10, 11, 20, 21]);
    }
}

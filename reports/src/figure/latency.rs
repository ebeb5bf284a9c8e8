//! Latency by percentile, the tail stretched: the axis is the logarithm of how many requests are slower.

use super::font;
use super::scale::{Scale, seconds};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Point, Scene, TICK};
use super::style::{FAINT, GRID, INK, look};
use crate::result::{Metric, ResultSet, StrategySummary};

const TICKS: [(f64, &str); 8] = [
    (0.5, "50 %"),
    (0.75, "75 %"),
    (0.9, "90 %"),
    (0.95, "95 %"),
    (0.99, "99 %"),
    (0.995, "99.5 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
];
const FIRST: f64 = 0.5;
const LAST: f64 = 0.9999;

/// One strategy's curve: (percentile 0 to 1, seconds), both ascending.
type Curve = Vec<(f64, f64)>;

pub(super) fn draw(set: &ResultSet, metric: Metric, title: &str) -> Scene {
    const ROW: f64 = 17.0;
    const SAMPLE: f64 = 40.0;
    const WIDTH: f64 = 960.0;
    const TOP: f64 = 74.0;

    let strategies = &set.summary.strategies;
    let n = strategies.len();
    #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
    let depth = (n as f64 * ROW).max(380.0);
    let note = "completed requests only · read beside attainment: a strategy that refuses much can look fast here";
    let mut scene = Scene::new(WIDTH, TOP + depth + 62.0, title, note);

    let names: Vec<String> = strategies
        .iter()
        .map(|strategy| font::fit(&strategy.name, LABEL, 260.0))
        .collect();
    let widest = names.iter().map(|name| font::width(name, LABEL)).fold(0.0, f64::max);
    let frame = Frame::new(MARGIN + 52.0, TOP, WIDTH - MARGIN - widest - SAMPLE - 36.0, TOP + depth);

    let curves: Vec<Curve> = strategies.iter().map(|strategy| curve(set, strategy, metric)).collect();
    if curves.iter().all(Vec::is_empty) {
        scene.no_data(
            Frame::new(MARGIN, TOP, WIDTH - MARGIN, frame.bottom),
            "no data: nothing was recorded",
        );
        return scene;
    }

    let x = Scale::exact(halvings(FIRST), halvings(LAST), (frame.left, frame.right));
    let values = curves.iter().flatten().map(|(_, value)| *value);
    let y = Scale::fitting(values, (frame.bottom, frame.top));
    for tick in y.ticks(8) {
        let at = y.at(tick);
        scene.line(vec![(frame.left, at), (frame.right, at)], GRID, 1.0, &[]);
        scene.text((frame.left - 6.0, at), &seconds(tick), TICK, Anchor::End, FAINT);
    }
    for (percentile, label) in TICKS {
        let at = x.at(halvings(percentile));
        scene.line(vec![(at, frame.top), (at, frame.bottom)], GRID, 1.0, &[]);
        scene.text((at, frame.bottom + 14.0), label, TICK, Anchor::Middle, FAINT);
    }
    let unit = if y.is_log() {
        "percentile of completed requests · seconds on a logarithmic scale"
    } else {
        "percentile of completed requests"
    };
    let middle = frame.left.midpoint(frame.right);
    scene.text((middle, frame.bottom + 36.0), unit, LABEL, Anchor::Middle, FAINT);

    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (i, curve) in curves.iter().enumerate() {
        let points: Vec<Point> = curve
            .iter()
            .map(|(p, value)| (x.at(halvings(*p)), y.at(*value)))
            .collect();
        let Some(end) = points.last().copied() else { continue };
        ends.push((end.1, i));
        // A curve may end early, where its samples do; the thin line says so.
        scene.line(vec![end, (frame.right, end.1)], look(i).color, 0.7, &[1.5, 3.0]);
        for at in spaced(&points, i, n) {
            scene.marker(at, look(i));
        }
        scene.line(points, look(i).color, 2.0, look(i).dash);
    }

    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let wished: Vec<f64> = ends.iter().map(|(at, _)| *at).collect();
    let left = frame.right + 26.0;
    for ((end, i), at) in ends.iter().zip(spread(&wished, ROW, frame.top, frame.bottom)) {
        let look = look(*i);
        scene.line(vec![(frame.right + 2.0, *end), (left - 4.0, at)], look.color, 0.7, &[]);
        scene.line(vec![(left, at), (left + SAMPLE - 6.0, at)], look.color, 2.0, look.dash);
        scene.marker((left + SAMPLE / 2.0 - 3.0, at), look);
        scene.text((left + SAMPLE, at), &names[*i], LABEL, Anchor::Start, INK);
    }
    scene
}

/// How often the requests were halved, in tenths: the position of a percentile on the axis.
fn halvings(percentile: f64) -> f64 {
    -(1.0 - percentile).log10()
}

/// The percentile table within the axis, or what the summary knows if there is no table.
fn curve(set: &ResultSet, strategy: &StrategySummary, metric: Metric) -> Curve {
    let Some(table) = set.histogram(&strategy.name, metric).filter(|table| table.count > 0) else {
        let known = strategy.latency(metric);
        let points = [
            (0.5, known.p50),
            (0.9, known.p90),
            (0.95, known.p95),
            (0.99, known.p99),
            (0.999, known.p999),
        ];
        return points
            .into_iter()
            .filter_map(|(p, value)| value.filter(|value| value.is_finite()).map(|value| (p, value)))
            .collect();
    };

    // Beyond one request in all, a percentile is only the maximum again.
    #[expect(clippy::cast_precision_loss, reason = "only the size matters")]
    let resolved = (1.0 - 1.0 / table.count as f64).clamp(FIRST, LAST);
    let mut curve: Curve = Vec::new();
    let mut before: Option<(f64, f64)> = None;
    for row in &table.rows {
        let here = (row.percentile(), row.seconds());
        let (p, value) = here;
        if p > resolved {
            if curve.last().is_none_or(|last| last.0 < resolved) {
                let from = before.unwrap_or(here);
                let share = if p > from.0 {
                    (resolved - from.0) / (p - from.0)
                } else {
                    1.0
                };
                curve.push((resolved, from.1 + share * (value - from.1)));
            }
            break;
        }
        if p >= FIRST {
            curve.push((p, value));
        }
        before = Some(here);
    }
    curve
}

/// Places for markers on a line, where those of the other lines are not.
fn spaced(points: &[Point], i: usize, n: usize) -> Vec<Point> {
    const APART: f64 = 120.0;

    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
    let mut x = first.0 + APART * (i as f64 + 0.5) / n.max(1) as f64;
    let mut places = Vec::new();
    while x < last.0 {
        let after = points.partition_point(|point| point.0 < x).clamp(1, points.len() - 1);
        let ((x0, y0), (x1, y1)) = (points[after - 1], points[after]);
        let share = if x1 > x0 { (x - x0) / (x1 - x0) } else { 0.0 };
        places.push((x, y0 + share * (y1 - y0)));
        x += APART;
    }
    places
}

/// Moves ascending places apart by at least `gap`, keeping them within `low` and `high` and near where they were.
fn spread(wished: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::new();
    for at in wished {
        let free = places.last().map_or(low, |last| last + gap);
        places.push(at.max(free));
    }
    let mut limit = high;
    for at in places.iter_mut().rev() {
        *at = at.min(limit);
        limit = *at - gap;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_spread_and_stay_inside() {
        assert_eq!(spread(&[10.0, 12.0, 100.0], 10.0, 0.0, 100.0), [10.0, 20.0, 100.0]);
        assert_eq!(spread(&[95.0, 97.0, 99.0], 10.0, 0.0, 100.0), [80.0, 90.0, 100.0]);
    }

    #[test]
    fn the_axis_stretches_the_tail() {
        assert!((halvings(0.9) - 1.0).abs() < 1e-9);
        assert!((halvings(0.999) - 3.0).abs() < 1e-9);
    }
}

//! What went wrong and how slow it was, second by second; one row a strategy, all on the same axes.

use super::panel::{Key, Pieces, Window, heading, legend, name_windows, shade, span, time_axis, value_axis, windows};
use super::scale::{Scale, plain, seconds};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Point, Scene};
use super::style::{FAINT, INK, failed, look, refused};
use crate::result::{ResultSet, StrategySummary};

const WIDTH: f64 = 960.0;
const TOP: f64 = 134.0;
const ROW: f64 = 108.0;
const PANEL: f64 = 74.0;
/// Left and right edges of the two columns.
const LOST: (f64, f64) = (MARGIN + 38.0, 468.0);
const SLOW: (f64, f64) = (540.0, WIDTH - MARGIN - 8.0);

/// One strategy's curves over the pieces of time.
struct Row {
    failed: Vec<f64>,
    refused: Vec<f64>,
    p99: Vec<Option<f64>>,
}

/// What every row shares.
struct Axes {
    span: (f64, f64),
    pieces: Pieces,
    windows: Vec<Window>,
    most_lost: f64,
    latencies: Vec<f64>,
}

pub(super) fn draw(set: &ResultSet, title: &str) -> Scene {
    let strategies = &set.summary.strategies;
    #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
    let height = TOP + strategies.len().max(1) as f64 * ROW + 24.0;
    let note = "same axes in every row · shaded: a fault · a gap in the right column: nothing was completed then";
    let mut scene = Scene::new(WIDTH, height, title, note);
    if strategies.is_empty() || set.series.is_empty() {
        scene.no_data(
            Frame::new(MARGIN, TOP, WIDTH - MARGIN, height - MARGIN),
            "no data: nothing was recorded over time",
        );
        return scene;
    }

    let pieces = Pieces::new(set, 200);
    let rows: Vec<Row> = strategies.iter().map(|strategy| row(set, strategy, &pieces)).collect();
    let stacked = |row: &Row| {
        row.failed
            .iter()
            .zip(&row.refused)
            .map(|(a, b)| a + b)
            .fold(0.0, f64::max)
    };
    let axes = Axes {
        span: span(set),
        pieces,
        windows: windows(set),
        most_lost: rows.iter().map(stacked).fold(0.0, f64::max),
        latencies: rows.iter().flat_map(|row| &row.p99).flatten().copied().collect(),
    };

    let keys = [("failed", failed()), ("refused", refused())];
    legend(
        &mut scene,
        64.0,
        &keys.map(|(name, fill)| Key {
            name: name.to_owned(),
            fill,
        }),
    );
    scene.text(
        (LOST.0, TOP - 40.0),
        "failed and refused, requests/s",
        LABEL,
        Anchor::Start,
        FAINT,
    );
    scene.text((SLOW.0, TOP - 40.0), "p99 of E2E", LABEL, Anchor::Start, FAINT);

    let mut top = TOP;
    for (i, (strategy, row)) in strategies.iter().zip(&rows).enumerate() {
        let is_last = i + 1 == strategies.len();
        let frame = |(left, right)| Frame::new(left, top + 14.0, right, top + 14.0 + PANEL);
        lost(&mut scene, frame(LOST), &axes, (strategy, row), is_last);
        slow(&mut scene, frame(SLOW), &axes, row, is_last);
        if i == 0 {
            for column in [LOST, SLOW] {
                let above = Frame::new(column.0, top - 4.0, column.1, top);
                let x = Scale::exact(axes.span.0, axes.span.1, column);
                name_windows(&mut scene, above, &x, &axes.windows);
            }
        }
        top += ROW;
    }
    scene
}

fn row(set: &ResultSet, strategy: &StrategySummary, pieces: &Pieces) -> Row {
    let series = || set.series_of(&strategy.name);
    let per_second = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / pieces.seconds).collect();
    Row {
        failed: per_second(pieces.sums(series().map(|row| (row.second, row.failed)))),
        refused: per_second(pieces.sums(series().map(|row| (row.second, row.refused_total())))),
        p99: pieces.largest(series().map(|row| (row.second, row.e2e_p99))),
    }
}

fn lost(scene: &mut Scene, frame: Frame, axes: &Axes, (strategy, row): (&StrategySummary, &Row), is_last: bool) {
    let x = Scale::exact(axes.span.0, axes.span.1, (frame.left, frame.right));
    let y = Scale::from_zero(std::iter::once(axes.most_lost), (frame.bottom, frame.top));
    shade(scene, frame, &x, &axes.windows);
    value_axis(scene, frame, &y, 3, plain);

    let total: Vec<f64> = row.failed.iter().zip(&row.refused).map(|(a, b)| a + b).collect();
    let zero = vec![0.0; axes.pieces.n];
    for (upper, lower, fill) in [(&total, &row.failed, refused()), (&row.failed, &zero, failed())] {
        let step = |values: &[f64]| -> Vec<Point> {
            let edge = |(i, value): (usize, &f64)| {
                let (start, end) = axes.pieces.ends(i);
                [(x.at(start), y.at(*value)), (x.at(end), y.at(*value))]
            };
            values.iter().enumerate().flat_map(edge).collect()
        };
        if upper.iter().zip(lower).any(|(upper, lower)| upper > lower) {
            let mut outline = step(upper);
            outline.extend(step(lower).into_iter().rev());
            scene.area(outline, fill.color);
        }
    }
    time_axis(scene, frame, &x, axes.span, is_last);

    let requests = &strategy.requests;
    let n = requests.failed + requests.refused_total();
    let figure = if n > 0.0 {
        format!("{} in all", plain(n))
    } else {
        "none".to_owned()
    };
    heading(scene, frame, &strategy.name, &figure, INK);
}

fn slow(scene: &mut Scene, frame: Frame, axes: &Axes, row: &Row, is_last: bool) {
    let x = Scale::exact(axes.span.0, axes.span.1, (frame.left, frame.right));
    let y = Scale::fitting(axes.latencies.iter().copied(), (frame.bottom, frame.top));
    shade(scene, frame, &x, &axes.windows);
    value_axis(scene, frame, &y, 3, seconds);

    let mut run: Vec<Point> = Vec::new();
    for (i, p99) in row.p99.iter().enumerate() {
        let (start, end) = axes.pieces.ends(i);
        match p99 {
            Some(p99) => run.extend([(x.at(start), y.at(*p99)), (x.at(end), y.at(*p99))]),
            None => scene.line(std::mem::take(&mut run), look(0).color, 1.5, &[]),
        }
    }
    scene.line(run, look(0).color, 1.5, &[]);
    time_axis(scene, frame, &x, axes.span, is_last);

    let worst = row.p99.iter().flatten().copied().reduce(f64::max);
    let figure = worst.map_or("nothing completed".to_owned(), |worst| {
        format!("worst {}", seconds(worst))
    });
    heading(scene, frame, "", &figure, INK);
}

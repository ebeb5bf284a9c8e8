//! Where the attempts went and who was ejected, over time; one panel a strategy.

use plotters::style::RGBColor;

use super::font;
use super::panel::{Key, Pieces, Window, heading, legend, span, time_axis, windows};
use super::scale::Scale;
use super::scene::{Anchor, Frame, MARGIN, Point, Scene, TICK};
use super::style::{FAINT, GRID, INK, PAPER, SHADE_EDGE, layer, solid};
use crate::result::{EndpointSeriesRow, ResultSet};

const WIDTH: f64 = 960.0;
const AREA: f64 = 92.0;
const STRIP: f64 = 9.0;
/// The names of the endpoints beside their strips.
const NAMES: f64 = 74.0;
/// More endpoints than this are drawn together as the others.
const MOST: usize = 6;

/// What every panel shares.
struct Shared {
    endpoints: Vec<String>,
    has_others: bool,
    span: (f64, f64),
    pieces: Pieces,
    windows: Vec<Window>,
}

pub(super) fn draw(set: &ResultSet, title: &str) -> Scene {
    let note =
        "above: share of attempts launched, 0 to 100 % · below: one strip an endpoint, black while it is ejected";
    let mut scene = Scene::new(WIDTH, 150.0, title, note);
    let strategies = &set.summary.strategies;
    if strategies.is_empty() || set.endpoint_series.is_empty() {
        let why = "no data: nothing was recorded per endpoint over time";
        scene.no_data(Frame::new(MARGIN, 64.0, WIDTH - MARGIN, 140.0), why);
        return scene;
    }

    let mut endpoints: Vec<String> = Vec::new();
    for row in &set.endpoint_series {
        if !endpoints.contains(&row.endpoint) {
            endpoints.push(row.endpoint.clone());
        }
    }
    let has_others = endpoints.len() > MOST;
    endpoints.truncate(MOST);
    let shared = Shared {
        endpoints,
        has_others,
        span: span(set),
        pieces: Pieces::new(set, 120),
        windows: windows(set),
    };

    let mut keys: Vec<Key> = shared
        .endpoints
        .iter()
        .enumerate()
        .map(|(i, name)| Key {
            name: name.clone(),
            fill: layer(i),
        })
        .collect();
    if shared.has_others {
        keys.push(Key {
            name: "other endpoints".to_owned(),
            fill: solid(OTHERS),
        });
    }
    if !shared.windows.is_empty() {
        keys.push(Key {
            name: fault_key(&shared.windows),
            fill: solid(SHADE_EDGE),
        });
    }
    let top = legend(&mut scene, 64.0, &keys) + 6.0;

    let n_strips = shared.endpoints.len();
    #[expect(clippy::cast_precision_loss, reason = "at most six")]
    let row = 24.0 + FAULT + AREA + 8.0 + n_strips as f64 * STRIP + 34.0;
    let columns = if strategies.len() == 1 { 1 } else { 2 };
    #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
    let rows = strategies.len().div_ceil(columns) as f64;
    scene.height = top + rows * row + 6.0;

    for (i, strategy) in strategies.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
        let (column, line) = ((i % columns) as f64, (i / columns) as f64);
        #[expect(clippy::cast_precision_loss, reason = "one or two")]
        let width = (WIDTH - 2.0 * MARGIN - 24.0 * (columns - 1) as f64) / columns as f64;
        let left = MARGIN + column * (width + 24.0) + NAMES;
        let top = top + line * row + 24.0;
        let frame = Frame::new(left, top, left - NAMES + width - 8.0, top + FAULT + AREA);
        panel(&mut scene, frame, set, &strategy.name, &shared);
    }
    scene
}

/// The band above an area that marks the fault windows.
const FAULT: f64 = 7.0;
const OTHERS: RGBColor = RGBColor(206, 209, 214);

fn fault_key(windows: &[Window]) -> String {
    match windows {
        [only] => format!("fault: {}", only.label),
        _ => "a fault".to_owned(),
    }
}

fn panel(scene: &mut Scene, frame: Frame, set: &ResultSet, strategy: &str, shared: &Shared) {
    heading(scene, frame, strategy, "", INK);
    let x = Scale::exact(shared.span.0, shared.span.1, (frame.left, frame.right));
    let area = Frame {
        top: frame.top + FAULT,
        ..frame
    };
    let y = Scale::exact(0.0, 1.0, (area.bottom, area.top));
    for (share, label) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        scene.line(
            vec![(area.left, y.at(share)), (area.right, y.at(share))],
            GRID,
            1.0,
            &[],
        );
        scene.text((area.left - 6.0, y.at(share)), label, TICK, Anchor::End, FAINT);
    }

    let rows: Vec<&EndpointSeriesRow> = set
        .endpoint_series
        .iter()
        .filter(|row| row.strategy == strategy)
        .collect();
    if rows.is_empty() {
        scene.no_data(area, "no data");
        return;
    }
    shares(scene, &rows, shared, &x, &y);
    for window in &shared.windows {
        let (left, right) = (x.at(window.start), x.at(window.end));
        let band = Frame::new(left, frame.top, right.max(left + 1.5), frame.top + FAULT - 2.0);
        scene.rect(band, SHADE_EDGE);
        for edge in [band.left, band.right] {
            scene.line(
                vec![(edge, frame.top), (edge, area.bottom)],
                SHADE_EDGE,
                1.0,
                &[3.0, 3.0],
            );
        }
    }

    let mut top = area.bottom + 8.0;
    for (i, endpoint) in shared.endpoints.iter().enumerate() {
        health(
            scene,
            Frame::new(frame.left, top, frame.right, top + STRIP - 3.0),
            (i, endpoint),
            &rows,
            shared,
        );
        top += STRIP;
    }
    let below = Frame { bottom: top, ..frame };
    time_axis(scene, below, &x, shared.span, true);
}

/// The stacked shares of the endpoints; nothing where no attempt was launched.
fn shares(scene: &mut Scene, rows: &[&EndpointSeriesRow], shared: &Shared, x: &Scale, y: &Scale) {
    let pieces = &shared.pieces;
    let of = |name: &str| {
        pieces.sums(
            rows.iter()
                .filter(|row| row.endpoint == name)
                .map(|row| (row.second, row.attempts)),
        )
    };
    let all = pieces.sums(rows.iter().map(|row| (row.second, row.attempts)));
    let mut layers: Vec<(Vec<f64>, RGBColor)> = shared
        .endpoints
        .iter()
        .enumerate()
        .map(|(i, name)| (of(name), layer(i).color))
        .collect();
    if shared.has_others {
        layers.push((all.clone(), OTHERS));
    }

    let mut below = vec![0.0; pieces.n];
    for (i, (attempts, color)) in layers.iter().enumerate() {
        let is_rest = i == shared.endpoints.len();
        let above: Vec<f64> = (0..pieces.n)
            .map(|at| {
                if is_rest || all[at] <= 0.0 {
                    1.0
                } else {
                    below[at] + attempts[at] / all[at]
                }
            })
            .collect();
        for run in runs(&all) {
            let edges = |shares: &[f64]| -> Vec<Point> {
                let edge = |at: usize| {
                    let (start, end) = pieces.ends(at);
                    [(x.at(start), y.at(shares[at])), (x.at(end), y.at(shares[at]))]
                };
                run.clone().flat_map(edge).collect()
            };
            let mut outline = edges(&above);
            outline.extend(edges(&below).into_iter().rev());
            scene.area(outline, *color);
            if i + 1 < layers.len() {
                scene.line(edges(&above), PAPER, 1.0, &[]);
            }
        }
        below = above;
    }
}

/// The stretches in which something was launched.
fn runs(attempts: &[f64]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for at in (0..attempts.len()).filter(|at| attempts[*at] > 0.0) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            Some(_) | None => runs.push(at..at + 1),
        }
    }
    runs
}

fn health(scene: &mut Scene, frame: Frame, (i, endpoint): (usize, &str), rows: &[&EndpointSeriesRow], shared: &Shared) {
    let x = Scale::exact(shared.span.0, shared.span.1, (frame.left, frame.right));
    let middle = frame.top.midpoint(frame.bottom);
    let swatch = Frame::new(frame.left - 10.0, frame.top, frame.left - 4.0, frame.bottom);
    scene.rect(swatch, layer(i).color);
    let name = font::fit(endpoint, 9.0, NAMES - 16.0);
    scene.text((swatch.left - 4.0, middle), &name, 9.0, Anchor::End, FAINT);
    scene.rect(frame, GRID);

    let of_it = || rows.iter().filter(|row| row.endpoint == endpoint);
    let ejected = shared.pieces.sums(of_it().map(|row| (row.second, 1.0 - row.available)));
    let bins = shared.pieces.sums(of_it().map(|row| (row.second, 1.0)));
    for at in 0..shared.pieces.n {
        let share = if bins[at] > 0.0 {
            (ejected[at] / bins[at]).clamp(0.0, 1.0)
        } else {
            0.0
        };
        if share > 0.005 {
            let (start, end) = shared.pieces.ends(at);
            scene.rect(
                Frame::new(x.at(start), frame.top, x.at(end), frame.bottom),
                mixed(GRID, INK, share),
            );
        }
    }
}

fn mixed(from: RGBColor, to: RGBColor, share: f64) -> RGBColor {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between two bytes"
    )]
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

//! A small picture over time of each of several algorithms, all to the same scale.

use super::font;
use super::panel::{Window, shade};
use super::scale::{Scale, plain, time_ticks};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, GRID, INK, refused, single};
use crate::lineup::Panels;

const WIDTH: f64 = 960.0;

pub(super) fn draw(panels: &Panels) -> Scene {
    const BESIDE: usize = 3;
    const DEPTH: f64 = 120.0;
    const ABOVE: f64 = 30.0;
    const TOP: f64 = 70.0;
    const AXIS: f64 = 44.0;
    const GAP: f64 = 22.0;

    let level = panels
        .level
        .as_ref()
        .map(|(_, what)| format!(" · dashed: {what}"))
        .unwrap_or_default();
    let shaded = panels
        .windows
        .first()
        .map(|(_, _, what)| format!(" · shaded: {what}"))
        .unwrap_or_default();
    let note = format!("{}{level}{shaded} · time from left to right", panels.value);
    let mut scene = Scene::new(WIDTH, 140.0, &panels.title, &note);
    let points = || panels.lines.iter().flat_map(|(_, points)| points);
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (x, _)| {
        (low.min(*x), high.max(*x))
    });
    if high.total_cmp(&low).is_le() {
        scene.no_data(
            Frame::new(MARGIN, 64.0, WIDTH - MARGIN, 130.0),
            "no data: nothing was measured",
        );
        return scene;
    }
    let level = panels.level.as_ref().map(|(level, _)| *level);
    let windows: Vec<Window> = panels
        .windows
        .iter()
        .map(|(start, end, what)| Window {
            label: what.clone(),
            start: *start,
            end: *end,
        })
        .collect();
    let width = (WIDTH - 2.0 * MARGIN - AXIS - GAP * (count(BESIDE) - 1.0)) / count(BESIDE);
    for (at, (name, points)) in panels.lines.iter().enumerate() {
        let left = MARGIN + AXIS + count(at % BESIDE) * (width + GAP);
        let top = TOP + ABOVE + count(at / BESIDE) * (DEPTH + ABOVE + 28.0);
        let frame = Frame::new(left, top, left + width, top + DEPTH);
        let x = Scale::exact(low, high, (frame.left, frame.right));
        let all = panels
            .lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, y)| *y));
        let y = Scale::from_zero(all.chain(level), (frame.bottom, frame.top));
        shade(&mut scene, frame, &x, &windows);
        for tick in y.ticks(3) {
            scene.line(
                vec![(frame.left, y.at(tick)), (frame.right, y.at(tick))],
                GRID,
                1.0,
                &[],
            );
            if at % BESIDE == 0 {
                scene.text((frame.left - 6.0, y.at(tick)), &plain(tick), TICK, Anchor::End, FAINT);
            }
        }
        for (tick, label) in time_ticks(low, high, 4) {
            let tick = x.at(tick);
            scene.line(vec![(tick, frame.bottom), (tick, frame.bottom + 4.0)], FAINT, 1.0, &[]);
            let half = font::width(&label, TICK) / 2.0;
            let inside = tick.clamp(frame.left + half - 4.0, frame.right - half + 4.0);
            scene.text((inside, frame.bottom + 13.0), &label, TICK, Anchor::Middle, FAINT);
        }
        scene.line(
            vec![(frame.left, frame.bottom), (frame.right, frame.bottom)],
            FAINT,
            1.0,
            &[],
        );
        if let Some(level) = level {
            let at = y.at(level);
            scene.line(
                vec![(frame.left, at), (frame.right, at)],
                refused().color,
                1.4,
                &[6.0, 4.0],
            );
        }
        let line = points.iter().map(|(at, value)| (x.at(*at), y.at(*value))).collect();
        scene.line(line, single().color, 1.6, &[]);
        let name = font::fit(name, LABEL, width);
        scene.text((frame.left, frame.top - 10.0), &name, LABEL, Anchor::Start, INK);
        scene.height = frame.bottom + 34.0;
    }
    scene
}

#[expect(clippy::cast_precision_loss, reason = "there are few panels")]
fn count(n: usize) -> f64 {
    n as f64
}

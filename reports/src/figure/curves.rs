//! Two distribution functions over each other: what was simulated and what was live.

use super::font;
use super::scale::{Scale, seconds};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, GRID, INK, look};
use crate::twin::{Curve, Section};

const WIDTH: f64 = 960.0;

pub(super) fn draw(section: &Section) -> Scene {
    const BESIDE: usize = 3;
    const DEPTH: f64 = 190.0;
    const TOP: f64 = 96.0;
    const AXIS: f64 = 48.0;
    const GAP: f64 = 24.0;

    let note = "share of requests that took no longer · line: simulated · dashed: live";
    let mut scene = Scene::new(WIDTH, 140.0, &section.title, note);
    let curves: Vec<&Curve> = section.curves.iter().filter(|curve| !curve.is_empty()).collect();
    if curves.is_empty() {
        scene.no_data(
            Frame::new(MARGIN, 64.0, WIDTH - MARGIN, 130.0),
            "no data: nothing was completed",
        );
        return scene;
    }
    let width = (WIDTH - 2.0 * MARGIN - AXIS - GAP * (count(BESIDE) - 1.0)) / count(BESIDE);
    for (at, curve) in curves.iter().enumerate() {
        let left = MARGIN + AXIS + count(at % BESIDE) * (width + GAP);
        let top = TOP + count(at / BESIDE) * (DEPTH + 72.0);
        let frame = Frame::new(left, top, left + width, top + DEPTH);
        panel(&mut scene, curve, frame, at % BESIDE == 0);
        scene.height = frame.bottom + 44.0;
    }
    scene
}

fn panel(scene: &mut Scene, curve: &Curve, frame: Frame, has_shares: bool) {
    let all = curve.simulated.iter().chain(&curve.live).map(|(at, _)| *at);
    let x = Scale::fitting(all, (frame.left, frame.right));
    let y = Scale::exact(0.0, 1.0, (frame.bottom, frame.top));
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = y.at(tick);
        scene.line(vec![(frame.left, at), (frame.right, at)], GRID, 1.0, &[]);
        if has_shares {
            scene.text(
                (frame.left - 6.0, at),
                &format!("{:.0} %", tick * 100.0),
                TICK,
                Anchor::End,
                FAINT,
            );
        }
    }
    let mut free_from = f64::NEG_INFINITY;
    for tick in x.ticks(4) {
        let at = x.at(tick);
        scene.line(vec![(at, frame.bottom), (at, frame.bottom + 4.0)], FAINT, 1.0, &[]);
        let label = seconds(tick);
        let half = font::width(&label, TICK) / 2.0;
        let middle = at.clamp(frame.left + half - 6.0, frame.right - half + 6.0);
        if free_from < middle - half {
            scene.text((middle, frame.bottom + 13.0), &label, TICK, Anchor::Middle, FAINT);
            free_from = middle + half + 6.0;
        }
    }
    scene.line(
        vec![(frame.left, frame.bottom), (frame.right, frame.bottom)],
        FAINT,
        1.0,
        &[],
    );
    for (points, number, width, dash) in [
        (&curve.simulated, 0, 2.6, &[][..]),
        (&curve.live, 1, 1.5, &[6.0, 4.0][..]),
    ] {
        let known = points.iter().filter(|(at, share)| at.is_finite() && share.is_finite());
        let line = known.map(|(at, share)| (x.at(*at), y.at(*share))).collect();
        scene.line(line, look(number).color, width, dash);
    }
    let name = font::fit(&curve.name, LABEL, frame.width());
    scene.text((frame.left, frame.top - 12.0), &name, LABEL, Anchor::Start, INK);
}

#[expect(clippy::cast_precision_loss, reason = "there are few panels")]
fn count(n: usize) -> f64 {
    n as f64
}

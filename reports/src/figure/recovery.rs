//! What each fault cost and how long it took to recover; two bars a strategy.

use super::font;
use super::panel::{Key, legend};
use super::scale::{Scale, plain, seconds};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, Fill, GRID, Hatch, INK, abandoned, failed, refused, single};
use crate::result::{FaultWindow, ResultSet};

const WIDTH: f64 = 960.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
/// Room beside a bar for its number.
const FIGURE: f64 = 96.0;
/// More fault windows than this are left to the table.
const MOST: usize = 4;

/// One fault and what each strategy made of it, in the order of the strategies.
struct Fault<'a> {
    heading: String,
    windows: Vec<Option<&'a FaultWindow>>,
}

/// `None` if no strategy saw a fault.
pub(super) fn draw(set: &ResultSet, title: &str) -> Option<Scene> {
    let faults = faults(set);
    if faults.is_empty() {
        return None;
    }

    let left_out = faults.len().saturating_sub(MOST);
    let mut note = "left: requests failed, abandoned or refused (but for limits) within the window · right: from its end until p99 and attainment were back within 10 % of before".to_owned();
    if left_out > 0 {
        note = format!(
            "the first {MOST} of {} fault windows; the others are in summary.json",
            faults.len()
        );
    }
    let mut scene = Scene::new(WIDTH, 200.0, title, &note);
    let keys = [
        ("failed", failed()),
        ("refused", refused()),
        ("abandoned", abandoned()),
        ("time to recover", single()),
        ("not recovered within the run", never()),
    ];
    let keys = keys.map(|(name, fill)| Key {
        name: name.to_owned(),
        fill,
    });
    let mut top = legend(&mut scene, 64.0, &keys) + 12.0;

    let strategies = &set.summary.strategies;
    let names: Vec<String> = strategies
        .iter()
        .map(|strategy| font::fit(&strategy.name, LABEL, 260.0))
        .collect();
    let widest = names.iter().map(|name| font::width(name, LABEL)).fold(0.0, f64::max);
    let left = MARGIN + widest + 12.0;
    let column = (WIDTH - MARGIN - left - 24.0) / 2.0;
    let lost_scale = Scale::from_zero(
        faults
            .iter()
            .flat_map(|fault| &fault.windows)
            .flatten()
            .map(|window| window.lost()),
        (left, left + column - FIGURE),
    );
    let right = left + column + 24.0;
    let recovery_scale = Scale::from_zero(
        faults
            .iter()
            .flat_map(|fault| &fault.windows)
            .flatten()
            .filter_map(|window| window.recovery_seconds),
        (right, right + column - FIGURE),
    );

    for fault in faults.iter().take(MOST) {
        let heading = font::fit(&fault.heading, LABEL, WIDTH - 2.0 * MARGIN);
        scene.text((MARGIN, top + 6.0), &heading, LABEL, Anchor::Start, INK);
        top += 22.0;
        #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
        let bottom = top + strategies.len() as f64 * ROW + 4.0;
        axis(&mut scene, &lost_scale, (top, bottom), "requests lost", plain);
        axis(&mut scene, &recovery_scale, (top, bottom), "time to recover", seconds);
        let mut y = top + 4.0;
        for (name, window) in names.iter().zip(&fault.windows) {
            let middle = y + BAR / 2.0;
            scene.text((left - 10.0, middle), name, LABEL, Anchor::End, INK);
            match window {
                Some(window) => {
                    lost(&mut scene, &lost_scale, y, window);
                    recovery(&mut scene, &recovery_scale, y, window);
                }
                None => scene.text((left + 7.0, middle), "no such fault", TICK, Anchor::Start, FAINT),
            }
            y += ROW;
        }
        top = bottom + 54.0;
    }
    scene.height = top;
    Some(scene)
}

/// The fault windows of all strategies, put side by side by backend, kind and time.
fn faults(set: &ResultSet) -> Vec<Fault<'_>> {
    let is_same = |a: &FaultWindow, b: &FaultWindow| {
        (&a.backend, &a.kind, a.start.to_bits(), a.end.to_bits())
            == (&b.backend, &b.kind, b.start.to_bits(), b.end.to_bits())
    };
    let mut distinct: Vec<&FaultWindow> = Vec::new();
    for fault in set.summary.strategies.iter().flat_map(|strategy| &strategy.faults) {
        if !distinct.iter().any(|known| is_same(known, fault)) {
            distinct.push(fault);
        }
    }
    distinct.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.end.total_cmp(&b.end)));
    let side_by_side = |fault: &&FaultWindow| Fault {
        heading: format!(
            "{} {}, {} to {}",
            fault.backend,
            fault.kind,
            seconds(fault.start),
            seconds(fault.end)
        ),
        windows: set
            .summary
            .strategies
            .iter()
            .map(|strategy| strategy.faults.iter().find(|known| is_same(known, fault)))
            .collect(),
    };
    distinct.iter().map(side_by_side).collect()
}

fn axis(scene: &mut Scene, x: &Scale, (top, bottom): (f64, f64), title: &str, label: impl Fn(f64) -> String) {
    for tick in x.ticks(3) {
        let at = x.at(tick);
        scene.line(vec![(at, top), (at, bottom)], GRID, 1.0, &[]);
        scene.text((at, bottom + 10.0), &label(tick), TICK, Anchor::Middle, FAINT);
    }
    scene.line(vec![(x.from, top), (x.from, bottom)], FAINT, 1.0, &[]);
    let middle = x.from.midpoint(x.to);
    scene.text((middle, bottom + 28.0), title, LABEL, Anchor::Middle, FAINT);
}

/// A recovery that did not happen.
fn never() -> Fill {
    Fill {
        hatch: Hatch::Rising,
        ..single()
    }
}

fn lost(scene: &mut Scene, x: &Scale, y: f64, window: &FaultWindow) {
    let count = |n: f64| if n.is_finite() { n.max(0.0) } else { 0.0 };
    let parts = [
        (window.failed, failed()),
        (window.turned_away(), refused()),
        (window.abandoned, abandoned()),
    ];
    let mut n = 0.0;
    for (part, fill) in parts {
        let begin = x.at(n);
        n += count(part);
        if 0.0 < count(part) {
            scene.rect(Frame::new(begin, y, x.at(n), y + BAR), fill.color);
        }
    }
    let end = x.at(n);
    let figure = if n > 0.0 { plain(n) } else { "none".to_owned() };
    scene.patch((end + 7.0, y + BAR / 2.0), &figure, TICK, FAINT);
}

fn recovery(scene: &mut Scene, x: &Scale, y: f64, window: &FaultWindow) {
    let middle = y + BAR / 2.0;
    let Some(value) = window.recovery_seconds.filter(|seconds| seconds.is_finite()) else {
        let bar = Frame::new(x.from, y, x.to, y + BAR);
        scene.hatched(bar, never().color, never().hatch);
        scene.patch((x.to + 7.0, middle), "not recovered", TICK, FAINT);
        return;
    };
    let bar = Frame::new(x.from, y, x.at(value).max(x.from + 0.7), y + BAR);
    scene.rect(bar, single().color);
    let figure = if value > 0.0 {
        seconds(value)
    } else {
        "at once".to_owned()
    };
    scene.patch((x.at(value) + 7.0, middle), &figure, TICK, FAINT);
}

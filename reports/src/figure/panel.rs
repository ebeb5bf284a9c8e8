//! What several figures share: axes, fault windows, legends, and rows gathered to the pixels there are.

use plotters::style::RGBColor;

use super::font;
use super::scale::{Scale, time_ticks};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, Fill, GRID, INK, SHADE, SHADE_EDGE};
use crate::result::ResultSet;

/// A fault window as it is drawn: backends that fail alike at once are one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) label: String,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// The fault windows of a set, by time.
pub(super) fn windows(set: &ResultSet) -> Vec<Window> {
    let mut found: Vec<(f64, f64, &str, Vec<&str>)> = Vec::new();
    for fault in set.summary.strategies.iter().flat_map(|strategy| &strategy.faults) {
        if !(fault.start.is_finite() && fault.end.is_finite()) {
            continue;
        }
        let same = found
            .iter_mut()
            .find(|(start, end, kind, _)| (*start, *end, *kind) == (fault.start, fault.end, &fault.kind));
        match same {
            Some((_, _, _, backends)) if backends.contains(&fault.backend.as_str()) => {}
            Some((_, _, _, backends)) => backends.push(&fault.backend),
            None => found.push((fault.start, fault.end, &fault.kind, vec![&fault.backend])),
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    found
        .into_iter()
        .map(|(start, end, kind, backends)| Window {
            label: format!("{} {kind}", backends.join(", ")),
            start,
            end,
        })
        .collect()
}

/// Shades the windows in `frame`.
pub(super) fn shade(scene: &mut Scene, frame: Frame, x: &Scale, windows: &[Window]) {
    for window in windows {
        let (left, right) = (x.at(window.start), x.at(window.end));
        let shaded = Frame::new(left, frame.top, right.max(left + 1.5), frame.bottom);
        scene.rect(shaded, SHADE);
        for edge in [shaded.left, shaded.right] {
            scene.line(vec![(edge, frame.top), (edge, frame.bottom)], SHADE_EDGE, 1.0, &[]);
        }
    }
}

/// Names the windows in the line above `frame`; those for which there is no room stay unnamed.
pub(super) fn name_windows(scene: &mut Scene, frame: Frame, x: &Scale, windows: &[Window]) {
    let mut free_from = frame.left;
    for window in windows {
        let label = font::fit(&window.label, TICK, frame.width());
        let width = font::width(&label, TICK);
        let middle = x.at(window.start).midpoint(x.at(window.end));
        let left = (middle - width / 2.0).clamp(frame.left, (frame.right - width).max(frame.left));
        if left < free_from {
            continue;
        }
        scene.text((left, frame.top - 8.0), &label, TICK, Anchor::Start, FAINT);
        free_from = left + width + 8.0;
    }
}

/// Grid lines and numbers at the left of `frame`.
pub(super) fn value_axis(scene: &mut Scene, frame: Frame, y: &Scale, wanted: u32, label: impl Fn(f64) -> String) {
    for tick in y.ticks(wanted) {
        let at = y.at(tick);
        scene.line(vec![(frame.left, at), (frame.right, at)], GRID, 1.0, &[]);
        scene.text((frame.left - 6.0, at), &label(tick), TICK, Anchor::End, FAINT);
    }
}

/// The line below `frame`, with ticks and, if asked for, times.
pub(super) fn time_axis(scene: &mut Scene, frame: Frame, x: &Scale, (low, high): (f64, f64), has_labels: bool) {
    scene.line(
        vec![(frame.left, frame.bottom), (frame.right, frame.bottom)],
        FAINT,
        1.0,
        &[],
    );
    for (tick, label) in time_ticks(low, high, 6) {
        let at = x.at(tick);
        scene.line(vec![(at, frame.bottom), (at, frame.bottom + 4.0)], FAINT, 1.0, &[]);
        if has_labels {
            scene.text((at, frame.bottom + 13.0), &label, TICK, Anchor::Middle, FAINT);
        }
    }
}

/// One entry of a legend.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) fill: Fill,
}

/// Swatches and names from `top` downwards, as many to a row as fit; returns where the legend ends.
pub(super) fn legend(scene: &mut Scene, top: f64, keys: &[Key]) -> f64 {
    const ROW: f64 = 20.0;
    const SWATCH: f64 = 18.0;
    const GAP: f64 = 22.0;

    let room = scene.width - 2.0 * MARGIN;
    let (mut x, mut y) = (MARGIN, top);
    for key in keys {
        let name = font::fit(&key.name, LABEL, (room - SWATCH - 6.0).min(240.0));
        let width = SWATCH + 6.0 + font::width(&name, LABEL);
        if x > MARGIN && x + width > MARGIN + room {
            (x, y) = (MARGIN, y + ROW);
        }
        scene.hatched(
            Frame::new(x, y + 1.0, x + SWATCH, y + 13.0),
            key.fill.color,
            key.fill.hatch,
        );
        scene.text((x + SWATCH + 6.0, y + 7.0), &name, LABEL, Anchor::Start, INK);
        x += width + GAP;
    }
    if keys.is_empty() { top } else { y + ROW }
}

/// A heading over a panel: a name at the left, cut if need be, and a figure at the right.
pub(super) fn heading(scene: &mut Scene, frame: Frame, name: &str, figure: &str, color: RGBColor) {
    let y = frame.top - 9.0;
    let taken = if figure.is_empty() {
        0.0
    } else {
        font::width(figure, TICK) + 12.0
    };
    scene.text((frame.right, y), figure, TICK, Anchor::End, FAINT);
    let name = font::fit(name, LABEL, frame.width() - taken);
    scene.text((frame.left, y), &name, LABEL, Anchor::Start, color);
}

/// The time a set covers, in seconds: from its first bin to the end of its last.
pub(super) fn span(set: &ResultSet) -> (f64, f64) {
    let starts = || {
        let series = set.series.iter().map(|row| row.second);
        series
            .chain(set.endpoint_series.iter().map(|row| row.second))
            .filter(|second| second.is_finite())
    };
    let low = starts().fold(f64::INFINITY, f64::min);
    let high = starts().fold(f64::NEG_INFINITY, f64::max);
    if low.is_finite() {
        (low.min(0.0), high + set.bin_seconds)
    } else {
        (0.0, 1.0)
    }
}

/// Cuts the time of a set into at most as many equal pieces as `pixels` can show, each of whole bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    low: f64,
    /// Length of a piece in seconds.
    pub(super) seconds: f64,
    /// How many there are.
    pub(super) n: usize,
}

impl Pieces {
    pub(super) fn new(set: &ResultSet, most: u32) -> Pieces {
        let (low, high) = span(set);
        let bin = if set.bin_seconds > 0.0 { set.bin_seconds } else { 1.0 };
        let bins = ((high - low) / bin).ceil().max(1.0);
        let per_piece = (bins / f64::from(most)).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most `most`, which is small"
        )]
        let n = (bins / per_piece).ceil() as usize;
        Pieces {
            low,
            seconds: per_piece * bin,
            n,
        }
    }

    /// The piece a bin belongs to, by where the bin begins.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates and the result is capped"
    )]
    pub(super) fn of(&self, second: f64) -> usize {
        (((second - self.low) / self.seconds + 1e-9).floor() as usize).min(self.n - 1)
    }

    /// When a piece begins and ends, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "there are few pieces")]
    pub(super) fn ends(&self, piece: usize) -> (f64, f64) {
        let start = self.low + piece as f64 * self.seconds;
        (start, start + self.seconds)
    }

    /// Each piece's sum of some values, by where their bin begins.
    pub(super) fn sums(&self, values: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
        let mut sums = vec![0.0; self.n];
        for (second, value) in values.filter(|(_, value)| value.is_finite()) {
            sums[self.of(second)] += value;
        }
        sums
    }

    /// Each piece's largest value, `None` where there is none.
    pub(super) fn largest(&self, values: impl Iterator<Item = (f64, Option<f64>)>) -> Vec<Option<f64>> {
        let mut largest: Vec<Option<f64>> = vec![None; self.n];
        for (second, value) in values {
            let kept = &mut largest[self.of(second)];
            *kept = value
                .filter(|value| value.is_finite())
                .into_iter()
                .chain(*kept)
                .reduce(f64::max);
        }
        largest
    }
}

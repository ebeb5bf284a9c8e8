//! The figures of several algorithms as bars: a panel a figure, a row an algorithm.

use super::font;
use super::scale::Scale;
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, GRID, INK, single};
use crate::lineup::Table;
use crate::table::Better;

const WIDTH: f64 = 960.0;
/// Panels beside each other.
const MOST: usize = 4;

pub(super) fn draw(table: &Table) -> Scene {
    const ROW: f64 = 22.0;
    const TOP: f64 = 104.0;
    const BELOW: f64 = 78.0;
    const GAP: f64 = 26.0;

    let mut scene = Scene::new(WIDTH, 160.0, &table.title, &table.meaning);
    let columns: Vec<usize> = (0..table.columns.len())
        .filter(|column| has_any(table, *column))
        .collect();
    if table.rows.is_empty() || columns.is_empty() {
        scene.no_data(
            Frame::new(MARGIN, 64.0, WIDTH - MARGIN, 130.0),
            "no data: nothing was measured",
        );
        return scene;
    }
    let names: Vec<String> = table
        .rows
        .iter()
        .map(|row| font::fit(&row.name, LABEL, 190.0))
        .collect();
    let widest = names.iter().map(|name| font::width(name, LABEL)).fold(0.0, f64::max);
    let left = MARGIN + widest + 12.0;
    let depth = count(table.rows.len()) * ROW + 6.0;
    let mut top = TOP;
    for block in columns.chunks(MOST) {
        let beside = count(block.len());
        let width = (WIDTH - MARGIN - left - GAP * (beside - 1.0)) / beside;
        for (row, name) in names.iter().enumerate() {
            let middle = top + 3.0 + (count(row) + 0.5) * ROW;
            scene.text((left - 10.0, middle), name, LABEL, Anchor::End, INK);
        }
        for (at, column) in block.iter().enumerate() {
            let from = left + count(at) * (width + GAP);
            panel(
                &mut scene,
                table,
                *column,
                Frame::new(from, top, from + width, top + depth),
                ROW,
            );
        }
        top += depth + BELOW;
    }
    scene.height = top - BELOW + 44.0;
    scene
}

fn has_any(table: &Table, column: usize) -> bool {
    let values = table.rows.iter().filter_map(|row| row.values[column]);
    values.filter(|value| value.is_finite()).any(|value| value != 0.0)
}

/// One figure of every algorithm.
fn panel(scene: &mut Scene, table: &Table, column: usize, frame: Frame, row_height: f64) {
    /// Room at the right of the longest bar for its number.
    const NUMBER: f64 = 58.0;

    let of = &table.columns[column];
    let way = match of.better {
        Some(Better::Lower) => " ↓",
        Some(Better::Higher) => " ↑",
        None => "",
    };
    let name = font::fit(&format!("{}{way}", of.name), LABEL, frame.width());
    scene.text((frame.left, frame.top - 27.0), &name, LABEL, Anchor::Start, INK);
    let meaning = font::fit(of.meaning, TICK, frame.width());
    scene.text((frame.left, frame.top - 11.0), &meaning, TICK, Anchor::Start, FAINT);

    let values = table.rows.iter().filter_map(|row| row.values[column]);
    let x = Scale::fitting(values, (frame.left, (frame.right - NUMBER).max(frame.left + 20.0)));
    let wanted = if frame.width() < 200.0 { 2 } else { 4 };
    let mut free_from = f64::NEG_INFINITY;
    for tick in x.ticks(wanted) {
        let at = x.at(tick);
        scene.line(vec![(at, frame.top), (at, frame.bottom)], GRID, 1.0, &[]);
        let label = font::fit(&of.text(Some(tick)), TICK, NUMBER);
        let half = font::width(&label, TICK) / 2.0;
        if free_from <= at - half {
            scene.text((at, frame.bottom + 12.0), &label, TICK, Anchor::Middle, FAINT);
            free_from = at + half + 6.0;
        }
    }
    if x.is_log() {
        let middle = frame.left.midpoint(frame.right - NUMBER);
        scene.text(
            (middle, frame.bottom + 28.0),
            "logarithmic",
            TICK,
            Anchor::Middle,
            FAINT,
        );
    }
    for (at, row) in table.rows.iter().enumerate() {
        let y = frame.top + 3.0 + count(at) * row_height;
        let middle = y + 0.5 * row_height;
        let Some(value) = row.values[column].filter(|value| value.is_finite()) else {
            scene.text((frame.left + 5.0, middle), "–", TICK, Anchor::Start, FAINT);
            continue;
        };
        let bar = Frame::new(
            frame.left,
            y + 4.0,
            x.at(value).max(frame.left + 1.0),
            y + row_height - 4.0,
        );
        scene.rect(bar, single().color);
        let number = font::fit(&of.text(Some(value)), TICK, frame.right - bar.right - 6.0);
        scene.patch((bar.right + 6.0, middle), &number, TICK, FAINT);
    }
    scene.line(
        vec![(frame.left, frame.top), (frame.left, frame.bottom)],
        FAINT,
        1.0,
        &[],
    );
}

#[expect(clippy::cast_precision_loss, reason = "there are few rows and columns")]
fn count(n: usize) -> f64 {
    n as f64
}

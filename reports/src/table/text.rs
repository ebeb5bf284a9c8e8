//! The comparison as plain text for a terminal.

use super::{Comparison, Standing, compare, is_held_back};
use crate::result::Summary;

/// The comparison as plain text no wider than `width` columns (but never too narrow for one figure): one line a
/// strategy, `*` at the best value and `~` at those not told apart from it, in several blocks if need be.
#[must_use]
pub fn text(summary: &Summary, width: usize) -> String {
    const GAP: usize = 2;
    const LEAST_NAME: usize = 12;
    const MOST_NAME: usize = 44;

    let comparisons = compare(summary);
    if comparisons.is_empty() {
        return "no figures: no request was recorded\n".to_owned();
    }

    let columns: Vec<(usize, &Comparison)> = comparisons
        .iter()
        .map(|comparison| {
            let cells = comparison.cells.iter().map(|cell| columns_of(&cell.text) + 1);
            (
                cells.chain([columns_of(comparison.figure) + 1]).max().unwrap_or(0) + GAP,
                comparison,
            )
        })
        .collect();
    let widest = columns.iter().map(|(column, _)| *column).max().unwrap_or(0);
    let room = width.saturating_sub(widest).clamp(LEAST_NAME, MOST_NAME);
    let names: Vec<String> = summary
        .strategies
        .iter()
        .map(|strategy| shortened(&strategy.name, room))
        .collect();
    let name_width = names.iter().map(|name| columns_of(name)).chain([8]).max().unwrap_or(0);

    let mut text = String::new();
    let mut rest = columns.as_slice();
    while !rest.is_empty() {
        let mut used = name_width;
        let fits = rest.iter().take_while(|(column, _)| {
            used += column;
            used <= width
        });
        let (block, after) = rest.split_at(fits.count().max(1));
        rest = after;

        text.push_str(&padded("strategy", name_width));
        for (column, comparison) in block {
            // The blank after the name stands over the marks.
            text.push_str(&right(&format!("{} ", comparison.figure), *column));
        }
        end_line(&mut text);
        for (i, name) in names.iter().enumerate() {
            text.push_str(&padded(name, name_width));
            for (column, comparison) in block {
                let cell = &comparison.cells[i];
                let mark = match cell.standing {
                    Standing::Best => '*',
                    Standing::Level => '~',
                    Standing::Behind => ' ',
                };
                text.push_str(&right(&format!("{}{mark}", cell.text), *column));
            }
            end_line(&mut text);
        }
        if !rest.is_empty() {
            text.push('\n');
        }
    }
    let has = |standing| {
        comparisons
            .iter()
            .flat_map(|row| &row.cells)
            .any(|cell| cell.standing == standing)
    };
    if has(Standing::Best) {
        text.push_str("\n* best");
        if has(Standing::Level) {
            text.push_str("   ~ not told apart from the best");
        }
        text.push_str("\nlatencies: completed requests only\n");
        if is_held_back(summary) {
            let [what, why] = HELD_BACK;
            let is_one_line = columns_of(what) + columns_of(why) < width;
            text.extend([what, if is_one_line { " " } else { "\n" }, why, "\n"]);
        }
    }
    text
}

/// Why a lower cost has no star, in lines for the narrowest terminal.
const HELD_BACK: [&str; 2] = [
    "latencies, amplification, cost, wasted:",
    "no star with a clearly lower attainment",
];

pub(crate) fn end_line(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// How many columns a text takes; counts characters, which is right for Latin text.
pub(crate) fn columns_of(text: &str) -> usize {
    text.chars().count()
}

pub(crate) fn shortened(name: &str, room: usize) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    if columns_of(&name) <= room {
        return name;
    }
    let mut short: String = name.chars().take(room.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns_of(text))))
}

pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns_of(text))))
}

//! A lineup on a terminal.

use super::{Lineup, Table};
use crate::table::{columns_of, end_line, padded, right, shortened};

impl Lineup {
    /// The tables as plain text no wider than `width` columns (but never too narrow for one figure), `*` at the best.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let mut text = String::new();
        for table in &self.tables {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&table.title);
            text.push('\n');
            write(&mut text, table, width);
        }
        if self
            .tables
            .iter()
            .any(|table| (0..table.columns.len()).any(|column| table.best(column).is_some()))
        {
            text.push_str("\n* best, or not told apart from it by what is written here\n");
        }
        text
    }
}

fn write(text: &mut String, table: &Table, width: usize) {
    const GAP: usize = 2;
    const MOST_NAME: usize = 32;

    let names: Vec<String> = table.rows.iter().map(|row| shortened(&row.name, MOST_NAME)).collect();
    let name_width = names.iter().map(|name| columns_of(name)).max().unwrap_or(0);
    let wide = |column: usize| {
        let of = &table.columns[column];
        let cells = table.rows.iter().map(|row| columns_of(&of.text(row.values[column])));
        cells.chain([columns_of(of.name)]).max().unwrap_or(0) + 1 + GAP
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(wide).collect();
    let mut from = 0;
    while from < widths.len() {
        let mut used = name_width;
        let fits = widths[from..].iter().take_while(|width_of| {
            used += **width_of;
            used <= width
        });
        let to = from + fits.count().max(1);
        text.push_str(&padded("", name_width));
        for (column, width) in table.columns.iter().zip(&widths).take(to).skip(from) {
            text.push_str(&right(&format!("{} ", column.name), *width));
        }
        end_line(text);
        for (row, name) in table.rows.iter().zip(&names) {
            text.push_str(&padded(name, name_width));
            for (column, (value, width)) in row.values.iter().zip(&widths).enumerate().take(to).skip(from) {
                let mark = if table.is_best(column, *value) { '*' } else { ' ' };
                let cell = format!("{}{mark}", table.columns[column].text(*value));
                text.push_str(&right(&cell, *width));
            }
            end_line(text);
        }
        from = to;
        if from < widths.len() {
            text.push('\n');
        }
    }
}

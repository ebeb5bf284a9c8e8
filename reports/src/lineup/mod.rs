//! Algorithms side by side: the same figures of each, as tables, pictures, a page and data.
//!
//! A [`Lineup`] is to algorithms what a [`ResultSet`](crate::ResultSet) is to policies, and much simpler: whoever
//! measured brings tables of numbers, and small pictures over time.
//!
//! ```
//! use tollgate_reports::lineup::{Column, Lineup, Row, Table, Unit};
//! use tollgate_reports::table::Better;
//!
//! let lineup = Lineup {
//!     name: "limiters".into(),
//!     tables: vec![Table {
//!         key: "cost".into(),
//!         title: "What a decision costs".into(),
//!         columns: vec![Column::new("time", "time", "on the processor", Unit::Seconds, Some(Better::Lower))],
//!         rows: vec![Row { name: "gcra".into(), values: vec![Some(3.1e-9)] }],
//!         ..Table::default()
//!     }],
//!     ..Lineup::default()
//! };
//! assert!(lineup.to_json().contains("\"time\": 3.1e-9"));
//! assert!(lineup.text(80).contains("3.1 ns"));
//! ```

mod data;
mod page;
mod text;

use std::path::{Path, PathBuf};

use crate::figure::scale::{percent, plain, seconds};
use crate::figure::{self, Figure};
use crate::result::{File, Shape, WriteError, store_as};
use crate::table::Better;

/// Algorithms side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lineup {
    /// What they are, as the command is called: `limiters`.
    pub name: String,
    /// The title of the page.
    pub title: String,
    /// The question that is answered.
    pub question: String,
    /// The answer, in a sentence or two.
    pub answer: String,
    /// What to know besides: what was not measured, and why.
    pub notes: Vec<String>,
    /// Everything that a number depends on: names and values.
    pub conditions: Vec<(String, String)>,
    /// The figures.
    pub tables: Vec<Table>,
    /// The pictures over time.
    pub panels: Vec<Panels>,
}

/// Some figures of every algorithm, under the same circumstances.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What data calls it: a word.
    pub key: String,
    /// What people call it.
    pub title: String,
    /// The circumstances, in a sentence.
    pub meaning: String,
    /// The figures.
    pub columns: Vec<Column>,
    /// One an algorithm.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What data calls it: a word.
    pub key: &'static str,
    /// What people call it, in a word or two.
    pub name: &'static str,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// How it is written.
    pub unit: Unit,
    /// Which way it is good; none if that depends.
    pub better: Option<Better>,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count or a ratio.
    Number,
    /// Seconds, in the unit in which they read best.
    Seconds,
    /// A share of one, as a percentage.
    Share,
}

/// The figures of one algorithm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its name, as in a policy.
    pub name: String,
    /// One a column; none where there is nothing to tell.
    pub values: Vec<Option<f64>>,
}

/// A small picture of each algorithm, all to the same scale.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panels {
    /// What the file is called: a word.
    pub key: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What to look for.
    pub caption: String,
    /// What is drawn over time, with its unit.
    pub value: String,
    /// A level to compare with, and what it is.
    pub level: Option<(f64, String)>,
    /// Stretches of time that matter, in seconds, and what they are.
    pub windows: Vec<(f64, f64, String)>,
    /// Name, and points of seconds and values in the order of time.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Column {
    /// A figure called `key` in data and `name` by people.
    #[must_use]
    pub const fn new(
        key: &'static str,
        name: &'static str,
        meaning: &'static str,
        unit: Unit,
        better: Option<Better>,
    ) -> Column {
        Column {
            key,
            name,
            meaning,
            unit,
            better,
        }
    }

    /// A value as people read it; `–` where there is none.
    #[must_use]
    pub fn text(&self, value: Option<f64>) -> String {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            return "–".to_owned();
        };
        match self.unit {
            Unit::Number => plain(value),
            Unit::Seconds => seconds(value),
            Unit::Share => percent(value),
        }
    }
}

impl Table {
    /// The best value of a column, if one is better than another.
    #[must_use]
    pub fn best(&self, column: usize) -> Option<f64> {
        let better = self.columns[column].better?;
        let values = || {
            self.rows
                .iter()
                .filter_map(|row| row.values[column])
                .filter(|value| value.is_finite())
        };
        let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
        let (best, worst) = match better {
            Better::Lower => (low, high),
            Better::Higher => (high, low),
        };
        (best.to_bits() != worst.to_bits()).then_some(best)
    }

    /// Whether a value reads as the best of its column does.
    #[must_use]
    pub fn is_best(&self, column: usize, value: Option<f64>) -> bool {
        let of = &self.columns[column];
        value.is_some()
            && self
                .best(column)
                .is_some_and(|best| of.text(Some(best)) == of.text(value))
    }
}

impl Lineup {
    /// Every picture: one a table, then those over time.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let bars = self.tables.iter().map(figure::bars);
        bars.chain(self.panels.iter().map(figure::panels)).collect()
    }

    /// Everything as files: `lineup.json`, `lineup.csv`, the pictures as SVG and PNG, and `report.html`.
    ///
    /// # Errors
    ///
    /// When a picture cannot be drawn, which would be a bug.
    pub fn files(&self) -> Result<Vec<File>, WriteError> {
        let figures = self.figures();
        let mut files = vec![
            File::new(MARK, self.to_json()),
            File::new("lineup.csv", self.to_csv()),
            File::new("report.html", page::html(self, &figures)?),
        ];
        files.extend(figure::files(&figures)?);
        Ok(files)
    }

    /// Writes [`Lineup::files`] into `dir`: all of them, or none and nothing has changed.
    ///
    /// # Errors
    ///
    /// When `dir` cannot be written, or holds a file of one of these names that is of no lineup.
    pub fn write(&self, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
        store_as(&SHAPE, dir, &self.files()?)
    }
}

/// Whether a lineup can go into `dir` as far as what is there already goes.
///
/// # Errors
///
/// When `dir` holds no lineup and yet a file of one of its names, or cannot be read.
pub fn check_free(dir: &Path) -> Result<(), WriteError> {
    SHAPE.check_free(dir)
}

/// The file by which a lineup is known.
const MARK: &str = "lineup.json";

/// The files of a lineup.
const SHAPE: Shape = Shape {
    mark: MARK,
    has: |name| {
        let is_figure = |(stem, end): (&str, &str)| matches!(end, "svg" | "png") && stem.starts_with("lineup-");
        matches!(name, MARK | "lineup.csv" | "report.html") || name.rsplit_once('.').is_some_and(is_figure)
    },
    is_mark: |value| value.get("tollgate").is_some() && value.get("lineup").is_some(),
};

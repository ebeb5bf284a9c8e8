//! A twin: what was simulated and what was live, as one page, pictures and data.
//!
//! Whoever has compared the two brings tables and distribution functions; how they are drawn, and that they arrive as a
//! whole or not at all, is done here.
//!
//! ```
//! use tollgate_reports::twin::{Curve, Section, Twin};
//!
//! let twin = Twin {
//!     title: "outage".into(),
//!     sections: vec![Section {
//!         title: "round robin".into(),
//!         curves: vec![Curve { name: "E2E".into(), simulated: vec![(0.1, 0.5), (0.2, 1.0)], live: vec![(0.11, 1.0)] }],
//!         ..Section::default()
//!     }],
//!     ..Twin::default()
//! };
//! let files = twin.files()?;
//! assert!(files.iter().any(|file| file.name == "twin-1.svg"));
//! # Ok::<(), tollgate_reports::result::WriteError>(())
//! ```

mod page;

use std::path::{Path, PathBuf};

use crate::figure::{self, Figure};
use crate::result::{File, Shape, WriteError, store_as};

/// What was simulated and what was live.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    /// The title of the page.
    pub title: String,
    /// The question that is answered.
    pub question: String,
    /// The answer, in a sentence or two.
    pub answer: String,
    /// What to know besides.
    pub notes: Vec<String>,
    /// Everything that a number depends on: names and values.
    pub conditions: Vec<(String, String)>,
    /// One a strategy.
    pub sections: Vec<Section>,
    /// Files of data that go beside the page, `twin.json` among them.
    pub data: Vec<File>,
}

/// One strategy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its name.
    pub title: String,
    /// Its figures.
    pub sheets: Vec<Sheet>,
    /// What explains them.
    pub notes: Vec<String>,
    /// Its distributions.
    pub curves: Vec<Curve>,
}

/// A table of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// What its columns are.
    pub head: Vec<String>,
    /// Its rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

/// One distribution on both sides: values, and the share that does not exceed them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Of what.
    pub name: String,
    /// As simulated.
    pub simulated: Vec<(f64, f64)>,
    /// As it was live.
    pub live: Vec<(f64, f64)>,
}

impl Curve {
    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.simulated.is_empty() && self.live.is_empty()
    }
}

impl Twin {
    /// Every picture, one a section.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        (1..)
            .zip(&self.sections)
            .map(|(at, section)| figure::curves(at, section))
            .collect()
    }

    /// Everything as files: the data, the pictures as SVG and PNG, and `report.html`.
    ///
    /// # Errors
    ///
    /// When a picture cannot be drawn, which would be a bug.
    pub fn files(&self) -> Result<Vec<File>, WriteError> {
        let figures = self.figures();
        let mut files = self.data.clone();
        files.push(File::new("report.html", page::html(self, &figures)?));
        files.extend(figure::files(&figures)?);
        Ok(files)
    }

    /// Writes [`Twin::files`] into `dir`: all of them, or none and nothing has changed.
    ///
    /// # Errors
    ///
    /// When `dir` cannot be written, or holds a file of one of these names that is of no twin.
    pub fn write(&self, dir: &Path) -> Result<Vec<PathBuf>, WriteError> {
        store_as(&SHAPE, dir, &self.files()?)
    }
}

/// Whether a twin can go into `dir` as far as what is there already goes.
///
/// # Errors
///
/// When `dir` holds no twin and yet a file of one of its names, or cannot be read.
pub fn check_free(dir: &Path) -> Result<(), WriteError> {
    SHAPE.check_free(dir)
}

/// The files of a twin.
const SHAPE: Shape = Shape {
    mark: "twin.json",
    has: |name| {
        let is_figure = |(stem, end): (&str, &str)| matches!(end, "svg" | "png") && stem.starts_with("twin-");
        matches!(name, "twin.json" | "twin.csv" | "twin.md" | "report.html")
            || name.rsplit_once('.').is_some_and(is_figure)
    },
    is_mark: |value| value.get("tollgate").is_some() && value.get("twin").is_some(),
};

//! The figures of a report, each a pure function of a result set, as SVG and as PNG.
//!
//! Lines are told apart by lightness, dash and marker, areas by lightness and hatching, so a print in grey still reads;
//! names stand beside what they name. The font comes along, so a machine without any draws the same bytes.
//!
//! ```
//! use tollgate_reports::{ResultSet, figure};
//!
//! for figure in figure::all(&ResultSet::default()) {
//!     assert!(figure.svg()?.contains("no data"), "a set without rows is told, not hidden");
//! }
//! # Ok::<(), tollgate_reports::result::WriteError>(())
//! ```

mod bars;
mod curves;
mod endpoints;
mod font;
mod latency;
#[cfg(test)]
mod laws;
mod panel;
mod panels;
mod recovery;
mod refusals;
mod render;
pub(crate) mod scale;
mod scene;
mod style;
mod timeline;

use std::borrow::Cow;

use scene::Scene;

use crate::lineup::{Panels, Table};
use crate::result::{File, Metric, ResultSet, WriteError};
use crate::twin::Section;

/// One figure, laid out and ready to be drawn.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its file names, such as `latency-e2e`.
    pub name: Cow<'static, str>,
    /// What it shows, in a few words.
    pub title: Cow<'static, str>,
    /// What to look for in it, in one or two sentences.
    pub caption: Cow<'static, str>,
    scene: Scene,
}

impl Figure {
    /// The figure as a self-contained SVG document.
    ///
    /// # Errors
    ///
    /// When the drawing library fails, which would be a bug.
    pub fn svg(&self) -> Result<String, WriteError> {
        render::svg(&self.scene, &self.title).map_err(|cause| self.error("svg", cause))
    }

    /// The figure as the bytes of a PNG file, at twice its nominal size for dense screens and print.
    ///
    /// # Errors
    ///
    /// When the drawing library fails, which would be a bug.
    pub fn png(&self) -> Result<Vec<u8>, WriteError> {
        render::png(&self.scene).map_err(|cause| self.error("png", cause))
    }

    /// Nominal width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (f64, f64) {
        (self.scene.width, self.scene.height)
    }

    fn error(&self, extension: &str, cause: String) -> WriteError {
        WriteError::Figure {
            file: format!("{}.{extension}", self.name),
            cause,
        }
    }
}

/// Every figure that applies to a set, in the order of the report. Where there is nothing to draw, the figure says so;
/// only the one about faults is missing when there were none.
#[must_use]
pub fn all(set: &ResultSet) -> Vec<Figure> {
    let mut figures = Vec::new();
    let title = "What each fault cost, and how long recovery took";
    figures.extend(recovery::draw(set, title).map(|scene| Figure {
        name: Cow::Borrowed("recovery"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed("Short bars are good on both sides. A hatched bar never came back within the run."),
        scene,
    }));

    let title = "Over time: what was lost, and how slow the rest was";
    figures.push(Figure {
        name: Cow::Borrowed("timeline"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed(
            "Look at how high the area rises when a fault begins, how soon it falls, and whether anything is left \
                  after the fault has ended: that is the policy, not the outage.",
        ),
        scene: timeline::draw(set, title),
    });

    let title = "E2E by percentile: from request to last token";
    figures.push(Figure {
        name: Cow::Borrowed("latency-e2e"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed(
            "Lower is better. Each step to the right is a rarer, slower request; a curve that turns up early has \
                  a tail that many people meet.",
        ),
        scene: latency::draw(set, Metric::E2e, title),
    });

    let title = "TTFT by percentile: from request to first token";
    figures.push(Figure {
        name: Cow::Borrowed("latency-ttft"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed(
            "Lower is better. Queueing, retries and fallback all happen before the first token, so what a policy \
                  costs in waiting shows here first.",
        ),
        scene: latency::draw(set, Metric::Ttft, title),
    });

    let title = "Requests that got no answer, by cause";
    figures.push(Figure {
        name: Cow::Borrowed("refusals"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed(
            "Short bars are good. Failures are an endpoint's error passed on; everything else is a decision of \
                  the policy.",
        ),
        scene: refusals::draw(set, title),
    });

    let title = "Endpoints: share of attempts and health";
    figures.push(Figure {
        name: Cow::Borrowed("endpoints"),
        title: Cow::Borrowed(title),
        caption: Cow::Borrowed(
            "During a fault the failing endpoint should shrink to probes and its strip turn black; after it, both \
                  should come back without swinging.",
        ),
        scene: endpoints::draw(set, title),
    });
    figures
}

/// The figures of a table as bars.
pub(crate) fn bars(table: &Table) -> Figure {
    Figure {
        name: Cow::Owned(format!("lineup-{}", table.key)),
        title: Cow::Owned(table.title.clone()),
        caption: Cow::Borrowed(
            "An arrow says which way is better; where the bars of a panel differ much their axis is logarithmic.",
        ),
        scene: bars::draw(table),
    }
}

/// A small picture over time of each algorithm.
pub(crate) fn panels(panels: &Panels) -> Figure {
    Figure {
        name: Cow::Owned(format!("lineup-{}", panels.key)),
        title: Cow::Owned(panels.title.clone()),
        caption: Cow::Owned(panels.caption.clone()),
        scene: panels::draw(panels),
    }
}

/// The distributions of the `at`-th section of a twin.
pub(crate) fn curves(at: usize, section: &Section) -> Figure {
    Figure {
        name: Cow::Owned(format!("twin-{at}")),
        title: Cow::Owned(section.title.clone()),
        caption: Cow::Borrowed(
            "Where the dashed line lies on the other, what was simulated is what happens; where it lies to the right, live is \
             slower.",
        ),
        scene: curves::draw(section),
    }
}

/// Every figure of [`all`] as SVG and PNG files.
///
/// # Errors
///
/// When the drawing library fails, which would be a bug.
pub fn files(figures: &[Figure]) -> Result<Vec<File>, WriteError> {
    let mut files = Vec::new();
    for figure in figures {
        files.push(File::new(format!("{}.svg", figure.name), figure.svg()?));
        files.push(File::new(format!("{}.png", figure.name), figure.png()?));
    }
    Ok(files)
}

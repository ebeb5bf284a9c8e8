//! A figure as a list of marks in pixels, before any drawing library sees it.
//!
//! Figures are pure functions to a scene; what a scene promises (no text over text, nothing off the paper) is tested on
//! the marks themselves.

use plotters::style::RGBColor;

use super::font;
use super::style::{Dash, FAINT, Hatch, INK, Look, PAPER, Shape};

/// A place in pixels; `x` to the right, `y` downwards.
pub(super) type Point = (f64, f64);

/// Sizes of text in pixels of an em.
pub(super) const TITLE: f64 = 16.0;
pub(super) const LABEL: f64 = 12.0;
pub(super) const TICK: f64 = 11.0;

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One thing to draw.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    Line {
        points: Vec<Point>,
        color: RGBColor,
        width: f64,
        dash: Dash,
    },
    Area {
        points: Vec<Point>,
        color: RGBColor,
    },
    Text {
        at: Point,
        text: String,
        size: f64,
        anchor: Anchor,
        color: RGBColor,
    },
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn new(left: f64, top: f64, right: f64, bottom: f64) -> Frame {
        Frame {
            left,
            top,
            right,
            bottom,
        }
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    #[cfg(test)]
    pub(super) fn overlaps(&self, other: &Frame) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

/// Marks on paper of a width and height in pixels, in the order in which they are drawn.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) marks: Vec<Mark>,
}

impl Scene {
    /// Paper with a title and, below it, what to know before reading the figure.
    pub(super) fn new(width: f64, height: f64, title: &str, note: &str) -> Scene {
        let mut scene = Scene {
            width,
            height,
            marks: Vec::new(),
        };
        scene.text((MARGIN, 24.0), title, TITLE, Anchor::Start, INK);
        scene.text(
            (MARGIN, 46.0),
            &font::fit(note, LABEL, width - 2.0 * MARGIN),
            LABEL,
            Anchor::Start,
            FAINT,
        );
        scene
    }

    pub(super) fn line(&mut self, points: Vec<Point>, color: RGBColor, width: f64, dash: Dash) {
        if points.len() > 1 {
            self.marks.push(Mark::Line {
                points,
                color,
                width,
                dash,
            });
        }
    }

    pub(super) fn area(&mut self, points: Vec<Point>, color: RGBColor) {
        if points.len() > 2 {
            self.marks.push(Mark::Area { points, color });
        }
    }

    pub(super) fn rect(&mut self, frame: Frame, color: RGBColor) {
        let Frame {
            left,
            top,
            right,
            bottom,
        } = frame;
        self.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], color);
    }

    /// A rectangle filled by a pattern, with an outline unless it is solid.
    pub(super) fn hatched(&mut self, frame: Frame, color: RGBColor, hatch: Hatch) {
        const STEP: f64 = 5.0;
        const PEN: f64 = 1.4;

        let Frame {
            left,
            top,
            right,
            bottom,
        } = frame;
        if hatch == Hatch::Solid {
            self.rect(frame, color);
            return;
        }
        if frame.width() < 2.0 * PEN {
            self.rect(frame, color);
            return;
        }

        let height = bottom - top;
        self.rect(frame, PAPER);
        let mut offset = match hatch {
            Hatch::Solid | Hatch::Upright => STEP,
            Hatch::Rising | Hatch::Falling => STEP - height,
        };
        while offset < frame.width() {
            // The stroke from the bottom (rising) or the top (falling) edge, cut where it leaves the sides.
            let (from, to) = match hatch {
                Hatch::Solid | Hatch::Upright => ((offset, height), (offset, 0.0)),
                Hatch::Rising | Hatch::Falling => {
                    let start = offset.max(0.0);
                    let end = (offset + height).min(frame.width());
                    ((start, height - (start - offset)), (end, height - (end - offset)))
                }
            };
            let place = |(x, y): Point| match hatch {
                Hatch::Falling => (left + x, bottom - y),
                Hatch::Solid | Hatch::Rising | Hatch::Upright => (left + x, top + y),
            };
            self.line(vec![place(from), place(to)], color, PEN, &[]);
            offset += STEP;
        }
        self.line(
            vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)],
            color,
            PEN,
            &[],
        );
    }

    pub(super) fn text(&mut self, at: Point, text: &str, size: f64, anchor: Anchor, color: RGBColor) {
        // Control characters cannot stand in XML, and have no picture.
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if !text.is_empty() {
            self.marks.push(Mark::Text {
                at,
                text,
                size,
                anchor,
                color,
            });
        }
    }

    /// A text on a patch of paper, for where it would stand on a grid line.
    pub(super) fn patch(&mut self, at: Point, text: &str, size: f64, color: RGBColor) {
        let width = font::width(text, size);
        let patch = Frame::new(at.0 - 3.0, at.1 - 0.6 * size, at.0 + width + 3.0, at.1 + 0.6 * size);
        self.rect(patch, PAPER);
        self.text(at, text, size, Anchor::Start, color);
    }

    pub(super) fn marker(&mut self, at: Point, look: Look) {
        const R: f64 = 4.2;

        let corners: &[Point] = match look.shape {
            Shape::Circle => {
                let round = (0..24).map(|i| {
                    let (sin, cos) = (f64::from(i) * std::f64::consts::TAU / 24.0).sin_cos();
                    (at.0 + R * cos, at.1 + R * sin)
                });
                self.spot(round.collect(), look);
                return;
            }
            Shape::Square => &[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
            Shape::Triangle => &[(0.0, -1.15), (1.1, 0.8), (-1.1, 0.8)],
            Shape::Diamond => &[(0.0, -1.25), (1.1, 0.0), (0.0, 1.25), (-1.1, 0.0)],
            Shape::Wedge => &[(0.0, 1.15), (1.1, -0.8), (-1.1, -0.8)],
            Shape::Cross => &[
                (-0.38, -1.1),
                (0.38, -1.1),
                (0.38, -0.38),
                (1.1, -0.38),
                (1.1, 0.38),
                (0.38, 0.38),
                (0.38, 1.1),
                (-0.38, 1.1),
                (-0.38, 0.38),
                (-1.1, 0.38),
                (-1.1, -0.38),
                (-0.38, -0.38),
            ],
        };
        self.spot(
            corners.iter().map(|(x, y)| (at.0 + R * x, at.1 + R * y)).collect(),
            look,
        );
    }

    fn spot(&mut self, outline: Vec<Point>, look: Look) {
        let mut closed = outline.clone();
        closed.extend(outline.first());
        self.area(outline, if look.is_hollow { PAPER } else { look.color });
        self.line(closed, look.color, 1.4, &[]);
    }

    /// A word in the middle of a frame in which nothing can be drawn.
    pub(super) fn no_data(&mut self, frame: Frame, why: &str) {
        let at = (frame.left.midpoint(frame.right), frame.top.midpoint(frame.bottom));
        self.text(at, &font::fit(why, LABEL, frame.width()), LABEL, Anchor::Middle, FAINT);
    }

    /// The boxes of all texts.
    #[cfg(test)]
    pub(super) fn text_boxes(&self) -> Vec<(Frame, &str)> {
        let boxed = |mark| match mark {
            &Mark::Text {
                at: (x, y),
                ref text,
                size,
                anchor,
                ..
            } => {
                let width = font::width(text, size);
                let left = match anchor {
                    Anchor::Start => x,
                    Anchor::Middle => x - width / 2.0,
                    Anchor::End => x - width,
                };
                let half = 0.5 * size;
                Some((Frame::new(left, y - half, left + width, y + half), text.as_str()))
            }
            Mark::Line { .. } | Mark::Area { .. } => None,
        };
        self.marks.iter().filter_map(boxed).collect()
    }
}

/// The blank edge of every figure.
pub(super) const MARGIN: f64 = 20.0;

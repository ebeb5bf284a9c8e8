//! A scene as SVG text and as PNG bytes, by plotters.

use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Color, DrawingArea, DrawingBackend, IntoDrawingArea, PathElement, Polygon, RGBColor, SVGBackend,
    ShapeStyle,
};
use plotters::style::IntoTextStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::font;
use super::scene::{Anchor, Mark, Point, Scene};
use super::style::PAPER;

/// What went wrong in the drawing library.
type Cause = String;

/// The scene as an SVG document whose accessible name is `title`.
pub(super) fn svg(scene: &Scene, title: &str) -> Result<String, Cause> {
    // plotters knows whole pixels only: draw ten times as large and let the view box shrink it.
    const FINE: f64 = 10.0;

    let mut body = String::new();
    let size = (pixels(scene.width * FINE), pixels(scene.height * FINE));
    {
        let root = SVGBackend::with_string(&mut body, size).into_drawing_area();
        let to = Target {
            root: &root,
            scale: FINE,
            font: SVG_FONT,
            drop: 0.0,
        };
        draw(scene, &to).map_err(|error| error.to_string())?;
    }
    let (_, marks) = body.split_once('>').ok_or("an SVG begins with a tag")?;
    let (width, height) = (scene.width, scene.height);
    let title = crate::page::escape(title);
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
         role=\"img\">\n<title>{title}</title>{marks}",
        size.0, size.1
    ))
}

/// The scene as a PNG, twice as many pixels as the scene has.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, Cause> {
    // Drawn at twice the resolution that is kept, because plotters smooths some edges only.
    const KEPT: f64 = 2.0;
    const OVER: u32 = 2;

    let (width, height) = (pixels(scene.width * KEPT), pixels(scene.height * KEPT));
    let mut fine = vec![255; (width * OVER * height * OVER * 3) as usize];
    {
        let backend = BitMapBackend::with_buffer(&mut fine, (width * OVER, height * OVER));
        let root = backend.into_drawing_area();
        let to = Target {
            root: &root,
            scale: KEPT * f64::from(OVER),
            font: font::LINE,
            drop: BITMAP_DROP,
        };
        draw(scene, &to).map_err(|error| error.to_string())?;
    }

    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_pixel_dims(None);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer
        .write_image_data(&halved(&fine, width as usize, height as usize))
        .map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Averages each block of two by two RGB pixels.
fn halved(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let stride = width * 2 * 3;
    let mut kept = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let (upper, lower) = fine[2 * y * stride..2 * (y + 1) * stride].split_at(stride);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for c in 0..3 {
                let sum = u16::from(a[c]) + u16::from(a[c + 3]) + u16::from(b[c]) + u16::from(b[c + 3]);
                kept.push(u8::try_from((sum + 2) / 4).expect("the mean of bytes is a byte"));
            }
        }
    }
    kept
}

/// The SVG backend divides font sizes by this.
const SVG_FONT: f64 = 1.24;
/// How far, in ems, the bitmap backend sets text above where the SVG backend does.
const BITMAP_DROP: f64 = 0.16;

/// Where a scene is drawn, and how its pixels become those of the backend.
struct Target<'a, DB: DrawingBackend> {
    root: &'a DrawingArea<DB, Shift>,
    scale: f64,
    font: f64,
    drop: f64,
}

type DrawError<DB> = plotters::drawing::DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>;

fn draw<DB: DrawingBackend>(scene: &Scene, to: &Target<'_, DB>) -> Result<(), DrawError<DB>> {
    to.root.fill(&PAPER)?;
    for mark in &scene.marks {
        match mark {
            Mark::Line {
                points,
                color,
                width,
                dash,
            } => {
                let style = to.stroke(*color, *width);
                for piece in dashed(points, dash) {
                    to.root.draw(&PathElement::new(to.points(&piece), style))?;
                }
            }
            Mark::Area { points, color } => {
                to.root.draw(&Polygon::new(to.points(points), color.filled()))?;
            }
            Mark::Text {
                at: (x, y),
                text,
                size,
                anchor,
                color,
            } => {
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let style = (font::family(), size * to.scale * to.font)
                    .into_text_style(to.root)
                    .color(color)
                    .pos(Pos::new(horizontal, VPos::Center));
                let at = to.point((*x, y + to.drop * size));
                to.root.draw_text(text, &style, at)?;
            }
        }
    }
    to.root.present()
}

impl<DB: DrawingBackend> Target<'_, DB> {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, far off the paper")]
    fn point(&self, (x, y): Point) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn points(&self, points: &[Point]) -> Vec<(i32, i32)> {
        let mut placed: Vec<(i32, i32)> = points.iter().map(|point| self.point(*point)).collect();
        placed.dedup();
        placed
    }

    fn stroke(&self, color: RGBColor, width: f64) -> ShapeStyle {
        color.stroke_width(pixels(width * self.scale).max(1))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and no size is negative"
)]
fn pixels(length: f64) -> u32 {
    length.round() as u32
}

/// The pieces of a line that a dash pattern leaves.
fn dashed(points: &[Point], dash: &[f64]) -> Vec<Vec<Point>> {
    if dash.is_empty() {
        return vec![points.to_vec()];
    }

    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let mut at = 0;
    let mut left = dash[0];
    for pair in points.windows(2) {
        let ((mut x, mut y), (to_x, to_y)) = (pair[0], pair[1]);
        let mut length = (to_x - x).hypot(to_y - y);
        while left < length {
            let share = left / length;
            (x, y) = (x + share * (to_x - x), y + share * (to_y - y));
            length -= left;
            if at % 2 == 0 {
                piece.push((x, y));
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![(x, y)];
            }
            at += 1;
            left = dash[at % dash.len()];
        }
        left -= length;
        if at % 2 == 0 {
            piece.push((to_x, to_y));
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_turn_corners_and_cover_their_share() {
        let pieces = dashed(&[(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)], &[6.0, 2.0]);
        assert_eq!(
            pieces,
            [
                vec![(0.0, 0.0), (6.0, 0.0)],
                vec![(8.0, 0.0), (10.0, 0.0), (10.0, 4.0)],
                vec![(10.0, 6.0), (10.0, 10.0)],
            ]
        );
    }

    #[test]
    fn halving_takes_the_mean() {
        let fine = [0, 0, 0, 4, 8, 255, 0, 0, 0, 4, 8, 255];
        assert_eq!(halved(&fine, 1, 1), [2, 4, 128]);
    }
}

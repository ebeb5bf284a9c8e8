//! The font the figures bring along, and how wide text is in it.

use std::sync::OnceLock;

use plotters::style::{FontFamily, FontStyle, IntoFont, register_font};

/// What an SVG asks for: the font that text was measured in, then common ones that are as wide or narrower.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// The height of a line in ems, as the font file states it (ascent plus descent).
pub(super) const LINE: f64 = 1.164;

/// The font at a size that the drawing library understands.
pub(super) fn family() -> FontFamily<'static> {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let known = register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular());
        assert!(known.is_ok(), "the embedded font is a font");
    });
    FontFamily::Name(FAMILY)
}

/// The width in pixels of `text` at `size` pixels an em.
pub(super) fn width(text: &str, size: f64) -> f64 {
    const FINE: f64 = 1000.0;

    let measured = (family(), FINE * LINE).into_font().box_size(text);
    let (width, _) = measured.expect("the embedded font is registered");
    f64::from(width) * size / FINE
}

/// `text`, cut and ended by an ellipsis if it is wider than `room` pixels at `size` pixels an em.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    while let Some(end) = ends.pop() {
        let short = format!("{}…", text[..end].trim_end());
        if width(&short, size) <= room {
            return short;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // DejaVu Sans: "M" is 0.863 em, a digit 0.636 em wide.
        assert!((width("M", 100.0) - 86.3).abs() < 0.5, "{}", width("M", 100.0));
        assert!((width("0000", 10.0) - 25.4).abs() < 0.2);
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(fit("short", 12.0, 100.0), "short");
        let cut = fit("a strategy with a very long name", 12.0, 100.0);
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(fit("x", 12.0, 1.0), "");
    }
}

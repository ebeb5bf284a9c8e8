//! How things are told apart: lightness first, then dashes and shapes, so that a print in grey still reads.

use plotters::style::RGBColor;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(26, 28, 33);
/// Units, ticks, second-rank text.
pub(super) const FAINT: RGBColor = RGBColor(92, 97, 107);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(226, 228, 232);
/// The ground of everything.
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Fault windows.
pub(super) const SHADE: RGBColor = RGBColor(237, 232, 222);
/// The edges of fault windows.
pub(super) const SHADE_EDGE: RGBColor = RGBColor(186, 172, 143);

/// From dark to light in even steps; hues that stay apart for the colour-blind.
const PALETTE: [RGBColor; 6] = [
    RGBColor(24, 32, 74),
    RGBColor(150, 30, 62),
    RGBColor(14, 116, 104),
    RGBColor(70, 128, 214),
    RGBColor(226, 132, 28),
    RGBColor(206, 142, 190),
];

/// On and off lengths of a dashed line in pixels; empty is solid.
pub(super) type Dash = &'static [f64];

const DASHES: [Dash; 4] = [&[], &[9.0, 4.0], &[2.5, 3.0], &[12.0, 4.0, 2.5, 4.0]];

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Wedge,
    Cross,
}

const SHAPES: [Shape; 6] = [
    Shape::Circle,
    Shape::Square,
    Shape::Triangle,
    Shape::Diamond,
    Shape::Wedge,
    Shape::Cross,
];

/// How an area is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hatch {
    Solid,
    Rising,
    Falling,
    Upright,
}

const HATCHES: [Hatch; 4] = [Hatch::Solid, Hatch::Rising, Hatch::Falling, Hatch::Upright];

/// The look of the `i`-th of several things; no two of the first twelve are alike in colour and dash, in marker
/// and fill, or in colour and hatch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) dash: Dash,
    pub(super) shape: Shape,
    pub(super) is_hollow: bool,
    pub(super) hatch: Hatch,
}

/// The look of the `i`-th of several things.
pub(super) fn look(i: usize) -> Look {
    let round = i / PALETTE.len();
    Look {
        color: PALETTE[i % PALETTE.len()],
        dash: DASHES[(i + round) % DASHES.len()],
        shape: SHAPES[i % SHAPES.len()],
        is_hollow: round % 2 == 1,
        hatch: HATCHES[(i + round) % HATCHES.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE lightness, 0 to 100.
    fn lightness(RGBColor(r, g, b): RGBColor) -> f64 {
        let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
        116.0 * (0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)).cbrt() - 16.0
    }

    #[test]
    fn the_palette_is_told_apart_in_grey() {
        for pair in PALETTE.windows(2) {
            let step = lightness(pair[1]) - lightness(pair[0]);
            assert!(step > 6.0, "{pair:?} are {step} apart");
        }
        assert!(lightness(PALETTE[5]) < 70.0, "too light on white");
    }

    #[test]
    fn no_two_of_twelve_look_alike() {
        for i in 0..12 {
            for j in 0..i {
                let (a, b) = (look(i), look(j));
                assert!(a.color != b.color || a.dash != b.dash, "{i} and {j} as lines");
                assert!(
                    a.shape != b.shape || a.is_hollow != b.is_hollow,
                    "{i} and {j} as markers"
                );
                assert!(a.color != b.color || a.hatch != b.hatch, "{i} and {j} as areas");
            }
        }
    }
}

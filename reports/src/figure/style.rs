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
    RGBColor(58, 118, 206),
    RGBColor(220, 122, 22),
    RGBColor(216, 156, 202),
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

/// How a line and its markers look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) dash: Dash,
    pub(super) shape: Shape,
    pub(super) is_hollow: bool,
}

/// The look of the `i`-th of several lines; of the first twelve no two are alike in colour and dash, or in marker.
pub(super) fn look(i: usize) -> Look {
    let round = i / PALETTE.len();
    Look {
        color: PALETTE[i % PALETTE.len()],
        dash: DASHES[(i + round) % DASHES.len()],
        shape: SHAPES[i % SHAPES.len()],
        is_hollow: round % 2 == 1,
    }
}

/// How an area looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) color: RGBColor,
    pub(super) hatch: Hatch,
}

/// The fill of the `i`-th of several areas, of which any two may touch: of the first twelve, those hatched alike
/// are far apart in lightness.
pub(super) fn fill(i: usize) -> Fill {
    const DARK_LIGHT_MIDDLE: [[usize; 2]; 3] = [[1, 0], [4, 5], [2, 3]];

    let n = HATCHES.len();
    Fill {
        color: PALETTE[DARK_LIGHT_MIDDLE[i / n % 3][i % 2]],
        hatch: HATCHES[i % n],
    }
}

/// The fill of the `i`-th of a few stacked areas without hatching; neighbours differ the most.
pub(super) fn layer(i: usize) -> Fill {
    const DARK_AND_LIGHT: [usize; 6] = [0, 4, 2, 5, 1, 3];

    solid(PALETTE[DARK_AND_LIGHT[i % DARK_AND_LIGHT.len()]])
}

/// Requests that failed.
pub(super) fn failed() -> Fill {
    solid(PALETTE[1])
}

/// Requests whose client went away.
pub(super) fn abandoned() -> Fill {
    solid(PALETTE[0])
}

/// Requests that the gateway refused.
pub(super) fn refused() -> Fill {
    solid(PALETTE[4])
}

/// A single quantity that needs no telling apart.
pub(super) fn single() -> Fill {
    solid(PALETTE[2])
}

/// A colour without hatching.
pub(super) fn solid(color: RGBColor) -> Fill {
    Fill {
        color,
        hatch: Hatch::Solid,
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
        assert!(lightness(PALETTE[5]) < 73.0, "too light on white");
    }

    #[test]
    fn layers_that_touch_are_told_apart_in_grey() {
        for i in 1..6 {
            let apart = (lightness(layer(i).color) - lightness(layer(i - 1).color)).abs();
            assert!(apart > 15.0, "{i}: {apart}");
        }
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
                let (a, b) = (fill(i), fill(j));
                let apart = (lightness(a.color) - lightness(b.color)).abs();
                assert!(a.hatch != b.hatch || apart > 8.0, "{i} and {j} as areas: {apart}");
            }
        }
    }
}

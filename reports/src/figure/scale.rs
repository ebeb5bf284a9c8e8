//! From numbers to pixels, and numbers as people read them.

/// How a range of numbers is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Linear,
    Log,
}

/// A range of numbers and the pixels it covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    /// Pixels at `low` and at `high`.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Scale {
    /// Exactly from `low` to `high`.
    pub(super) fn exact(low: f64, high: f64, (from, to): (f64, f64)) -> Scale {
        Scale {
            kind: Kind::Linear,
            low,
            high: if high > low { high } else { low + 1.0 },
            from,
            to,
        }
    }

    /// From zero to the next round step at or above the largest of `values`; three ticks meet both ends.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, (from, to): (f64, f64)) -> Scale {
        let top = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let step = if top > 0.0 { round_up(top / 3.0) } else { 0.5 };
        let high = tidy((top / step - 1e-9).ceil().max(2.0) * step);
        Scale {
            kind: Kind::Linear,
            low: 0.0,
            high,
            from,
            to,
        }
    }

    /// Logarithmic between round numbers if `values` span more than a factor of ten, else from zero.
    ///
    /// What is zero or negative has no place on a logarithmic axis and is drawn on its lower edge.
    pub(super) fn fitting(values: impl Iterator<Item = f64> + Clone, pixels: (f64, f64)) -> Scale {
        const WIDE: f64 = 10.0;
        /// A single microsecond must not squeeze the seconds that matter.
        const WIDEST: f64 = 1e6;

        let positive = || values.clone().filter(|value| value.is_finite() && *value > 0.0);
        let low = positive().fold(f64::INFINITY, f64::min);
        let high = positive().fold(0.0, f64::max);
        if !low.is_finite() || high / low < WIDE {
            return Scale::from_zero(values, pixels);
        }
        let high = round_up(high);
        let low = round_down(low.max(high / WIDEST));
        Scale {
            kind: Kind::Log,
            low,
            high,
            from: pixels.0,
            to: pixels.1,
        }
    }

    /// The pixel of a number; what lies outside is drawn on the edge.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log if value <= self.low => 0.0,
            Kind::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    pub(super) fn is_log(&self) -> bool {
        self.kind == Kind::Log
    }

    /// Round numbers in the range, about as many as `wanted`.
    pub(super) fn ticks(&self, wanted: u32) -> Vec<f64> {
        match self.kind {
            Kind::Linear => {
                let step = round_up((self.high - self.low) / f64::from(wanted));
                multiples(step, self.low, self.high)
            }
            Kind::Log => {
                let decades = (self.high / self.low).log10();
                let steps: &[f64] = if decades <= 1.2 {
                    &[1.0, 2.0, 5.0]
                } else if decades * 2.0 <= f64::from(wanted) {
                    &[1.0, 3.0]
                } else {
                    &[1.0]
                };
                let every = (decades / f64::from(wanted)).ceil().max(1.0);
                let mut ticks = Vec::new();
                let mut exponent = self.low.log10().floor();
                while exponent <= self.high.log10() {
                    ticks.extend(steps.iter().map(|step| tidy(step * 10_f64.powf(exponent))));
                    exponent += every;
                }
                let inside = |tick: &f64| (self.low * 0.999..=self.high * 1.001).contains(tick);
                ticks.into_iter().filter(inside).collect()
            }
        }
    }
}

fn multiples(step: f64, low: f64, high: f64) -> Vec<f64> {
    const MOST: usize = 100;

    let mut ticks = Vec::new();
    let mut n = (low / step - 1e-9).ceil();
    while n * step <= high * (1.0 + 1e-9) && ticks.len() < MOST {
        // Adding zero turns a negative zero into zero.
        ticks.push(tidy(n * step) + 0.0);
        n += 1.0;
    }
    ticks
}

/// Ticks of a time axis in seconds, and their labels in the largest fitting unit.
pub(super) fn time_ticks(low: f64, high: f64, wanted: u32) -> Vec<(f64, String)> {
    const STEPS: [f64; 14] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0,
    ];
    const DAY: f64 = 86_400.0;

    let rough = (high - low) / f64::from(wanted);
    let step = STEPS
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or_else(|| if rough <= DAY { DAY } else { DAY * round_up(rough / DAY) });
    let step = if rough < 0.5 { round_up(rough) } else { step };
    let (unit, per) = match step {
        step if step >= DAY => ("d", DAY),
        step if step >= 3_600.0 => ("h", 3_600.0),
        step if step >= 60.0 => ("min", 60.0),
        _ => ("s", 1.0),
    };
    let label = |tick: f64| format!("{} {unit}", plain(tick / per));
    multiples(step, low, high)
        .into_iter()
        .map(|tick| (tick, label(tick)))
        .collect()
}

/// The least of 1, 2, 5 times a power of ten that is at least `value` (which is positive).
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|step| step * power >= value * (1.0 - 1e-9));
    tidy(step.unwrap_or(10.0) * power)
}

/// The largest of 1, 2, 5 times a power of ten that is at most `value` (which is positive).
fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let step = [5.0, 2.0, 1.0]
        .into_iter()
        .find(|step| step * power <= value * (1.0 + 1e-9));
    tidy(step.unwrap_or(1.0) * power)
}

/// Without the last bits that multiplication leaves behind.
fn tidy(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

/// A number to three digits, as short as it reads: `0.25`, `1.5`, `1,200`, `3.2M`.
pub(crate) fn plain(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size >= 1e15 {
        return format!("{value:.2e}");
    }
    for (from, unit) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if size >= from * 0.9995 {
            return format!("{}{unit}", digits(value / from));
        }
    }
    if size >= 999.5 { grouped(value) } else { digits(value) }
}

/// Seconds in the unit in which they read best, to three digits.
pub(crate) fn seconds(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{} s", plain(value));
    }
    match size {
        size if size < 0.999_5e-6 => format!("{} ns", digits(value * 1e9)),
        size if size < 0.999_5e-3 => format!("{} µs", digits(value * 1e6)),
        size if size < 0.999_5 => format!("{} ms", digits(value * 1e3)),
        _ => format!("{} s", plain(value)),
    }
}

/// A share, 0 to 1, as a percentage that never rounds to 0 or 100 what is not.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share > 0.0 && percent < 0.01 {
        return "<0.01 %".to_owned();
    }
    if share < 1.0 && percent > 99.99 {
        return ">99.99 %".to_owned();
    }
    let places = if !(1.0..=99.0).contains(&percent) && percent > 0.0 && share < 1.0 {
        2
    } else {
        1
    };
    format!("{} %", trimmed(&format!("{percent:.places$}")))
}

/// At most three significant digits, without trailing zeros.
fn digits(value: f64) -> String {
    let places: usize = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.099_95 => 3,
        size if size >= 0.009_995 => 4,
        0.0 => 0,
        _ => return trimmed_exponent(value),
    };
    trimmed(&format!("{value:.places$}")).to_owned()
}

fn trimmed_exponent(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trimmed(mantissa)),
        None => text,
    }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A whole number with a comma before every three digits.
fn grouped(value: f64) -> String {
    let plain = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in plain.chars().enumerate() {
        if i > 0 && (plain.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let read = [
            0.0,
            0.25,
            1.0,
            1.666,
            99.96,
            999.6,
            1_234.6,
            999_999.0,
            3_210_000.0,
            0.001_234,
            1e18,
        ]
        .map(plain);
        assert_eq!(
            read,
            [
                "0", "0.25", "1", "1.67", "100", "1,000", "1,235", "1M", "3.21M", "1.23e-3", "1.00e18"
            ]
        );
        let read = [0.0, 2.5e-7, 0.000_25, 0.0125, 0.9996, 1.5, 4_000.0].map(seconds);
        assert_eq!(read, ["0 s", "250 ns", "250 µs", "12.5 ms", "1 s", "1.5 s", "4,000 s"]);
        let read = [0.0, 0.000_01, 0.004_2, 0.5, 0.973, 0.999_5, 0.999_99, 1.0].map(percent);
        assert_eq!(
            read,
            [
                "0 %", "<0.01 %", "0.42 %", "50 %", "97.3 %", "99.95 %", ">99.99 %", "100 %"
            ]
        );
    }

    #[test]
    fn a_wide_range_is_logarithmic_and_zero_lies_on_its_edge() {
        let scale = Scale::fitting([0.0, 0.3, 45.0].into_iter(), (100.0, 0.0));
        assert!(scale.is_log());
        assert_eq!((scale.at(0.0), scale.at(1e9)), (100.0, 0.0));
        assert_eq!(scale.ticks(6), [0.3, 1.0, 3.0, 10.0, 30.0]);
    }

    #[test]
    fn a_narrow_range_begins_at_zero() {
        let scale = Scale::fitting([3.0, 7.0].into_iter(), (0.0, 100.0));
        assert_eq!((scale.at(0.0), scale.at(10.0)), (0.0, 100.0));
        assert_eq!(scale.ticks(5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }

    #[test]
    fn nothing_at_all_still_has_an_axis() {
        let scale = Scale::fitting(std::iter::empty(), (0.0, 100.0));
        assert_eq!(scale.ticks(2), [0.0, 0.5, 1.0]);
        assert!(
            Scale::fitting([f64::NAN, f64::INFINITY].into_iter(), (0.0, 1.0))
                .at(0.5)
                .is_finite()
        );
    }

    #[test]
    fn time_is_told_in_the_largest_unit_that_fits() {
        let labels: Vec<String> = time_ticks(0.0, 600.0, 6).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]);
        let labels: Vec<String> = time_ticks(0.0, 30.0, 4).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0 s", "10 s", "20 s", "30 s"]);
        assert!(time_ticks(0.0, 1e7, 6).len() < 12);
    }
}

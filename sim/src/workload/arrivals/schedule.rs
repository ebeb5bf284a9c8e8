//! A rate that changes at stated times, by inversion of its integral.

use tollgate_core::dice::Rng;
use tollgate_core::math::sqrt;
use tollgate_core::time::{Instant, Nanos};

use super::Noise;
use super::clock::Clock;
use super::renewal::exponential;

#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pieces: Vec<Piece>,
    current: usize,
    noise: Noise,
    clock: Clock,
}

/// A stretch of constant or linear rate.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    /// Seconds; infinite for the last.
    length: f64,
    rate: f64,
    /// Change of the rate per second.
    slope: f64,
    /// Calls expected before it.
    before: f64,
    /// Calls expected in it.
    calls: f64,
}

impl Schedule {
    pub(crate) fn new(steps: &[(Nanos, f64)], ramp: bool, noise: Noise) -> Schedule {
        let mut before = 0.0;
        let mut pieces = Vec::with_capacity(steps.len());
        for (index, (at, rate)) in steps.iter().enumerate() {
            let piece = match steps.get(index + 1) {
                Some((end, next)) => {
                    let length = Nanos::from_nanos(end.as_nanos() - at.as_nanos()).as_secs_f64();
                    let slope = if ramp { (next - rate) / length } else { 0.0 };
                    let calls = if ramp {
                        length * (rate + next) / 2.0
                    } else {
                        length * rate
                    };
                    Piece {
                        start: at.as_nanos(),
                        length,
                        rate: *rate,
                        slope,
                        before,
                        calls,
                    }
                }
                None => Piece {
                    start: at.as_nanos(),
                    length: f64::INFINITY,
                    rate: *rate,
                    slope: 0.0,
                    before,
                    calls: if *rate == 0.0 { 0.0 } else { f64::INFINITY },
                },
            };
            before += piece.calls;
            pieces.push(piece);
        }
        Schedule {
            pieces,
            current: 0,
            noise,
            clock: Clock::default(),
        }
    }

    pub(crate) fn next(&mut self, number: u64, rng: &mut Rng) -> Option<Instant> {
        match self.noise {
            Noise::Poisson => self.after(exponential(rng)),
            Noise::None => self.at(number),
        }
    }

    /// The instant by which `calls` more are expected than now.
    fn after(&mut self, mut calls: f64) -> Option<Instant> {
        loop {
            let piece = *self.pieces.get(self.current)?;
            let passed = self.clock.secs_since(piece.start);
            let rate = piece.rate + piece.slope * passed;
            let left = piece.length - passed;
            let possible = if left.is_infinite() {
                piece.calls
            } else {
                left * (rate + piece.slope * left / 2.0)
            };
            if calls < possible {
                return self.clock.advance(invert(calls, rate, piece.slope).min(left));
            }
            calls -= possible.max(0.0);
            self.current += 1;
            self.clock.set(self.pieces.get(self.current)?.start);
        }
    }

    /// The instant by which `number` are expected since the beginning: no sum, so nothing adds up.
    fn at(&mut self, number: u64) -> Option<Instant> {
        let number = count(number);
        loop {
            let piece = *self.pieces.get(self.current)?;
            let calls = number - piece.before;
            if calls < piece.calls {
                let offset = invert(calls, piece.rate, piece.slope).min(piece.length);
                let at = Instant::from_nanos(piece.start) + Nanos::from_secs_f64(offset);
                return (!at.is_far()).then_some(at);
            }
            self.current += 1;
        }
    }
}

/// After how many seconds `calls` are expected if the rate starts at `rate` and changes by `slope` a second.
fn invert(calls: f64, rate: f64, slope: f64) -> f64 {
    if calls == 0.0 {
        return 0.0;
    }
    2.0 * calls / (rate + sqrt((rate * rate + 2.0 * slope * calls).max(0.0)))
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53 arrivals")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

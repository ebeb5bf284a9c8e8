//! From a table of rates to calls.
//!
//! `ServeGen` (Xiang et al., arXiv 2505.09999) publishes no requests but, for each client and window of ten minutes, a rate and
//! the shape of the gaps. Each client becomes a renewal process in operational time: gaps of mean 1 in the shape of
//! the window, divided by its rate, what is left of a gap at the end of a window carried over into the next. So each window keeps its
//! rate however bursty it is, which fresh starts would not. A client's first gap is that of a process that has always run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::path::Path;

use tollgate_core::dice::{Dice, Purpose, Rng};
use tollgate_core::math::pow;
use tollgate_mock_llm::draw::Distribution;

use super::layout::require;
use super::number::float;
use super::packed::MAX_TENANTS;
use super::source::{Dictionary, Raw, of_csv};
use super::{TraceCause, TraceError, TraceRow};
use crate::workload::arrivals::count;

/// The calls of every client, merged by time.
#[derive(Debug)]
pub(crate) struct Expansion {
    clients: Vec<Client>,
    /// The next call of each client that has one.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    window: f64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Client {
    windows: Vec<Window>,
    current: usize,
    /// Seconds since the current window began.
    offset: f64,
    /// Operational time to the next call.
    left: f64,
    calls: u64,
    line: u64,
}

#[derive(Debug)]
struct Window {
    start: i64,
    rate: f64,
    gaps: Gaps,
    line: u64,
}

/// Gaps in one of three shapes; the mean is `mean`.
#[derive(Debug)]
struct Gaps {
    shape: Shape,
    law: Distribution,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Exponential,
    Gamma(f64),
    Weibull(f64),
}

/// The window of the published tables, where a file has a single one.
const WINDOW: f64 = 600.0;
const MAX_TABLE: u64 = 10_000_000;

impl Expansion {
    pub(crate) fn read(
        file: &Path,
        header: &[String],
        mut csv: csv::Reader<File>,
        names: &mut Dictionary,
    ) -> Result<Expansion, TraceError> {
        let [client, start, rate, pattern, shape] =
            ["client", "timestamp", "rate", "pattern", "shape"].map(|name| require(file, header, name));
        let (client, start, rate, pattern, shape) = (client?, start?, rate?, pattern?, shape?);
        let mut clients: Vec<Client> = Vec::new();
        let mut starts = Vec::new();
        let mut record = csv::ByteRecord::new();
        let mut rows = 0;
        while csv.read_byte_record(&mut record).map_err(|error| of_csv(file, error))? {
            let line = record.position().map_or(0, csv::Position::line);
            rows += 1;
            if MAX_TABLE < rows {
                let cause = TraceCause::TooMany {
                    what: "rows of rates",
                    most: MAX_TABLE,
                };
                return Err(TraceError::at_line(file, line, cause));
            }
            let text = |field: usize| record.get(field).unwrap_or_default();
            let bad = |field: usize, cause| TraceError::in_column(file, line, &header[field], text(field), cause);
            let number = |field: usize, least: f64, most: f64| match float(text(field)) {
                Ok(value) if value < least || most < value => Err(bad(field, TraceCause::OutOfRange { least, most })),
                Ok(value) => Ok(value),
                Err(cause) => Err(bad(field, cause)),
            };
            let start = nanos(number(start, 0.0, 1e9)?);
            let calls_per_sec = number(rate, 0.0, 1e6)?;
            let gaps = match text(pattern).trim_ascii() {
                b"" | b"Exponential" => Gaps::exponential(),
                b"Gamma" => Gaps::gamma(number(shape, 1e-3, 1e5)?),
                b"Weibull" => Gaps::weibull(number(shape, 0.06, 2e3)?),
                _ => return Err(bad(pattern, TraceCause::NotAPattern)),
            };
            let number = names
                .tenants
                .number(text(client), MAX_TENANTS)
                .map_err(|_| bad(client, TraceCause::NotUtf8))?;
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            if clients.len() <= number {
                clients.resize_with(number + 1, Client::default);
            }
            starts.push(start);
            if 0.0 < calls_per_sec {
                clients[number].windows.push(Window {
                    start,
                    rate: calls_per_sec,
                    gaps,
                    line,
                });
            }
        }
        let bytes = csv.position().byte();
        let window = window_length(starts);
        let mut expansion = Expansion {
            clients,
            next: BinaryHeap::new(),
            window,
            bytes,
        };
        for number in 0..expansion.clients.len() {
            let client = &mut expansion.clients[number];
            client.windows.sort_by_key(|window| window.start);
            if let Some(first) = client.windows.first() {
                client.left = first
                    .gaps
                    .residual(&mut dice(number).request(0).roll(Purpose::Trace, 1));
            }
            expansion.schedule(number);
        }
        Ok(expansion)
    }

    pub(crate) fn next(&mut self) -> Option<Raw> {
        let Reverse((at, number)) = self.next.pop()?;
        let line = self.clients[number].line;
        self.schedule(number);
        let row = TraceRow {
            tenant: u32::try_from(number).ok(),
            ..TraceRow::default()
        };
        Some(Raw { at, line, row })
    }

    /// A table is read whole before the first call.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn schedule(&mut self, number: usize) {
        if let Some(at) = self.clients[number].advance(number, self.window) {
            self.next.push(Reverse((at, number)));
        }
    }
}

impl Client {
    /// Moves to the next call: when it is, or none if the last window is over.
    fn advance(&mut self, number: usize, length: f64) -> Option<i64> {
        loop {
            let window = self.windows.get(self.current)?;
            let wait = self.left / window.rate;
            if self.offset + wait < length {
                self.offset += wait;
                self.line = window.line;
                let mut rng = dice(number).request(self.calls).roll(Purpose::Trace, 0);
                self.calls += 1;
                self.left = window.gaps.sample(&mut rng);
                return Some(window.start.saturating_add(nanos(self.offset)));
            }
            self.left = (self.left - (length - self.offset) * window.rate).max(0.0);
            self.offset = 0.0;
            self.current += 1;
        }
    }
}

impl Gaps {
    fn exponential() -> Gaps {
        let law = Distribution::exponential(1.0).expect("1 is positive");
        Gaps {
            shape: Shape::Exponential,
            law,
        }
    }

    fn gamma(shape: f64) -> Gaps {
        let law = Distribution::gamma(1.0, pow(shape, -0.5)).expect("the reader bounds shapes");
        Gaps {
            shape: Shape::Gamma(shape),
            law,
        }
    }

    fn weibull(shape: f64) -> Gaps {
        let law = Distribution::weibull_shape_scale(shape, 1.0).expect("the reader bounds shapes");
        Gaps {
            shape: Shape::Weibull(shape),
            law,
        }
    }

    fn sample(&self, rng: &mut Rng) -> f64 {
        self.law.sample(rng) / self.law.mean()
    }

    /// What is left of a gap that someone falls into: a uniform share of a gap drawn by its length.
    fn residual(&self, rng: &mut Rng) -> f64 {
        let share = rng.uniform();
        match self.shape {
            // The exponential has no memory.
            Shape::Exponential => self.sample(rng),
            Shape::Gamma(k) => share * gamma(k + 1.0, rng) / k,
            Shape::Weibull(k) => share * pow(gamma(1.0 + 1.0 / k, rng), 1.0 / k) / self.law.mean(),
        }
    }
}

/// A gamma draw of scale 1 and a shape of more than 1.
fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    Distribution::gamma(shape, pow(shape, -0.5))
        .expect("shapes are bounded")
        .sample(rng)
}

/// The shortest distance of two windows.
fn window_length(mut starts: Vec<i64>) -> f64 {
    starts.sort_unstable();
    starts.dedup();
    let shortest = starts.windows(2).map(|pair| pair[1] - pair[0]).min();
    shortest.map_or(WINDOW, |nanos| count(nanos.unsigned_abs()) / 1e9)
}

fn dice(client: usize) -> Dice {
    Dice::new(0).branch(u64::try_from(client).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "float casts saturate")]
fn nanos(secs: f64) -> i64 {
    (secs * 1e9 + 0.5) as i64
}

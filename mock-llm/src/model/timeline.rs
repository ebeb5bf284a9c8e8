//! The faults of a backend, laid out in time: what is wrong in each stretch between two boundaries.

use tollgate_core::dice::{Purpose, RequestDice, Rng};
use tollgate_core::lifecycle::{ErrorCode, Status};
use tollgate_core::time::{Instant, Nanos};

use super::fault::{FaultKind, FaultSpec};
use super::reception::Reception;
use super::slab::RESERVED;
use super::{Output, Probe, WakeKey};
use crate::draw::OutOfRange;

/// Stretches in order, and the one that time has reached.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    stretches: Vec<Stretch>,
    current: usize,
    /// When the next stretch begins; [`Instant::FAR`] if none does.
    next: Instant,
    /// What the stretches were laid out from.
    windows: Vec<Window>,
    /// Faults so far, those that are over included.
    faults: u32,
    /// The stretch whose end a wake-up was asked for.
    armed: Option<usize>,
}

#[derive(Clone, Debug)]
struct Stretch {
    from: Instant,
    level: Level,
    exhausted: bool,
    /// Faults that answer a share of attempts.
    rebuffs: Vec<Chance<Rebuff>>,
    /// Faults that stall a share of the answers for so long, or cut them off.
    breaks: Vec<Chance<Option<Nanos>>>,
}

/// What running answers feel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    pub(super) down: Option<Down>,
    /// What times are multiplied by; 1 when nothing is wrong.
    pub(super) slowdown: f64,
}

/// How a backend can be wholly down; the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Down {
    Refused,
    Silent,
    Answers(Status),
}

impl Level {
    /// How many times slower it is than `before`, if it is not the same.
    pub(super) fn slower_than(self, before: Level) -> Option<f64> {
        let changes = self.slowdown < before.slowdown || before.slowdown < self.slowdown;
        changes.then(|| self.slowdown / before.slowdown)
    }

    /// How it is down, if it was not so `before`.
    pub(super) fn down_since(self, before: Level) -> Option<Down> {
        self.down.filter(|_| self.down != before.down)
    }
}

/// Something that happens to a share of attempts.
#[derive(Clone, Copy, Debug)]
struct Chance<T> {
    /// Keeps the draws of different faults apart.
    number: u32,
    share: f64,
    what: T,
}

/// An error in place of an answer.
#[derive(Clone, Copy, Debug)]
struct Rebuff {
    status: Status,
    /// None: as long as errors take.
    after: Option<Nanos>,
}

/// What happens to an answer on its way, after so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    Pause { tokens: u32, pause: Nanos },
    Cut { tokens: u32 },
}

impl Mishap {
    /// After how many tokens it happens.
    pub(super) fn tokens(self) -> u32 {
        match self {
            Mishap::Pause { tokens, .. } | Mishap::Cut { tokens } => tokens,
        }
    }
}

/// Most windows of faults that are not over, where faults are injected. A slow start has nine.
const MOST_WINDOWS: usize = 1_024;
/// How fast a health check is answered when nothing is slow.
const PROBE_LATENCY: Nanos = Nanos::from_millis(5);
/// The keys of a timeline.
const SLOT: u32 = RESERVED;

impl Timeline {
    pub(super) fn new(faults: &[FaultSpec]) -> Timeline {
        let windows: Vec<Window> = (0..).zip(faults).flat_map(Window::of).collect();
        let stretches = lay_out(&windows);
        Timeline {
            next: begin(&stretches, 1),
            stretches,
            current: 0,
            windows,
            faults: u32::try_from(faults.len()).expect("fewer faults than memory for them"),
            armed: None,
        }
    }

    /// Adds a fault that nobody has foreseen; one that should have begun begins now. Time must have reached `now`.
    /// Returns what it was like before and is after, as [`step`](Timeline::step) does.
    pub(super) fn inject(&mut self, now: Instant, mut fault: FaultSpec) -> Result<(Level, Level), OutOfRange> {
        fault.check()?;
        self.windows.retain(|window| now < window.end);
        if MOST_WINDOWS <= self.windows.len() {
            return Err(OutOfRange {
                field: "faults",
                must_be: "at most 1,024 at a time",
            });
        }
        fault.at = fault.at.max(now);
        self.windows.extend(Window::of((self.faults, &fault)));
        self.faults = self.faults.wrapping_add(1);
        Ok(self.lay_out_anew(now))
    }

    /// Ends every fault, and forgets those to come.
    pub(super) fn clear(&mut self, now: Instant) -> (Level, Level) {
        self.windows.clear();
        self.lay_out_anew(now)
    }

    fn lay_out_anew(&mut self, now: Instant) -> (Level, Level) {
        let before = self.level();
        self.stretches = lay_out(&self.windows);
        self.current = self.at(now);
        self.next = begin(&self.stretches, self.current + 1);
        // The wake-up that was asked for is that of another boundary; it will do no harm.
        self.armed = None;
        (before, self.level())
    }

    /// Whether there is a boundary to cross.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// Crosses at most one boundary; returns what it was like before and is after.
    #[inline]
    pub(super) fn step(&mut self, now: Instant) -> Option<(Level, Level)> {
        if now < self.next || self.next.is_far() {
            return None;
        }
        let before = self.level();
        self.current += 1;
        self.next = begin(&self.stretches, self.current + 1);
        Some((before, self.level()))
    }

    pub(super) fn level(&self) -> Level {
        self.stretches[self.current].level
    }

    /// Whether `key` is one of a timeline.
    pub(super) fn owns(key: WakeKey) -> bool {
        key.slot == SLOT
    }

    /// A wake-up for `key` has come: the next boundary needs another.
    pub(super) fn woken(&mut self, key: WakeKey) {
        if self.armed.is_some_and(|stretch| stamp(stretch) == key.stamp) {
            self.armed = None;
        }
    }

    /// Asks once to be woken at the next boundary.
    #[inline]
    pub(super) fn arm(&mut self, out: &mut Vec<Output>) {
        if !self.next.is_far() && self.armed != Some(self.current) {
            self.ask(out);
        }
    }

    #[cold]
    fn ask(&mut self, out: &mut Vec<Output>) {
        self.armed = Some(self.current);
        out.push(Output::WakeAt {
            at: self.next,
            key: WakeKey {
                slot: SLOT,
                stamp: stamp(self.current),
            },
        });
    }

    /// How an attempt that arrives now is received.
    #[inline]
    pub(super) fn receive(&self, dice: RequestDice, attempt: u32) -> Reception {
        let stretch = &self.stretches[self.current];
        if stretch.is_calm() {
            Reception::Welcome
        } else {
            stretch.receive(|number| roll(dice, attempt, number))
        }
    }

    /// What will happen to an answer of `tokens` that begins now.
    #[inline]
    pub(super) fn mishap(&self, dice: RequestDice, attempt: u32, tokens: u32) -> Option<Mishap> {
        let stretch = &self.stretches[self.current];
        stretch.breaks.iter().find_map(|chance| {
            let mut rng = chance.hits(roll(dice, attempt, chance.number))?;
            let tokens = token_before_last(&mut rng, tokens);
            Some(
                chance
                    .what
                    .map_or(Mishap::Cut { tokens }, |pause| Mishap::Pause { tokens, pause }),
            )
        })
    }

    /// The stretch that `now` is in. The first begins with time itself.
    fn at(&self, now: Instant) -> usize {
        self.stretches
            .partition_point(|stretch| stretch.from <= now)
            .saturating_sub(1)
    }

    pub(super) fn probe(&self, now: Instant, dice: RequestDice) -> Probe {
        let stretch = &self.stretches[self.at(now)];
        match stretch.receive(|number| roll(dice, 0, number)) {
            Reception::Refused => Probe::Refused,
            Reception::Silence => Probe::Silence,
            // A health check needs no quota.
            Reception::Answer {
                status,
                code: None,
                after,
            } => Probe::Answer { after, status },
            Reception::Welcome | Reception::Answer { code: Some(_), .. } => Probe::Answer {
                after: scaled(PROBE_LATENCY, stretch.level.slowdown),
                status: 200,
            },
        }
    }
}

/// When stretch number `at` begins.
fn begin(stretches: &[Stretch], at: usize) -> Instant {
    stretches.get(at).map_or(Instant::FAR, |stretch| stretch.from)
}

/// What is wrong in each stretch between two boundaries.
fn lay_out(windows: &[Window]) -> Vec<Stretch> {
    let mut windows = windows.to_vec();
    windows.sort_by_key(|window| window.at);
    let mut boundaries: Vec<Instant> = windows.iter().flat_map(|window| [window.at, window.end]).collect();
    boundaries.push(Instant::EPOCH);
    boundaries.retain(|boundary| !boundary.is_far());
    boundaries.sort_unstable();
    boundaries.dedup();

    let mut coming = windows.into_iter().peekable();
    let mut present: Vec<Window> = Vec::new();
    let stretches = boundaries.into_iter().map(|from| {
        present.retain(|window| from < window.end);
        while let Some(window) = coming.next_if(|window| window.at <= from) {
            present.push(window);
        }
        Stretch::new(from, &present)
    });
    stretches.collect()
}

impl Stretch {
    fn new(from: Instant, windows: &[Window]) -> Stretch {
        let mut stretch = Stretch {
            from,
            level: Level {
                down: None,
                slowdown: 1.0,
            },
            exhausted: false,
            rebuffs: Vec::new(),
            breaks: Vec::new(),
        };
        for window in windows {
            match window.effect {
                Effect::Down(down) => {
                    stretch.level.down = Some(stretch.level.down.map_or(down, |other| other.min(down)));
                }
                Effect::Exhausted => stretch.exhausted = true,
                Effect::Slow(factor) => stretch.level.slowdown *= factor,
                Effect::Rebuff(chance) => stretch.rebuffs.push(chance),
                Effect::Break(chance) => stretch.breaks.push(chance),
            }
        }
        // In the order of `FaultKind`: fail-fast before bursts, stalls before cuts.
        stretch
            .rebuffs
            .sort_by_key(|chance| (chance.what.after.is_none(), chance.number));
        stretch
            .breaks
            .sort_by_key(|chance| (chance.what.is_none(), chance.number));
        stretch
    }

    fn is_calm(&self) -> bool {
        self.level.down.is_none() && !self.exhausted && self.rebuffs.is_empty()
    }

    fn receive(&self, roll: impl Fn(u32) -> Rng) -> Reception {
        match self.level.down {
            Some(Down::Refused) => return Reception::Refused,
            Some(Down::Silent) => return Reception::Silence,
            Some(Down::Answers(status)) => {
                return Reception::Answer {
                    status,
                    code: None,
                    after: error_latency(&mut roll(OUTAGE)),
                };
            }
            None => {}
        }
        if self.exhausted {
            let code = Some(ErrorCode::InsufficientQuota);
            return Reception::Answer {
                status: 429,
                code,
                after: Nanos::ZERO,
            };
        }
        let rebuff = self.rebuffs.iter().find_map(|chance| {
            let mut rng = chance.hits(roll(chance.number))?;
            let after = chance.what.after.unwrap_or_else(|| error_latency(&mut rng));
            Some(Reception::Answer {
                status: chance.what.status,
                code: None,
                after,
            })
        });
        rebuff.unwrap_or(Reception::Welcome)
    }
}

impl<T> Chance<T> {
    /// The generator of further draws, if this attempt is hit.
    fn hits(&self, mut rng: Rng) -> Option<Rng> {
        (rng.uniform() < self.share).then_some(rng)
    }
}

/// One effect of one fault, between two instants.
#[derive(Clone, Copy, Debug)]
struct Window {
    at: Instant,
    end: Instant,
    effect: Effect,
}

#[derive(Clone, Copy, Debug)]
enum Effect {
    Down(Down),
    Exhausted,
    Slow(f64),
    Rebuff(Chance<Rebuff>),
    Break(Chance<Option<Nanos>>),
}

impl Window {
    /// The windows of a fault that so many came before.
    fn of((before, fault): (u32, &FaultSpec)) -> Vec<Window> {
        let number = before.wrapping_add(OUTAGE + 1);
        let rebuff = |share, status, after| {
            Effect::Rebuff(Chance {
                number,
                share,
                what: Rebuff { status, after },
            })
        };
        let effect = match fault.kind {
            FaultKind::ConnectionRefused => Effect::Down(Down::Refused),
            FaultKind::BlackHole => Effect::Down(Down::Silent),
            FaultKind::Outage { status } => Effect::Down(Down::Answers(status)),
            FaultKind::QuotaExhausted => Effect::Exhausted,
            FaultKind::FailFast { latency, share } => rebuff(share, 500, Some(latency)),
            FaultKind::ErrorBurst { share, status } => rebuff(share, status, None),
            FaultKind::Brownout { factor } => Effect::Slow(factor),
            FaultKind::SlowStart { ramp } => return Window::of_ramp(fault.at, ramp),
            FaultKind::Stall { share, pause } => Effect::Break(Chance {
                number,
                share,
                what: Some(pause),
            }),
            FaultKind::Truncate { share } => Effect::Break(Chance {
                number,
                share,
                what: None,
            }),
        };
        vec![Window {
            at: fault.at,
            end: fault.at + fault.lasts,
            effect,
        }]
    }

    /// Speeds of 10 %, 20 %, … 100 %: as much work in all as along the straight line.
    fn of_ramp(at: Instant, ramp: Nanos) -> Vec<Window> {
        let edge = |tenths: u64| at + Nanos::from_nanos(ramp.as_nanos() / 10 * tenths);
        let window = |tenth: u8| Window {
            at: edge(u64::from(tenth)),
            end: edge(u64::from(tenth) + 1),
            effect: Effect::Slow(10.0 / f64::from(tenth + 1)),
        };
        (0..9).map(window).filter(|window| window.at < window.end).collect()
    }
}

pub(super) fn scaled(length: Nanos, factor: f64) -> Nanos {
    if (factor - 1.0).abs() < f64::EPSILON || length.is_forever() {
        length
    } else {
        Nanos::from_secs_f64(length.as_secs_f64() * factor)
    }
}

/// Between 5 and 50 ms: how long an error takes.
pub(super) fn error_latency(rng: &mut Rng) -> Nanos {
    Nanos::from_micros(5_000 + rng.below(45_000))
}

/// A token drawn evenly from the first to the last but one.
fn token_before_last(rng: &mut Rng, of: u32) -> u32 {
    let tokens = rng.below(u64::from(of.saturating_sub(1).max(1))) + 1;
    u32::try_from(tokens).expect("no more than were asked for")
}

/// The draws of what is no fault of a scenario, and of outages.
pub(super) const BACKGROUND: u32 = 0;
const OUTAGE: u32 = 1;

/// Attempts count below 256, so draws of different purposes keep apart.
pub(super) fn roll(dice: RequestDice, attempt: u32, number: u32) -> Rng {
    dice.roll(Purpose::Failure, attempt.wrapping_add(number << 8))
}

#[expect(clippy::cast_possible_truncation, reason = "only ever compared with another one")]
fn stamp(stretch: usize) -> u32 {
    stretch as u32
}

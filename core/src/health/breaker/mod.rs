//! The circuit breaker.

mod tries;

use core::num::NonZeroU32;

use super::Report;
use super::max_fails::{Fails, MaxFails};
use super::recent::{Recent, Tally};
use crate::policy::{BreakerKind, Window};
use crate::time::{Instant, Nanos};

/// Stops traffic to an endpoint that fails (Nygard, *Release It!*, 2007; the states as in resilience4j).
///
/// ```text
///            at the threshold                 at `until`, by the next admitted
///   closed ───────────────────► open ──────────────────────────► half-open
///     ▲                          ▲                                  │   │
///     │                          └───────── probes fail ────────────┘   │
///     └──────────────────────────────────── probes succeed ─────────────┘
/// ```
///
/// | Kind | trips | half-open, decides |
/// |---|---|---|
/// | consecutive | after so many failures in a row | reopens at the first failed probe, resets when all have succeeded |
/// | error rate | when the window holds enough attempts and the share of failures is reached | when all probes are judged, by the same share |
/// | max-fails | as nginx does: see [`MaxFails`] | is never half-open: it stays open while one attempt tries, and after its time lets another try |
///
/// Nothing happens by itself: an open breaker becomes half-open by the first attempt it admits.
///
/// **Where it is wrong:** on endpoints that fail in part (one model of many, one key), where it turns a partial
/// failure into a whole one; and for overload, which a concurrency limit or a Retry-After answers better.
///
/// ```
/// use core::num::NonZeroU32;
/// use tollgate_core::health::{Admission, Breaker, Report, Transition};
/// use tollgate_core::policy::BreakerKind;
/// use tollgate_core::time::{Instant, Nanos};
///
/// let breaker = Breaker::new(&BreakerKind::Consecutive {
///     failures: NonZeroU32::MIN,
///     open: Nanos::from_secs(30),
///     probes: NonZeroU32::MIN,
/// });
/// let mut health = breaker.fresh();
///
/// let until = Instant::from_secs(31);
/// let trip = breaker.record(&mut health, Instant::from_secs(1), Report::Failure, None);
/// assert_eq!(trip, Some(Transition::Trip { until }));
/// assert_eq!(breaker.admit(&mut health, Instant::from_secs(30)), Admission::No { until });
///
/// let Admission::Probe(slot) = breaker.admit(&mut health, until) else {
///     panic!("a probe is due");
/// };
/// let success = Report::Success { latency: Nanos::from_millis(300) };
/// assert_eq!(breaker.record(&mut health, until, success, Some(slot)), Some(Transition::Reset));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    rule: Rule,
    open: Nanos,
    probes: u32,
}

/// When to trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Never,
    Consecutive {
        failures: u32,
    },
    ErrorRate {
        /// In millionths, so that a tenth is a tenth.
        share: u64,
        window: Window,
        min_requests: u32,
    },
    MaxFails(MaxFails),
}

/// What a breaker knows about one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    circuit: Circuit,
    /// Counts half-open periods; by max-fails, tries.
    period: NonZeroU32,
    /// The latest instant seen; time does not run backwards.
    seen: Instant,
    recent: Recent,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Circuit {
    /// Traffic flows.
    #[default]
    Closed,
    /// Nothing flows.
    Open {
        /// From when on probes may pass.
        until: Instant,
        /// How often it has tripped since it was last closed, this time included.
        trips: u32,
    },
    /// A bounded number of probes may pass.
    HalfOpen {
        /// Probes that are out or judged.
        admitted: u32,
        /// Probes that succeeded.
        succeeded: u32,
        /// Probes that failed.
        failed: u32,
        /// How often it has tripped since it was last closed.
        trips: u32,
    },
}

/// Whether an attempt may be launched.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may, as one of the attempts that decide. The slot comes back once: by [`Breaker::record`] or
    /// [`Breaker::release`].
    Probe(ProbeSlot),
    /// It may not.
    No {
        /// From when on it may; [`Instant::FAR`] if that hangs on probes that are still out.
        until: Instant,
    },
}

/// The right to be one of the attempts that decide, within one half-open period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSlot(NonZeroU32);

/// A change worth an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Closed or half-open, now open.
    Trip {
        /// Until when.
        until: Instant,
    },
    /// Half-open, now closed.
    Reset,
}

impl Breaker {
    /// The breaker that `kind` describes.
    #[must_use]
    pub fn new(kind: &BreakerKind) -> Breaker {
        match *kind {
            // Outliers are not told by one endpoint alone: see `Outlier`.
            BreakerKind::Off | BreakerKind::Outlier(_) => Breaker {
                rule: Rule::Never,
                open: Nanos::ZERO,
                probes: 1,
            },
            BreakerKind::Consecutive { failures, open, probes } => Breaker {
                rule: Rule::Consecutive {
                    failures: failures.get(),
                },
                open,
                probes: probes.get(),
            },
            BreakerKind::ErrorRate {
                share,
                window,
                min_requests,
                open,
                probes,
            } => Breaker {
                rule: Rule::ErrorRate {
                    share: millionths(share),
                    window,
                    min_requests: min_requests.get(),
                },
                open,
                probes: probes.get(),
            },
            BreakerKind::MaxFails {
                max_fails,
                fail_timeout,
            } => Breaker {
                rule: Rule::MaxFails(MaxFails::new(max_fails.get(), fail_timeout)),
                open: fail_timeout,
                probes: 1,
            },
        }
    }

    /// What is known about an endpoint that was never used.
    #[must_use]
    pub fn fresh(&self) -> Health {
        let recent = match self.rule {
            Rule::Never => Recent::Nothing,
            Rule::Consecutive { .. } => Recent::Streak(0),
            Rule::ErrorRate { window, .. } => Recent::in_window(window),
            Rule::MaxFails(_) => Recent::Fails(Fails::default()),
        };
        Health {
            circuit: Circuit::Closed,
            period: NonZeroU32::MIN,
            seen: Instant::EPOCH,
            recent,
        }
    }

    /// What is known, under this breaker, about an endpoint that another breaker has watched: for a new policy.
    ///
    /// The circuit is kept, except that a half-open one starts its probes anew; the window is kept if it has the
    /// same shape.
    #[must_use]
    pub fn carry(&self, old: &Health) -> Health {
        let fresh = self.fresh();
        let circuit = match (self.rule, old.circuit) {
            (Rule::Never, _) | (_, Circuit::Closed) => Circuit::Closed,
            (
                Rule::Consecutive { .. } | Rule::ErrorRate { .. } | Rule::MaxFails(_),
                Circuit::HalfOpen { trips, .. },
            ) => Circuit::Open { until: old.seen, trips },
            (Rule::Consecutive { .. } | Rule::ErrorRate { .. } | Rule::MaxFails(_), open @ Circuit::Open { .. }) => {
                open
            }
        };
        let recent = match (self.rule, circuit) {
            (Rule::MaxFails(law), Circuit::Open { until, .. }) => Recent::Fails(law.out(until)),
            // What it takes may be less now than what has failed already: then the next failure decides.
            (Rule::MaxFails(law), _) => Recent::Fails(law.carry(&old.recent.fails())),
            _ if old.recent.has_shape_of(&fresh.recent) => old.recent.clone(),
            _ => fresh.recent,
        };
        Health {
            circuit,
            period: old.period,
            seen: old.seen,
            recent,
        }
    }

    /// What [`Breaker::admit`] would answer.
    #[inline]
    pub fn peek(&self, health: &Health, now: Instant) -> Admission {
        match health.circuit {
            Circuit::Closed => Admission::Yes,
            Circuit::Open { until, .. } => {
                if now.max(health.seen) < until {
                    Admission::No { until }
                } else {
                    Admission::Probe(ProbeSlot(following(health.period)))
                }
            }
            Circuit::HalfOpen { admitted, .. } => {
                if admitted < self.probes {
                    Admission::Probe(ProbeSlot(health.period))
                } else {
                    Admission::No { until: Instant::FAR }
                }
            }
        }
    }

    /// Whether an attempt may be launched now. A probe's slot is taken when this answers [`Admission::Probe`].
    #[inline]
    pub fn admit(&self, health: &mut Health, now: Instant) -> Admission {
        health.seen = health.seen.max(now);
        let admission = self.peek(health, now);
        if let Rule::MaxFails(law) = self.rule {
            health.launch(law, admission);
        } else if let Admission::Probe(ProbeSlot(period)) = admission {
            health.take_slot(period);
        }
        admission
    }

    /// Whether it never trips, and remembers nothing.
    #[inline]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.rule == Rule::Never
    }

    /// Whether a closed breaker has to be asked before every launch, although it answers yes.
    #[inline]
    #[must_use]
    pub fn is_watchful(&self, health: &Health) -> bool {
        matches!(&health.recent, Recent::Fails(fails) if fails.is_suspected())
    }

    /// Learns how an attempt ended. `slot` is what it was admitted with, if it was a probe.
    ///
    /// Unless the breaker is closed, only probes of the present half-open period count: an attempt launched
    /// before the trip tells nothing about the time after. [`Report::Ignore`] only gives the slot back.
    pub fn record(
        &self,
        health: &mut Health,
        now: Instant,
        report: Report,
        slot: Option<ProbeSlot>,
    ) -> Option<Transition> {
        health.seen = health.seen.max(now);
        let is_failure = match report {
            Report::Success { .. } => false,
            Report::Failure => true,
            Report::Ignore => {
                self.release(health, slot);
                return None;
            }
        };
        match health.circuit {
            Circuit::Closed => self.learn(health, is_failure),
            Circuit::Open { .. } => match self.rule {
                Rule::MaxFails(law) => health.learn(law, is_failure),
                Rule::Never | Rule::Consecutive { .. } | Rule::ErrorRate { .. } => None,
            },
            Circuit::HalfOpen { .. } => {
                if slot != Some(ProbeSlot(health.period)) {
                    return None;
                }
                self.judge(health, is_failure)
            }
        }
    }

    /// Takes a probe's slot back without a verdict: the attempt was cancelled or never launched.
    pub fn release(&self, health: &mut Health, slot: Option<ProbeSlot>) {
        if let Circuit::HalfOpen { admitted, .. } = &mut health.circuit
            && slot == Some(ProbeSlot(health.period))
        {
            debug_assert!(0 < *admitted, "a slot comes back once");
            *admitted = admitted.saturating_sub(1);
        }
        if let Rule::MaxFails(law) = self.rule
            && slot == Some(ProbeSlot(health.period))
        {
            health.call_off(law);
        }
    }

    /// The state.
    #[must_use]
    pub fn circuit(&self, health: &Health) -> Circuit {
        health.circuit
    }

    /// The attempts that count as of `now`; of a breaker by consecutive failures, those.
    #[must_use]
    pub fn tally(&self, health: &Health, now: Instant) -> Tally {
        health.recent.tally(now.max(health.seen))
    }

    /// An attempt of a closed breaker has ended.
    fn learn(&self, health: &mut Health, is_failure: bool) -> Option<Transition> {
        if let Rule::MaxFails(law) = self.rule {
            return health.learn(law, is_failure);
        }
        health.recent.record(health.seen, is_failure);
        let tally = health.recent.tally(health.seen);
        let trips = match self.rule {
            Rule::Never | Rule::MaxFails(_) => false,
            Rule::Consecutive { failures } => failures <= tally.failures,
            Rule::ErrorRate {
                share,
                window,
                min_requests,
            } => {
                let enough = match window {
                    Window::Count(size) => min_requests.min(size.get()),
                    Window::Time(_) => min_requests,
                };
                enough <= tally.attempts && reaches(share, tally)
            }
        };
        trips.then(|| self.trip(health, 1))
    }

    /// A probe has ended.
    fn judge(&self, health: &mut Health, is_failure: bool) -> Option<Transition> {
        let Circuit::HalfOpen {
            succeeded,
            failed,
            trips,
            ..
        } = &mut health.circuit
        else {
            return None;
        };
        *succeeded += u32::from(!is_failure);
        *failed += u32::from(is_failure);
        let tally = Tally {
            attempts: *succeeded + *failed,
            failures: *failed,
        };
        let trips = trips.saturating_add(1);
        let all_judged = self.probes <= tally.attempts;
        let fails = match self.rule {
            Rule::Never | Rule::MaxFails(_) => false,
            Rule::Consecutive { .. } => is_failure,
            Rule::ErrorRate { share, .. } => all_judged && reaches(share, tally),
        };
        if fails {
            return Some(self.trip(health, trips));
        }
        if !all_judged {
            return None;
        }
        health.circuit = Circuit::Closed;
        Some(Transition::Reset)
    }

    fn trip(&self, health: &mut Health, trips: u32) -> Transition {
        let until = health.seen + self.open;
        health.circuit = Circuit::Open { until, trips };
        health.recent.clear();
        Transition::Trip { until }
    }
}

impl Health {
    /// Takes a slot of the half-open `period`, which begins with its first slot.
    fn take_slot(&mut self, period: NonZeroU32) {
        match &mut self.circuit {
            Circuit::HalfOpen { admitted, .. } => *admitted += 1,
            Circuit::Open { trips, .. } => {
                self.circuit = Circuit::HalfOpen {
                    admitted: 1,
                    succeeded: 0,
                    failed: 0,
                    trips: *trips,
                };
                self.period = period;
            }
            Circuit::Closed => {}
        }
    }
}

/// The half-open period after `period`; the first again after four thousand million.
fn following(period: NonZeroU32) -> NonZeroU32 {
    period.checked_add(1).unwrap_or(NonZeroU32::MIN)
}

/// A share in millionths, the nearest and at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a checked share is between 0 and 1"
)]
fn millionths(share: f32) -> u64 {
    ((f64::from(share) * 1e6 + 0.5) as u64).max(1)
}

/// Whether the failures are at least `share` millionths of the attempts.
fn reaches(share: u64, tally: Tally) -> bool {
    share * u64::from(tally.attempts) <= u64::from(tally.failures) * 1_000_000
}

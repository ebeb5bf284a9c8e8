//! What theory asks of a run and reports do not: the number in the system over time, queues of endpoints over time.

use tollgate_core::health::{Breaker, Health, Report};
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::policy::{BreakerKind, Policy, Window};
use tollgate_core::time::{Instant, Nanos};
use tollgate_sim::record::Observer;
use tollgate_sim::workload::Call;

use crate::setup::{as_f64, wide_as_f64};

/// What to watch besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WatchSpec {
    /// Averages over time end here, in seconds: later the system only drains.
    pub(crate) until: f64,
    /// Lengths of windows whose arrivals are counted.
    pub(crate) windows: Vec<f64>,
    /// Periods, in seconds from the beginning, whose requests are counted.
    pub(crate) periods: Vec<(f64, f64)>,
    /// The length of a cycle over which the number in the system is averaged.
    pub(crate) cycle: Option<f64>,
    /// A breaker that decides nothing: the size of its window and its threshold.
    pub(crate) shadow: Option<(u32, f32)>,
    /// Whether to remember how every single request ended.
    pub(crate) each: bool,
    /// Failures in a row that make an episode.
    pub(crate) streak: Option<u32>,
}

/// Who watches.
pub(crate) struct Watch {
    warmup: Instant,
    pub(crate) system: Levels,
    pub(crate) endpoints: Tails,
    /// Requests answered, those of the warm-up included.
    pub(crate) served: u64,
    pub(crate) finished: u64,
    pub(crate) waited: u64,
    pub(crate) left_queue: u64,
    pub(crate) attempts: u64,
    pub(crate) hedges: u64,
    pub(crate) squares: f64,
    /// Requests of each tenant, and the sum of their stays in seconds.
    pub(crate) tenants: [(u64, f64); 2],
    pub(crate) gaps: Spread,
    last_arrival: Instant,
    pub(crate) windows: Vec<Windows>,
    pub(crate) periods: Vec<Period>,
    pub(crate) cycle: Option<Cycle>,
    pub(crate) shadow: Option<Shadow>,
    pub(crate) each: Option<Vec<(u64, Outcome)>>,
    pub(crate) streak: Option<Streak>,
}

impl Watch {
    pub(crate) fn new(spec: &WatchSpec, warmup: f64, policy: &Policy) -> Watch {
        let at = |secs: f64| Instant::EPOCH + Nanos::from_secs_f64(secs);
        let (warmup, until) = (at(warmup), at(spec.until));
        Watch {
            warmup,
            system: Levels::new(warmup, until),
            endpoints: Tails::new(policy.endpoints.len(), warmup, until),
            served: 0,
            finished: 0,
            waited: 0,
            left_queue: 0,
            attempts: 0,
            hedges: 0,
            squares: 0.0,
            tenants: [(0, 0.0); 2],
            gaps: Spread::default(),
            last_arrival: Instant::EPOCH,
            windows: spec.windows.iter().map(|length| Windows::new(*length)).collect(),
            periods: spec
                .periods
                .iter()
                .map(|(from, until)| Period::new(at(*from), at(*until)))
                .collect(),
            cycle: spec.cycle.map(|length| Cycle::new(length, warmup, until)),
            shadow: spec.shadow.map(|(size, share)| Shadow::new(size, share)),
            each: spec.each.then(Vec::new),
            streak: spec.streak.map(|length| Streak {
                length,
                ..Streak::default()
            }),
        }
    }
}

impl Observer for Watch {
    fn arrived(&mut self, now: Instant, in_system: u32) {
        self.system.spend(now, in_system);
        if let Some(cycle) = &mut self.cycle {
            cycle.spend(now, in_system);
        }
        if self.last_arrival != Instant::EPOCH {
            self.gaps.add(now.since(self.last_arrival).as_secs_f64());
        }
        self.last_arrival = now;
        for windows in &mut self.windows {
            windows.arrive(now);
        }
    }

    fn finished(&mut self, call: &Call, outcome: &Outcome, in_system: u32) {
        self.system.spend(outcome.finished, in_system);
        if let Some(cycle) = &mut self.cycle {
            cycle.spend(outcome.finished, in_system);
        }
        for period in &mut self.periods {
            period.count(outcome);
        }
        if let Some(each) = &mut self.each {
            each.push((call.number, *outcome));
        }
        self.served += u64::from(outcome.end == End::Completed);
        if outcome.arrived < self.warmup {
            return;
        }
        let is_failure = outcome.end != End::Completed;
        if let Some(shadow) = &mut self.shadow {
            shadow.learn(outcome.finished, is_failure);
        }
        if let Some(streak) = &mut self.streak {
            streak.learn(is_failure);
        }
        self.finished += 1;
        self.waited += u64::from(Nanos::ZERO < outcome.queue_wait);
        self.left_queue += u64::from(outcome.end == End::Abandoned && outcome.admitted.is_far());
        self.attempts += u64::from(outcome.attempts);
        self.hedges += u64::from(outcome.hedges);
        let stay = outcome.e2e().as_secs_f64();
        self.squares += stay * stay;
        if let Some((count, sum)) = self.tenants.get_mut(call.tenant as usize) {
            *count += 1;
            *sum += stay;
        }
    }

    fn launched(&mut self, endpoint: EndpointId, now: Instant) {
        self.endpoints.launched(endpoint.index(), now);
    }

    fn ended(&mut self, endpoint: EndpointId, now: Instant) {
        self.endpoints.ended(endpoint.index(), now);
    }
}

/// The time spent at each number in the system, between two instants.
pub(crate) struct Levels {
    last: Instant,
    until: Instant,
    nanos: Vec<u64>,
}

impl Levels {
    fn new(from: Instant, until: Instant) -> Levels {
        Levels {
            last: from,
            until,
            nanos: Vec::new(),
        }
    }

    #[inline]
    fn spend(&mut self, now: Instant, level: u32) {
        let now = now.min(self.until);
        let spent = now.since(self.last).as_nanos();
        self.last = self.last.max(now);
        let level = level as usize;
        if self.nanos.len() <= level {
            self.nanos.resize(level + 1, 0);
        }
        self.nanos[level] += spent;
    }

    /// The share of time with at least `level`.
    pub(crate) fn at_least(&self, level: usize) -> f64 {
        let sum = |list: &[u64]| list.iter().map(|nanos| as_f64(*nanos)).sum::<f64>();
        sum(self.nanos.get(level..).unwrap_or_default()) / sum(&self.nanos)
    }

    pub(crate) fn mean(&self) -> f64 {
        (1..self.nanos.len()).map(|level| self.at_least(level)).sum()
    }

    /// The level that a share of `quantile` of the time is at or below.
    pub(crate) fn quantile(&self, quantile: f64) -> usize {
        let above = |level: usize| self.at_least(level + 1) <= 1.0 - quantile;
        (0..self.nanos.len())
            .find(|level| above(*level))
            .unwrap_or(self.nanos.len())
    }
}

/// The share of endpoints with at least so many attempts in flight, averaged over time.
pub(crate) struct Tails {
    in_flight: Vec<u32>,
    /// Endpoints with at least 0, 1, 2, 3, 4 in flight.
    endpoints: [u64; 5],
    integral: [u128; 5],
    last: Instant,
    until: Instant,
}

impl Tails {
    fn new(endpoints: usize, from: Instant, until: Instant) -> Tails {
        Tails {
            in_flight: vec![0; endpoints],
            endpoints: [endpoints as u64, 0, 0, 0, 0],
            integral: [0; 5],
            last: from,
            until,
        }
    }

    /// The share of endpoints with at least `level` in flight, averaged over time.
    pub(crate) fn share(&self, level: usize) -> f64 {
        wide_as_f64(self.integral[level]) / wide_as_f64(self.integral[0])
    }

    #[inline]
    fn launched(&mut self, endpoint: usize, now: Instant) {
        self.advance(now);
        self.in_flight[endpoint] += 1;
        if let Some(count) = self.endpoints.get_mut(self.in_flight[endpoint] as usize) {
            *count += 1;
        }
    }

    #[inline]
    fn ended(&mut self, endpoint: usize, now: Instant) {
        self.advance(now);
        if let Some(count) = self.endpoints.get_mut(self.in_flight[endpoint] as usize) {
            *count -= 1;
        }
        self.in_flight[endpoint] -= 1;
    }

    #[inline]
    fn advance(&mut self, now: Instant) {
        let now = now.min(self.until);
        let spent = u128::from(now.since(self.last).as_nanos());
        self.last = self.last.max(now);
        for (integral, endpoints) in self.integral.iter_mut().zip(self.endpoints) {
            *integral += spent * u128::from(endpoints);
        }
    }
}

/// Mean and variance of numbers, by Welford's recurrence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Spread {
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / as_f64(self.count);
        self.squares += off * (value - self.mean);
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    pub(crate) fn variance(&self) -> f64 {
        self.squares / as_f64(self.count - 1)
    }
}

/// Arrivals per window of time.
pub(crate) struct Windows {
    length: Nanos,
    end: Instant,
    count: u64,
    pub(crate) spread: Spread,
}

impl Windows {
    fn new(length: f64) -> Windows {
        let length = Nanos::from_secs_f64(length);
        Windows {
            length,
            end: Instant::EPOCH + length,
            count: 0,
            spread: Spread::default(),
        }
    }

    fn arrive(&mut self, now: Instant) {
        while self.end <= now {
            self.spread.add(as_f64(self.count));
            self.count = 0;
            self.end += self.length;
        }
        self.count += 1;
    }
}

/// Requests that arrived between two instants.
pub(crate) struct Period {
    from: Instant,
    until: Instant,
    pub(crate) requests: u64,
    pub(crate) completed: u64,
    pub(crate) attempts: u64,
}

impl Period {
    fn new(from: Instant, until: Instant) -> Period {
        Period {
            from,
            until,
            requests: 0,
            completed: 0,
            attempts: 0,
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        if self.from <= outcome.arrived && outcome.arrived < self.until {
            self.requests += 1;
            self.completed += u64::from(outcome.end == End::Completed);
            self.attempts += u64::from(outcome.attempts);
        }
    }
}

/// The number in the system by the time of day.
pub(crate) struct Cycle {
    length: Nanos,
    last: Instant,
    until: Instant,
    /// Of each hundredth of the cycle: time, and the number in the system integrated over it.
    parts: Vec<(u128, u128)>,
}

impl Cycle {
    fn new(length: f64, from: Instant, until: Instant) -> Cycle {
        Cycle {
            length: Nanos::from_secs_f64(length),
            last: from,
            until,
            parts: vec![(0, 0); 100],
        }
    }

    fn spend(&mut self, now: Instant, level: u32) {
        let now = now.min(self.until);
        let spent = u128::from(now.since(self.last).as_nanos());
        self.last = self.last.max(now);
        let length = u128::from(self.length.as_nanos());
        let at = u128::from(now.as_nanos()) % length * 100 / length;
        let (time, integral) = &mut self.parts[usize::try_from(at).expect("a hundredth")];
        *time += spent;
        *integral += spent * u128::from(level);
    }

    /// The mean in the hundredth where it is highest.
    pub(crate) fn peak(&self) -> f64 {
        let mean = |(time, integral): &(u128, u128)| wide_as_f64(*integral) / wide_as_f64(*time);
        self.parts.iter().map(mean).fold(0.0, f64::max)
    }
}

/// A breaker that learns from every request and decides nothing.
pub(crate) struct Shadow {
    breaker: Breaker,
    health: Health,
    share: f64,
    last: Option<Instant>,
    time: u128,
    above: u128,
}

impl Shadow {
    /// It trips when all of its window has failed: never, at the shares of theory.
    fn new(size: u32, share: f32) -> Shadow {
        let size = core::num::NonZeroU32::new(size).expect("a window of something");
        let breaker = Breaker::new(&BreakerKind::ErrorRate {
            share: 1.0,
            window: Window::Count(size),
            min_requests: size,
            open: Nanos::from_secs(1),
            probes: core::num::NonZeroU32::MIN,
        });
        Shadow {
            health: breaker.fresh(),
            breaker,
            share: f64::from(share),
            last: None,
            time: 0,
            above: 0,
        }
    }

    fn learn(&mut self, now: Instant, is_failure: bool) {
        let tally = self.breaker.tally(&self.health, now);
        if let Some(last) = self.last {
            let spent = u128::from(now.since(last).as_nanos());
            self.time += spent;
            if self.share * f64::from(tally.attempts) <= f64::from(tally.failures) {
                self.above += spent;
            }
        }
        self.last = Some(now);
        let report = if is_failure {
            Report::Failure
        } else {
            Report::Success { latency: Nanos::ZERO }
        };
        assert_eq!(
            self.breaker.record(&mut self.health, now, report, None),
            None,
            "it never trips"
        );
    }

    /// The share of time at or above the threshold.
    pub(crate) fn share_above(&self) -> f64 {
        wide_as_f64(self.above) / wide_as_f64(self.time)
    }
}

/// Requests until so many failures in a row.
#[derive(Default)]
pub(crate) struct Streak {
    length: u32,
    now: u32,
    requests: u64,
    pub(crate) episodes: u64,
}

impl Streak {
    fn learn(&mut self, is_failure: bool) {
        self.requests += 1;
        self.now = if is_failure { self.now + 1 } else { 0 };
        if self.now == self.length {
            self.episodes += 1;
            self.now = 0;
        }
    }

    pub(crate) fn mean(&self) -> f64 {
        as_f64(self.requests) / as_f64(self.episodes)
    }
}

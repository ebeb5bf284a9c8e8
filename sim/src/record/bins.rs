//! What happened when: bins of a second, wider in long runs.

use tollgate_core::lifecycle::{End, Outcome, Refusal};
use tollgate_core::time::{Instant, Nanos};

use super::Track;

/// Bins of equal width from the beginning of the run.
#[derive(Clone, Debug)]
pub struct Bins {
    /// The width of each.
    pub width: Nanos,
    /// The bins.
    pub list: Vec<Bin>,
    /// Per endpoint, as many bins; empty where there are too many endpoints to tell apart.
    pub endpoints: Vec<Vec<EndpointBin>>,
    /// The newest bin that was looked for, and when it begins: most instants are in it.
    newest: usize,
    newest_from: Instant,
    e2e: Gathering,
    ttft: Gathering,
}

/// The latencies of the bin that time is in: what is measured comes in order of time.
#[derive(Clone, Debug)]
struct Gathering {
    at: usize,
    track: Track,
}

/// What happened in a bin. Latencies are in seconds; NaN of none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Requests that arrived.
    pub offered: u32,
    /// Requests that were past limits and queue.
    pub admitted: u32,
    /// Requests answered in full.
    pub completed: u32,
    /// Requests that failed.
    pub failed: u32,
    /// Requests refused, by cause.
    pub refused: [u32; Refusal::CAUSES.len()],
    /// Calls that began.
    pub calls: u32,
    /// Of these, those that met all their targets.
    pub attained: u32,
    /// Requests admitted and unfinished, integrated over the bin, in nanoseconds.
    pub in_flight: u64,
    /// Requests queued, integrated over the bin, in nanoseconds.
    pub queued: u64,
    /// Median and 99th percentile of E2E, of requests completed in the bin.
    pub e2e: [f32; 2],
    /// Median and 99th percentile of TTFT, of streams that began in the bin.
    pub ttft: [f32; 2],
}

/// What happened in a bin at one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointBin {
    /// Attempts launched.
    pub attempts: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// Time out of the pool, in nanoseconds.
    pub ejected: u64,
}

impl Default for Bin {
    fn default() -> Bin {
        Bin {
            offered: 0,
            admitted: 0,
            completed: 0,
            failed: 0,
            refused: [0; Refusal::CAUSES.len()],
            calls: 0,
            attained: 0,
            in_flight: 0,
            queued: 0,
            e2e: [f32::NAN; 2],
            ttft: [f32::NAN; 2],
        }
    }
}

/// Most bins; twice as wide beyond. A run of half an hour has bins of a second, and no run fills more than half a megabyte
/// with the bins of eight endpoints.
const MOST: usize = 1_800;
/// Most endpoints that have bins of their own.
const MOST_ENDPOINTS: usize = 32;

impl Bins {
    /// No bins yet, wide enough for a run of `length`, where that is known.
    pub(super) fn new(length: Option<Nanos>, endpoints: usize) -> Bins {
        let mut width = Nanos::from_secs(1);
        let longest = length.unwrap_or_default().as_nanos();
        while MOST as u64 * 4 / 5 < longest / width.as_nanos() {
            width = width * 2;
        }
        let endpoints = if endpoints <= MOST_ENDPOINTS { endpoints } else { 0 };
        Bins {
            width,
            list: Vec::new(),
            endpoints: vec![Vec::new(); endpoints],
            newest: usize::MAX,
            newest_from: Instant::EPOCH,
            e2e: Gathering::new(),
            ttft: Gathering::new(),
        }
    }

    /// A request is over.
    pub(super) fn record(&mut self, outcome: &Outcome) {
        let done = self.at(outcome.finished);
        if done == self.newest && self.newest_from <= outcome.arrived {
            // All of it in one bin, as most are.
            let bin = &mut self.list[done];
            bin.offered += 1;
            if !outcome.admitted.is_far() {
                bin.admitted += 1;
                bin.in_flight += outcome.finished.since(outcome.admitted).as_nanos();
            }
            bin.queued += outcome.queue_wait.as_nanos();
        } else {
            self.record_across(outcome);
        }
        let bin = &mut self.list[done];
        match outcome.end {
            End::Completed => bin.completed += 1,
            End::Failed { .. } => bin.failed += 1,
            End::Refused { refusal } => bin.refused[refusal.cause()] += 1,
            End::Abandoned | End::Open => {}
        }
        if outcome.end == End::Completed {
            if self.e2e.at != done {
                self.close_e2e();
                self.e2e.at = done;
            }
            self.e2e.track.record(outcome.e2e());
        }
    }

    /// Tells each bin its part of a request.
    fn record_across(&mut self, outcome: &Outcome) {
        let arrived = self.at(outcome.arrived);
        self.list[arrived].offered += 1;
        if !outcome.admitted.is_far() {
            let admitted = self.at(outcome.admitted);
            self.list[admitted].admitted += 1;
            self.spread(outcome.admitted, outcome.finished, |bin, nanos| bin.in_flight += nanos);
        }
        if Nanos::ZERO < outcome.queue_wait {
            let until = outcome.admitted.min(outcome.finished);
            self.spread(until - outcome.queue_wait, until, |bin, nanos| bin.queued += nanos);
        }
    }

    /// A stream has begun.
    pub(super) fn first_token(&mut self, now: Instant, ttft: Nanos) {
        let at = self.at(now);
        if self.ttft.at != at {
            self.close_ttft();
            self.ttft.at = at;
        }
        self.ttft.track.record(ttft);
    }

    /// A call that began at `started` is over.
    pub(super) fn call(&mut self, started: Instant, attained: bool) {
        let at = self.at(started);
        self.list[at].calls += 1;
        self.list[at].attained += u32::from(attained);
    }

    #[inline]
    pub(super) fn launched(&mut self, endpoint: usize, now: Instant) {
        self.on_endpoint(endpoint, now, |bin| bin.attempts += 1);
    }

    pub(super) fn failed(&mut self, endpoint: usize, now: Instant) {
        self.on_endpoint(endpoint, now, |bin| bin.failed += 1);
    }

    /// An endpoint was out of its pool.
    pub(super) fn ejected(&mut self, endpoint: usize, from: Instant, until: Instant) {
        if self.endpoints.len() <= endpoint {
            return;
        }
        let mut from = from;
        while from < until {
            let at = self.at(from);
            let end = self.end_of(at).min(until);
            let list = &mut self.endpoints[endpoint];
            if list.len() <= at {
                list.resize(at + 1, EndpointBin::default());
            }
            list[at].ejected += end.since(from).as_nanos();
            from = end;
        }
    }

    /// The run is over at `end`.
    pub(super) fn close(&mut self, end: Instant) {
        self.close_e2e();
        self.close_ttft();
        let len = self.at(end) + 1;
        self.list.truncate(len);
        for list in &mut self.endpoints {
            list.resize(len, EndpointBin::default());
        }
    }

    #[inline]
    fn on_endpoint(&mut self, endpoint: usize, now: Instant, change: impl FnOnce(&mut EndpointBin)) {
        if self.endpoints.len() <= endpoint {
            return;
        }
        let at = self.at(now);
        let list = &mut self.endpoints[endpoint];
        if list.len() <= at {
            list.resize(at + 1, EndpointBin::default());
        }
        change(&mut list[at]);
    }

    /// Adds the time from `from` to `until` to the bins that it falls into.
    fn spread(&mut self, mut from: Instant, until: Instant, add: impl Fn(&mut Bin, u64)) {
        while from < until {
            let at = self.at(from);
            let end = self.end_of(at).min(until);
            add(&mut self.list[at], end.since(from).as_nanos());
            from = end;
        }
    }

    fn close_e2e(&mut self) {
        if let Some(bin) = self.list.get_mut(self.e2e.at) {
            self.e2e.close(&mut bin.e2e);
        }
    }

    fn close_ttft(&mut self) {
        if let Some(bin) = self.list.get_mut(self.ttft.at) {
            self.ttft.close(&mut bin.ttft);
        }
    }

    fn end_of(&self, at: usize) -> Instant {
        Instant::EPOCH + self.width * (at as u64 + 1)
    }

    /// The bin of `now`, made where there is none yet.
    #[inline]
    fn at(&mut self, now: Instant) -> usize {
        if now.since(self.newest_from) < self.width && self.newest_from <= now && self.newest < self.list.len() {
            return self.newest;
        }
        self.look(now)
    }

    #[cold]
    fn look(&mut self, now: Instant) -> usize {
        loop {
            let at = now.as_nanos() / self.width.as_nanos();
            let found = match usize::try_from(at) {
                Ok(at) if at < self.list.len() => at,
                Ok(at) if at < MOST => {
                    self.list.resize(at + 1, Bin::default());
                    at
                }
                Ok(_) | Err(_) => {
                    self.widen();
                    continue;
                }
            };
            if self.newest_from <= now {
                self.newest = found;
                self.newest_from = Instant::EPOCH + self.width * at;
            }
            return found;
        }
    }

    /// Makes bins twice as wide, two of them one.
    fn widen(&mut self) {
        self.close_e2e();
        self.close_ttft();
        self.newest = usize::MAX;
        self.newest_from = Instant::EPOCH;
        self.width = self.width * 2;
        self.e2e.at /= 2;
        self.ttft.at /= 2;
        let pairs = self.list.chunks(2);
        self.list = pairs
            .map(|pair| pair.iter().copied().reduce(Bin::and).unwrap_or_default())
            .collect();
        for list in &mut self.endpoints {
            let pairs = list.chunks(2);
            *list = pairs
                .map(|pair| pair.iter().copied().reduce(EndpointBin::and).unwrap_or_default())
                .collect();
        }
    }
}

impl Gathering {
    fn new() -> Gathering {
        Gathering {
            at: 0,
            track: Track::coarse(),
        }
    }

    /// Notes what was gathered, if anything was.
    fn close(&mut self, quantiles: &mut [f32; 2]) {
        if 0 < self.track.count() {
            *quantiles = self::quantiles(&self.track);
            self.track.clear();
        }
    }
}

fn quantiles(track: &Track) -> [f32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "two digits are kept of it anyway")]
    let quantile = |share: f64| track.quantile(share).map_or(f32::NAN, |secs| secs as f32);
    [quantile(0.5), quantile(0.99)]
}

impl Bin {
    /// Two bins as one. Quantiles cannot be added: they are averaged, weighted by what was completed.
    fn and(self, other: Bin) -> Bin {
        let mut refused = self.refused;
        for (sum, more) in refused.iter_mut().zip(other.refused) {
            *sum += more;
        }
        let mix = |one: [f32; 2], two: [f32; 2]| {
            [0, 1].map(|at| match (one[at].is_nan(), two[at].is_nan()) {
                (true, _) => two[at],
                (_, true) => one[at],
                (false, false) => {
                    #[expect(clippy::cast_precision_loss, reason = "weights of an average")]
                    let (n, m) = (self.completed as f32, other.completed as f32);
                    (one[at] * n + two[at] * m) / (n + m)
                }
            })
        };
        Bin {
            offered: self.offered + other.offered,
            admitted: self.admitted + other.admitted,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            refused,
            calls: self.calls + other.calls,
            attained: self.attained + other.attained,
            in_flight: self.in_flight + other.in_flight,
            queued: self.queued + other.queued,
            e2e: mix(self.e2e, other.e2e),
            ttft: mix(self.ttft, other.ttft),
        }
    }
}

impl EndpointBin {
    fn and(self, other: EndpointBin) -> EndpointBin {
        EndpointBin {
            attempts: self.attempts + other.attempts,
            failed: self.failed + other.failed,
            ejected: self.ejected + other.ejected,
        }
    }
}

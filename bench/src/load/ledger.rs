//! What is taken down while requests come and go.

use std::collections::BTreeMap;

use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::{Instant, Nanos};
use tollgate_reports::result::ClientSummary;
use tollgate_sim::experiment::Strategy;
use tollgate_sim::record::{Measured, Quiet, Record, Track};
use tollgate_sim::workload::Call;

use super::failure::Failure;

/// Everything that was seen so far.
#[derive(Debug)]
pub(super) struct Ledger {
    measured: Measured,
    lag: Track,
    first_byte: Track,
    itl: Track,
    failures: BTreeMap<Failure, u64>,
    output_tokens: u64,
    /// Answers that said nothing of what they used.
    pub(super) unsaid: u64,
    /// Requests that were answered at all, with whatever.
    pub(super) answered: u64,
    /// Requests that failed without an answer since the last one that had one.
    pub(super) in_vain: u64,
    /// When the last request was sent.
    pub(super) last_sent: Instant,
}

/// What was sent, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// When it should have been sent.
    pub(super) intended: Instant,
    /// When it was; far if it was not.
    pub(super) at: Instant,
    /// When the head of the answer came; far if it did not.
    pub(super) first_byte: Instant,
}

impl Ledger {
    pub(super) fn new(strategy: &Strategy) -> Ledger {
        Ledger {
            measured: Measured::new(&strategy.plan),
            lag: Track::fine(),
            first_byte: Track::fine(),
            itl: Track::fine(),
            failures: BTreeMap::new(),
            output_tokens: 0,
            unsaid: 0,
            answered: 0,
            in_vain: 0,
            last_sent: Instant::EPOCH,
        }
    }

    /// Requests so far.
    pub(super) fn begun(&self) -> u64 {
        self.measured.begun()
    }

    /// A call was to begin.
    pub(super) fn call_began(&mut self, at: Instant) {
        self.measured.call_began(at);
    }

    /// A request begins.
    pub(super) fn arrived(&mut self) {
        self.measured.arrived();
    }

    /// Tokens of a stream have come at `now`; the one before at `last`, far if there was none.
    pub(super) fn tokens(&mut self, arrived: Instant, last: Instant, now: Instant, count: u32) {
        let mut further = count;
        if last.is_far() {
            self.measured.first_token(now, arrived);
            further = count.saturating_sub(1);
        }
        if !self.measured.is_counted(arrived) {
            return;
        }
        if !last.is_far() && 0 < further {
            self.itl.record(now.since(last));
            further -= 1;
        }
        // Those that came in one piece.
        for _ in 0..further {
            self.itl.record(Nanos::ZERO);
        }
    }

    /// A request is over.
    pub(super) fn finished(&mut self, call: &Call, sent: Sent, outcome: &Outcome, failure: Option<Failure>) {
        self.measured.finished(call, outcome);
        if !sent.at.is_far() {
            self.last_sent = self.last_sent.max(sent.at);
        }
        let is_heard = !sent.first_byte.is_far();
        self.answered += u64::from(is_heard);
        self.in_vain = match failure {
            Some(failure) if !failure.is_answered() => self.in_vain + 1,
            Some(_) | None => 0,
        };
        if !self.measured.is_counted(outcome.arrived) {
            return;
        }
        if !sent.at.is_far() {
            self.lag.record(sent.at.since(sent.intended));
        }
        if is_heard {
            self.first_byte.record(sent.first_byte.since(sent.intended));
        }
        if let Some(failure) = failure {
            *self.failures.entry(failure).or_default() += 1;
        }
        if outcome.end == End::Completed {
            self.output_tokens += u64::from(outcome.usage.output);
        }
    }

    /// A call is over.
    pub(super) fn call_ended(&mut self, started: Instant, attained: bool) {
        self.measured.call_ended(started, attained);
    }

    /// What failed most often, and how often.
    pub(super) fn failures(&self) -> Vec<(Failure, u64)> {
        let mut list: Vec<(Failure, u64)> = self.failures.iter().map(|(failure, n)| (*failure, *n)).collect();
        list.sort_by_key(|(failure, n)| (std::cmp::Reverse(*n), *failure));
        list
    }

    /// The 99th percentile of how late requests were sent, in seconds of the scenario.
    pub(super) fn lag_p99(&self) -> Option<f64> {
        self.lag.quantile(0.99)
    }

    /// The run is over at `end`, `counted` seconds after the warm-up.
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    pub(super) fn finish(self, end: Instant, horizon: Option<Nanos>, warmup: Nanos) -> (Record<Quiet>, ClientSummary) {
        let failures = self
            .failures
            .iter()
            .map(|(failure, n)| (failure.to_string(), *n as f64));
        let mut client = ClientSummary {
            send_lag: self.lag.figures(),
            first_byte: self.first_byte.figures(),
            itl: self.itl.figures(),
            failures: failures.collect(),
            ..ClientSummary::default()
        };
        let record = self.measured.finish(end, horizon);
        let seconds = (record.horizon - warmup).as_secs_f64();
        client.output_tokens_per_second = (0.0 < seconds).then(|| self.output_tokens as f64 / seconds);
        client.sent = record.begun as f64;
        (record, client)
    }
}

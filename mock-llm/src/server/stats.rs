//! What a server has seen, for tests and for people.

use std::collections::{BTreeMap, VecDeque};

use serde::{Serialize, Serializer};
use tollgate_core::dice::RequestDice;
use tollgate_core::time::Instant;

/// What a server has seen since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// What the scenario calls the backend.
    pub backend: String,
    /// When this was asked, since the clock began. In JSON, instants are seconds.
    #[serde(serialize_with = "seconds")]
    pub at: Instant,
    /// Connections that are open.
    pub connections: u64,
    /// Streams whose head was sent and whose end was not.
    pub open_streams: u64,
    /// Attempts that the backend works on, or is silent about.
    pub jobs: u64,
    /// Answers by path and by how they began: a status, `refused` (no connection), `reset` or `garbage` (no answer that
    /// could be read), or `gone` (the client did not wait for it).
    pub requests: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Attempts by their number, as [`ATTEMPT`](super::ATTEMPT) gives it; those from 15 on are counted as 15.
    pub attempts: BTreeMap<u32, u64>,
    /// How many attempts the client has cancelled by hanging up.
    pub cancelled: u64,
    /// The latest of them, at most 4,096.
    pub cancellations: VecDeque<Cancellation>,
}

/// A client has hung up on an attempt that was not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cancellation {
    /// The dice of the request, as [`DICE`](super::DICE) gives them.
    #[serde(serialize_with = "bits")]
    pub dice: RequestDice,
    /// Which attempt of the request.
    pub attempt: u32,
    /// When.
    #[serde(serialize_with = "seconds")]
    pub at: Instant,
}

/// Whose an attempt is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) dice: RequestDice,
    pub(super) attempt: u32,
}

/// What is taken down as it happens.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) connections: u64,
    pub(super) open_streams: u64,
    requests: BTreeMap<&'static str, BTreeMap<String, u64>>,
    attempts: BTreeMap<u32, u64>,
    cancelled: u64,
    cancellations: VecDeque<Cancellation>,
}

const MOST_CANCELLATIONS: usize = 4_096;
const LAST_ATTEMPT: u32 = 15;

impl Record {
    pub(super) fn arrived(&mut self, subject: Subject) {
        *self.attempts.entry(subject.attempt.min(LAST_ATTEMPT)).or_default() += 1;
    }

    /// Paths are those of the server, so that there are no more than it has; statuses are few.
    pub(super) fn answered(&mut self, path: &'static str, beginning: String) {
        *self.requests.entry(path).or_default().entry(beginning).or_default() += 1;
    }

    pub(super) fn cancelled(&mut self, subject: Subject, at: Instant) {
        self.cancelled += 1;
        if self.cancellations.len() == MOST_CANCELLATIONS {
            self.cancellations.pop_front();
        }
        self.cancellations.push_back(Cancellation {
            dice: subject.dice,
            attempt: subject.attempt,
            at,
        });
    }

    pub(super) fn stats(&self, backend: &str, jobs: usize, at: Instant) -> Stats {
        Stats {
            backend: backend.to_owned(),
            at,
            connections: self.connections,
            open_streams: self.open_streams,
            jobs: jobs as u64,
            requests: self.requests.clone(),
            attempts: self.attempts.clone(),
            cancelled: self.cancelled,
            cancellations: self.cancellations.clone(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde asks")]
fn seconds<S: Serializer>(at: &Instant, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(at.as_secs_f64())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde asks")]
fn bits<S: Serializer>(dice: &RequestDice, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{:016x}", dice.to_bits()))
}

//! Outlier detection, as Envoy has it: who fails in a row, and who is worse than its peers.

use super::peers::{self, Peer};
use crate::dice::Rng;
use crate::fault::Fault;
use crate::policy;
use crate::policy::Percent;
use crate::time::{Instant, Nanos};

/// Ejects endpoints that fail in a row at once, and once an interval those that are worse than the others.
///
/// ```text
///  t        0s        10s        20s        30s        40s        50s
///  sweeps   ┼──────────┼──────────┼──────────┼──────────┼──────────┼──
///  endpoint ───●●●●● ejected for 30 s ───────────────────┤ back, and for 10 s multiplied by 2
///              12s                           42s ────────▶ 50s, the next sweep
/// ```
///
/// As `outlier_detection_impl.cc` of Envoy, with `split_external_local_origin_errors` off, its default: an answer of
/// status 500 to 599 is a failure, of 502, 503 and 504 a gateway failure; what fails without an answer is taken for
/// a 503 or 504. Any other answer is a success, a 429 too. An ejection lasts its base time multiplied by how often
/// the endpoint was ejected lately: the multiplier goes up by one with each ejection and down by one with each
/// sweep that finds the endpoint in its pool. Only sweeps end ejections.
///
/// Sweeps are at whole multiples of the interval after the epoch, however late the gate is woken. Never more than
/// `max_ejection_percent` of a pool are out, except that one endpoint always may be (`always_eject_one_host`).
///
/// **Where it is wrong:** in pools of fewer than five endpoints and below ten attempts a second each, only rows of
/// failures count, for there is nothing to compare. When most endpoints are bad nobody is an outlier. And after its
/// ejection an endpoint gets all its traffic back at once: there is no half-open state, only slow start.
///
/// ```
/// use tollgate_core::health::{Answer, Cause, Outlier, Suspect};
/// use tollgate_core::policy;
/// use tollgate_core::time::Instant;
///
/// let law = Outlier::new(&policy::Outlier::default());
/// let mut suspect = Suspect::default();
/// for _ in 0..4 {
///     assert_eq!(law.record(&mut suspect, Answer::Failure), [None, None]);
/// }
/// assert_eq!(law.record(&mut suspect, Answer::Failure), [None, Some(Cause::Consecutive5xx)]);
///
/// let until = law.eject(&mut suspect, Instant::from_secs(12));
/// assert_eq!(until, Instant::from_secs(50), "30 s later, at the next sweep");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    numbers: policy::Outlier,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspect {
    /// Failures since the last success, or the last ejection for them.
    failures: u32,
    gateway_failures: u32,
    /// Of the present interval.
    peer: Peer,
    /// By what the base time is multiplied.
    multiplier: u32,
    /// The sweep that ends the ejection; the epoch if it is not ejected.
    until: Instant,
}

/// What an attempt says about its endpoint, as Envoy reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Anything but a 5xx.
    Success,
    /// A 5xx that is no gateway failure.
    Failure,
    /// A 502, 503 or 504; no connection, a timeout, a broken stream.
    GatewayFailure,
}

/// What an endpoint is suspected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Failures in a row.
    Consecutive5xx,
    /// Gateway failures in a row.
    ConsecutiveGatewayFailure,
    /// A success rate far below the mean.
    SuccessRate,
    /// Too many failures.
    FailurePercentage,
}

/// What a sweep finds at one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Its ejection has ended.
    pub restored: bool,
    /// Its interval, to be compared; none if it is ejected or nothing was sent to it.
    pub peer: Option<Peer>,
}

impl Answer {
    /// What an attempt says that ended with `fault`, after an answer of `status` if there was one. None if it says
    /// nothing: a connection that we had none of is not the endpoint's.
    #[must_use]
    pub const fn of(fault: Fault, status: Option<u16>) -> Option<Answer> {
        let status = match (status, fault) {
            (Some(status), _) => status,
            (None, Fault::Connect | Fault::Timeout | Fault::Stream | Fault::Overloaded) => 503,
            (None, Fault::Server) => 500,
            (None, Fault::RateLimited | Fault::Client | Fault::QuotaExhausted | Fault::Credential) => 400,
            (None, Fault::NoConnection) => return None,
        };
        Some(match status {
            502..=504 => Answer::GatewayFailure,
            500..=599 => Answer::Failure,
            _ => Answer::Success,
        })
    }
}

impl Suspect {
    /// Until when it is ejected, in the past if no sweep has come since; the epoch if it is not.
    #[must_use]
    pub const fn ejected_until(&self) -> Instant {
        self.until
    }

    /// How often it was ejected lately: by what the base time of its last ejection was multiplied, less one for
    /// each healthy interval since.
    #[must_use]
    pub const fn multiplier(&self) -> u32 {
        self.multiplier
    }

    fn is_ejected(&self) -> bool {
        self.until != Instant::EPOCH
    }
}

impl Outlier {
    /// The law with these numbers.
    #[must_use]
    pub const fn new(numbers: &policy::Outlier) -> Outlier {
        Outlier { numbers: *numbers }
    }

    /// Counts an attempt that has ended; what its endpoint is now suspected for, the gateway's row first.
    ///
    /// A row that is found begins anew, whether or not the endpoint is then ejected. An ejected endpoint is
    /// counted, and not suspected.
    pub fn record(&self, suspect: &mut Suspect, answer: Answer) -> [Option<Cause>; 2] {
        suspect.peer.count(answer == Answer::Success);
        match answer {
            Answer::Success => (suspect.failures, suspect.gateway_failures) = (0, 0),
            Answer::Failure => {
                suspect.failures = suspect.failures.saturating_add(1);
                suspect.gateway_failures = 0;
            }
            Answer::GatewayFailure => {
                suspect.failures = suspect.failures.saturating_add(1);
                suspect.gateway_failures = suspect.gateway_failures.saturating_add(1);
            }
        }
        if suspect.is_ejected() {
            return [None, None];
        }
        let gateway = self.numbers.consecutive_gateway_failure.length.get() <= suspect.gateway_failures;
        let any = self.numbers.consecutive_5xx.length.get() <= suspect.failures;
        if gateway {
            suspect.gateway_failures = 0;
        }
        if any {
            suspect.failures = 0;
        }
        [
            gateway.then_some(Cause::ConsecutiveGatewayFailure),
            any.then_some(Cause::Consecutive5xx),
        ]
    }

    /// Whether one more of `endpoints` may be ejected when `ejected` are.
    #[must_use]
    pub fn has_room(&self, ejected: u64, endpoints: usize) -> bool {
        let share = u64::from(self.numbers.max_ejection_percent.get()).saturating_mul(endpoints as u64);
        ejected == 0 || ejected.saturating_add(1).saturating_mul(100) <= share
    }

    /// Whether what is suspected for `cause` is ejected indeed.
    #[must_use]
    pub fn enforces(&self, cause: Cause, rng: &mut Rng) -> bool {
        let percent = match cause {
            Cause::Consecutive5xx => self.numbers.consecutive_5xx.enforcing,
            Cause::ConsecutiveGatewayFailure => self.numbers.consecutive_gateway_failure.enforcing,
            Cause::SuccessRate => self.numbers.success_rate.enforcing,
            Cause::FailurePercentage => self.numbers.failure_percentage.enforcing,
        };
        match percent {
            Percent::NONE => false,
            Percent::ALL => true,
            percent => rng.below(100) < u64::from(percent.get()),
        }
    }

    /// Ejects the endpoint, which is not ejected; until when.
    pub fn eject(&self, suspect: &mut Suspect, now: Instant) -> Instant {
        debug_assert!(!suspect.is_ejected(), "who is out is not ejected again");
        let base = self.numbers.base_ejection_time;
        let most = self.numbers.max_ejection_time;
        // Beyond this it would only take longer to come down again.
        if base * u64::from(suspect.multiplier) < most + base {
            suspect.multiplier = suspect.multiplier.saturating_add(1);
        }
        suspect.until = self.sweep_at(now + self.length(suspect.multiplier));
        suspect.until
    }

    /// How long the `nth` ejection lasts, before it is rounded up to a sweep.
    #[must_use]
    pub fn length(&self, nth: u32) -> Nanos {
        let base = self.numbers.base_ejection_time;
        (base * u64::from(nth)).min(self.numbers.max_ejection_time)
    }

    /// The first sweep at `now` or after it.
    #[must_use]
    pub fn sweep_at(&self, now: Instant) -> Instant {
        let interval = self.numbers.interval.as_nanos().max(1);
        let sweeps = now.as_nanos().div_ceil(interval);
        Instant::EPOCH + Nanos::from_nanos(interval) * sweeps
    }

    /// The first sweep after `now`.
    #[must_use]
    pub fn sweep_after(&self, now: Instant) -> Instant {
        self.sweep_at(now + Nanos::from_nanos(1))
    }

    /// The sweep before that at `sweep`.
    #[must_use]
    pub fn sweep_before(&self, sweep: Instant) -> Instant {
        sweep - self.numbers.interval
    }

    /// A sweep comes to the endpoint: ends its ejection or a healthy interval, and takes its counts.
    pub fn sweep(&self, suspect: &mut Suspect, at: Instant) -> Swept {
        let restored = suspect.is_ejected() && suspect.until <= at;
        if restored {
            suspect.until = Instant::EPOCH;
            (suspect.failures, suspect.gateway_failures) = (0, 0);
        } else if !suspect.is_ejected() {
            suspect.multiplier = suspect.multiplier.saturating_sub(1);
        }
        let peer = core::mem::take(&mut suspect.peer);
        Swept {
            restored,
            peer: (!suspect.is_ejected() && 0 < peer.attempts).then_some(peer),
        }
    }

    /// Who of `peers` is suspected after an interval, in their order: first all for their success rate, then all
    /// for their failures.
    pub fn suspects<'a>(&'a self, peers: &'a [(usize, Peer)]) -> impl Iterator<Item = (usize, Cause)> + 'a {
        let rate = &self.numbers.success_rate;
        let share = &self.numbers.failure_percentage;
        let sums = peers::Sums::of(peers, rate.volume);
        let slow = peers
            .iter()
            .filter(move |(_, peer)| sums.is_outlier(*peer, rate))
            .map(|(at, _)| (*at, Cause::SuccessRate));
        let enough = peers::enough(peers, share.volume);
        let failing = peers
            .iter()
            .filter(move |(_, peer)| enough && peer.fails(share))
            .map(|(at, _)| (*at, Cause::FailurePercentage));
        slow.chain(failing)
    }
}

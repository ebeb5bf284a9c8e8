//! Why we answer a client ourselves.

use crate::fault::Fault;
use crate::id::LimitId;
use crate::time::{Instant, Nanos};

/// Why a request was not answered by an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A limit binds.
    Limited {
        /// The one with the longest wait.
        limit: LimitId,
        /// When the request could be admitted; [`Instant::FAR`] if nobody can tell.
        until: Instant,
        /// Its key shares a state with others, because there were too many keys.
        overflow: bool,
    },
    /// The pool's queue was full.
    QueueFull,
    /// It waited too long for a permit.
    QueueTimeout,
    /// Overload: the queue gave it up, or the throttle of its pool turned it away.
    Shed,
    /// No endpoint can serve it now.
    NoEndpoint {
        /// When the first could again; [`Instant::FAR`] if nobody can tell.
        until: Instant,
    },
    /// No route matches.
    NoRoute,
    /// Everything that the policy allows was tried.
    OutOfAttempts {
        /// How the last attempt failed.
        fault: Fault,
        /// When another attempt could be made; [`Instant::FAR`] if nobody can tell, or at once.
        until: Instant,
    },
    /// The total timeout has passed.
    Deadline,
    /// It asks for more than a limit or any endpoint can ever hold.
    TooLarge {
        /// The limit; none: no endpoint is able.
        limit: Option<LimitId>,
    },
    /// The key is missing, unknown or may not do this.
    Unauthorized,
}

/// What a client that was refused is told about coming back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// After how long.
    pub retry_after: Option<Nanos>,
    /// Whether at all; nothing if its own rules may decide.
    pub should_retry: Option<bool>,
}

impl Refusal {
    /// The names of all causes, in the order of [`Refusal::cause`].
    pub const CAUSES: [&'static str; 10] = [
        "limited",
        "queue_full",
        "queue_timeout",
        "shed",
        "no_endpoint",
        "no_route",
        "out_of_attempts",
        "deadline",
        "too_large",
        "unauthorized",
    ];

    /// The position of its cause in [`Refusal::CAUSES`].
    #[must_use]
    pub const fn cause(self) -> usize {
        match self {
            Refusal::Limited { .. } => 0,
            Refusal::QueueFull => 1,
            Refusal::QueueTimeout => 2,
            Refusal::Shed => 3,
            Refusal::NoEndpoint { .. } => 4,
            Refusal::NoRoute => 5,
            Refusal::OutOfAttempts { .. } => 6,
            Refusal::Deadline => 7,
            Refusal::TooLarge { .. } => 8,
            Refusal::Unauthorized => 9,
        }
    }

    /// The name of its cause in metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Refusal::CAUSES[self.cause()]
    }

    /// When it makes sense to come back, if anybody can tell.
    #[must_use]
    pub fn until(self) -> Option<Instant> {
        match self {
            Refusal::Limited { until, .. } | Refusal::NoEndpoint { until } => (!until.is_far()).then_some(until),
            // What is wrong with the request itself does not pass.
            Refusal::OutOfAttempts { fault, until } => (fault != Fault::Client && !until.is_far()).then_some(until),
            Refusal::QueueFull
            | Refusal::QueueTimeout
            | Refusal::Shed
            | Refusal::NoRoute
            | Refusal::Deadline
            | Refusal::TooLarge { .. }
            | Refusal::Unauthorized => None,
        }
    }

    /// How long a client is told to wait, in whole milliseconds, and whether to come back at all.
    ///
    /// SDKs sleep through any wait they are told: one of more than two minutes says not to come back instead.
    /// A quota that does not refill, and a request that can never be served, say so too.
    #[must_use]
    pub fn advice(self, now: Instant) -> Advice {
        const MOST: Nanos = Nanos::from_secs(120);
        const MILLI: u64 = 1_000_000;
        let wait = self.until().map(|until| {
            let millis = until.since(now).as_nanos().div_ceil(MILLI);
            Nanos::from_millis(millis.max(1))
        });
        let hopeless = match self {
            Refusal::TooLarge { .. } | Refusal::NoRoute | Refusal::Unauthorized => true,
            Refusal::OutOfAttempts { fault, .. } => matches!(fault, Fault::Client | Fault::QuotaExhausted),
            Refusal::Limited { .. }
            | Refusal::QueueFull
            | Refusal::QueueTimeout
            | Refusal::Shed
            | Refusal::NoEndpoint { .. }
            | Refusal::Deadline => false,
        };
        Advice {
            retry_after: wait,
            should_retry: (hopeless || wait.is_some_and(|wait| MOST < wait)).then_some(false),
        }
    }

    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Refusal::Limited { .. } => 429,
            Refusal::QueueFull | Refusal::QueueTimeout | Refusal::Shed | Refusal::NoEndpoint { .. } => 503,
            Refusal::NoRoute => 404,
            Refusal::OutOfAttempts { fault, .. } => match fault {
                Fault::Connect | Fault::Server | Fault::Stream => 502,
                Fault::Timeout => 504,
                Fault::RateLimited => 429,
                Fault::NoConnection | Fault::Overloaded | Fault::QuotaExhausted | Fault::Credential => 503,
                Fault::Client => 400,
            },
            Refusal::Deadline => 504,
            Refusal::TooLarge { .. } => 400,
            Refusal::Unauthorized => 401,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fail_again_is_not_to_be_tried_again() {
        let now = Instant::from_secs(10);
        let until = now + Nanos::from_secs(3);
        for fault in Fault::ALL {
            let advice = Refusal::OutOfAttempts { fault, until }.advice(now);
            let is_hopeless = matches!(fault, Fault::Client | Fault::QuotaExhausted);
            assert_eq!(advice.should_retry, is_hopeless.then_some(false), "{fault:?}");
            let wait = (fault != Fault::Client).then_some(Nanos::from_secs(3));
            assert_eq!(advice.retry_after, wait, "{fault:?}");
        }
    }

    #[test]
    fn waits_are_told_up_to_two_minutes() {
        let now = Instant::from_secs(10);
        let advice = |nanos| {
            let until = now + Nanos::from_nanos(nanos);
            Refusal::NoEndpoint { until }.advice(now)
        };
        assert_eq!(advice(0).retry_after, Some(Nanos::from_millis(1)));
        assert_eq!(advice(1_000_001).retry_after, Some(Nanos::from_millis(2)));
        assert_eq!(advice(120_000_000_000).should_retry, None);
        assert_eq!(advice(120_000_000_001).should_retry, Some(false));
        let nobody_knows = Refusal::NoEndpoint { until: Instant::FAR };
        assert_eq!(nobody_knows.advice(now), Advice::default());
    }
}

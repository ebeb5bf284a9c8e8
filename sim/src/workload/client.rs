//! What a client does when the answer is not what it wanted: it asks again, by the rules of its SDK.
//!
//! An SDK multiplies load exactly when there is too much of it, so a simulation that leaves it out is too kind to
//! every policy. The rules of `openai-python` (3.54) and `openai-node` (6.49) were measured against a server; the tests name them.
//!
//! | | `openai-python` | `openai-node` |
//! |---|---|---|
//! | retries by itself | connection errors, timeouts, 408, 409, 429, 5xx | the same |
//! | `x-should-retry` | wins over the status | the same |
//! | backoff | 0.5 s doubling up to 8 s, less up to a quarter | the same |
//! | asked to wait over 120 s | gives up, whatever `x-should-retry` says | waits |
//! | asked to wait 0, or rubbish | ignores it: backoff | retries after 1 ms |

use tollgate_core::dice::Rng;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;

use super::error::Faults;

/// The most retries of a client.
pub const MAX_RETRIES: u32 = 1_000;
/// Longest that `openai-python` lets itself be asked to wait.
const PYTHON_PATIENCE: Nanos = Nanos::from_secs(120);
/// Longest that a timer of Node's can run; a longer one fires at once.
const NODE_TIMER: Nanos = Nanos::from_millis(0x7fff_ffff);
/// Shortest that a timer of Node's can run.
const NODE_TICK: Nanos = Nanos::from_millis(1);

/// What a scenario says about clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSpec {
    /// Whose rules it follows.
    pub kind: ClientKind,
    /// How long it waits for each request; [`Nanos::FOREVER`] without end. `None` is what its kind does.
    pub timeout: Option<Nanos>,
    /// How often it asks again at most. `None` is what its kind does.
    pub max_retries: Option<u32>,
    /// How long the person waits for the whole call.
    pub patience: Patience,
}

/// Whose rules a client follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ClientKind {
    /// Asks once and never again.
    FireAndForget,
    /// The official SDK for Python.
    #[default]
    OpenaiPython,
    /// The official SDK for JavaScript.
    OpenaiNode,
    /// Rules of one's own: statuses and `x-should-retry` as in the SDKs.
    Custom {
        /// The delay when nobody says how long to wait.
        backoff: BackoffSpec,
        /// Whether it waits as long as it is asked to.
        honours_retry_after: bool,
    },
}

/// The delay before a client's retry: `base` doubled each time up to `max`, less up to the share `jitter` of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffSpec {
    /// Before the first retry.
    pub base: Nanos,
    /// The longest.
    pub max: Nanos,
    /// The random share that is taken off: 0 for none, 1 for full jitter.
    pub jitter: f64,
}

/// How long a person waits before leaving for good.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Patience {
    /// As long as it takes.
    #[default]
    None,
    /// So many seconds from the arrival of the call, drawn once a call.
    Within(Distribution),
}

/// How a request ended that did not succeed, as its client sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; none for a connection error, a stream cut before its first byte or the client's own timeout.
    pub status: Option<u16>,
    /// How long the server asks to wait: `retry-after-ms`, else `retry-after`. A value that cannot be read is zero,
    /// which every client treats the same.
    pub retry_after: Option<Nanos>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
}

/// The rules of a checked client.
///
/// ```
/// use tollgate_core::dice::Rng;
/// use tollgate_core::time::Nanos;
/// use tollgate_sim::workload::{Answer, Client, ClientSpec};
///
/// let client = Client::new(&ClientSpec::default())?;
/// let limited = Answer { status: Some(429), retry_after: Some(Nanos::from_millis(1200)), should_retry: None };
/// assert_eq!(client.next(0, &limited, &mut Rng::new(1)), Some(Nanos::from_millis(1200)));
/// assert_eq!(client.next(2, &limited, &mut Rng::new(1)), None);
/// # Ok::<(), tollgate_sim::workload::WorkloadErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    kind: ClientKind,
    backoff: BackoffSpec,
    timeout: Nanos,
    max_retries: u32,
    patience: Patience,
}

impl Default for ClientSpec {
    /// `openai-python` as it comes, for a person who waits as long as it takes.
    fn default() -> ClientSpec {
        ClientSpec {
            kind: ClientKind::default(),
            timeout: None,
            max_retries: None,
            patience: Patience::None,
        }
    }
}

impl BackoffSpec {
    /// That of both SDKs.
    pub const SDK: BackoffSpec = BackoffSpec {
        base: Nanos::from_millis(500),
        max: Nanos::from_secs(8),
        jitter: 0.25,
    };

    /// The delay before the retry that follows `retries` earlier ones.
    fn delay(&self, retries: u32, rng: &mut Rng) -> Nanos {
        let doubled = self.base * 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
        let delay = doubled.min(self.max);
        Nanos::from_secs_f64(delay.as_secs_f64() * (1.0 - self.jitter * rng.uniform()))
    }
}

impl Client {
    /// The rules of `spec`, with what its kind does where it says nothing.
    ///
    /// # Errors
    ///
    /// Every impossible number.
    pub fn new(spec: &ClientSpec) -> Result<Client, super::WorkloadErrors> {
        let mut faults = Faults::default();
        spec.check_into(&mut faults);
        faults.finish()?;
        let retries = match spec.kind {
            ClientKind::FireAndForget => 0,
            ClientKind::OpenaiPython | ClientKind::OpenaiNode | ClientKind::Custom { .. } => 2,
        };
        let backoff = match spec.kind {
            ClientKind::Custom { backoff, .. } => backoff,
            ClientKind::FireAndForget | ClientKind::OpenaiPython | ClientKind::OpenaiNode => BackoffSpec::SDK,
        };
        Ok(Client {
            kind: spec.kind,
            backoff,
            timeout: spec.timeout.unwrap_or(Nanos::from_secs(600)),
            max_retries: match spec.kind {
                ClientKind::FireAndForget => 0,
                ClientKind::OpenaiPython | ClientKind::OpenaiNode | ClientKind::Custom { .. } => {
                    spec.max_retries.unwrap_or(retries)
                }
            },
            patience: spec.patience.clone(),
        })
    }

    /// How long it waits for each request before it hangs up; [`Nanos::FOREVER`] without end.
    #[must_use]
    pub const fn timeout(&self) -> Nanos {
        self.timeout
    }

    /// How long the person waits for the whole call; none without end.
    #[must_use]
    pub fn patience(&self, rng: &mut Rng) -> Option<Nanos> {
        match &self.patience {
            Patience::None => None,
            Patience::Within(seconds) => Some(seconds.sample_secs(rng)),
        }
    }

    /// After how long it asks again, or none if it gives up. `retries` is how often it already asked again for this
    /// call: 0 when the first request has failed.
    ///
    /// An answer below 400 is a success and never asked for again.
    #[must_use]
    pub fn next(&self, retries: u32, answer: &Answer, rng: &mut Rng) -> Option<Nanos> {
        if self.max_retries <= retries || answer.status.is_some_and(|status| status < 400) {
            return None;
        }
        match self.kind {
            ClientKind::FireAndForget => None,
            ClientKind::OpenaiPython => {
                if answer.retry_after.is_some_and(|wait| PYTHON_PATIENCE < wait) || !is_retried(answer) {
                    return None;
                }
                let asked = answer.retry_after.filter(|wait| *wait != Nanos::ZERO);
                Some(asked.unwrap_or_else(|| self.backoff.delay(retries, rng)))
            }
            ClientKind::OpenaiNode => is_retried(answer).then(|| match answer.retry_after {
                Some(wait) if NODE_TIMER < wait => NODE_TICK,
                Some(wait) => wait.max(NODE_TICK),
                None => self.backoff.delay(retries, rng),
            }),
            ClientKind::Custom {
                backoff,
                honours_retry_after,
            } => is_retried(answer).then(|| {
                let asked = answer.retry_after.filter(|_| honours_retry_after);
                asked.unwrap_or_else(|| backoff.delay(retries, rng))
            }),
        }
    }
}

impl ClientSpec {
    pub(crate) fn check_into(&self, faults: &mut Faults) {
        if let Some(retries) = self.max_retries {
            faults.within("client.max_retries", f64::from(retries), 0.0, f64::from(MAX_RETRIES));
        }
        if let Some(timeout) = self.timeout.filter(|timeout| !timeout.is_forever()) {
            faults.within("client.timeout", timeout.as_secs_f64(), 1e-6, 1e9);
        }
        if let ClientKind::Custom { backoff, .. } = &self.kind {
            faults.within("client.backoff.jitter", backoff.jitter, 0.0, 1.0);
            faults.within(
                "client.backoff.max",
                backoff.max.as_secs_f64(),
                backoff.base.as_secs_f64(),
                1e9,
            );
        }
    }
}

/// What both SDKs retry.
const fn is_retried(answer: &Answer) -> bool {
    match (answer.should_retry, answer.status) {
        // Without an answer there is no header to obey.
        (_, None) => true,
        (Some(should_retry), Some(_)) => should_retry,
        (None, Some(status)) => matches!(status, 408 | 409 | 429) || 500 <= status,
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

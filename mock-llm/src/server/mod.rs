//! A backend as an HTTP server: the second driver of the model.
//!
//! [`MockServer`] answers as OpenAI's API does, with the latencies, quotas and faults of a modeled backend, in real time.
//! It decides nothing about them: the backend is the simulator's, and an attempt that says which dice it has
//! ([`DICE`], [`ATTEMPT`]) meets here what it would meet there, to the nanosecond of the [`Clock`].
//!
//! | Law | Test |
//! |---|---|
//! | Each token is on its way at the instant at which the model sends it. | `tokens_come_at_their_instants` |
//! | The same seed gives the same bytes. | `the_same_seed_gives_the_same_bytes` |
//! | An attempt meets what it meets in the simulator. | `a_server_is_its_model` |
//! | A client that hangs up cancels its attempt at that instant. | `hanging_up_cancels_at_once` |
//! | Everything in the model that can go wrong goes wrong on the wire. | `an_outage_answers_its_status`, `a_refused_connection_is_reset`, `a_black_hole_is_silent`, `a_truncated_stream_has_no_end` |
//!
//! Times in headers are those of the clock: where it runs ten times as fast, a `retry-after` of 10 is over in a second.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tollgate_mock_llm::clock::ManualClock;
//! use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
//! use tollgate_mock_llm::server::MockServer;
//!
//! let clock = ManualClock::new();
//! clock.clone().runtime()?.block_on(async move {
//!     let api = ApiSpec::profile("gpt-4o-mini").expect("a known name");
//!     let server = MockServer::builder(BackendSpec::new("alpha", Kind::Api(api)))
//!         .clock(Arc::new(clock))
//!         .start()
//!         .expect("the numbers of a profile are in range");
//!     let connection = server.connect().expect("nothing is wrong with it yet");
//!     // Speak HTTP over `connection`, or let `server.listen(listener)` take connections of a socket.
//!     drop(connection);
//!     assert_eq!(server.stats().cancelled, 0);
//! });
//! # Ok::<(), std::io::Error>(())
//! ```

mod ask;
mod driver;
mod fault;
mod handler;
mod line;
mod listen;
mod refusal;
mod route;
mod shape;
mod standing;
mod stats;
mod stream;
mod text;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tollgate_core::dice::Dice;
use tollgate_core::time::Nanos;

use crate::clock::{Clock, SystemClock};
use crate::draw::{Distribution, OutOfRange};
use crate::model::{AnyBackend, Backend as _, BackendSpec, Probe};

pub use fault::{Fault, WireFault, WireKind};
pub use stats::{Cancellation, Stats};

use driver::Driver;
use fault::Faults;

/// The header that says which dice a request has: 16 hexadecimal digits, as
/// [`to_bits`](tollgate_core::dice::RequestDice::to_bits) gives them. Without it the server takes dice of its own.
pub const DICE: &str = "x-tollgate-dice";
/// The header that says which attempt of its request this is; 0 without it.
pub const ATTEMPT: &str = "x-tollgate-attempt";
/// The header that says how many tokens the answer has, instead of a draw.
pub const OUTPUT_TOKENS: &str = "x-mock-output-tokens";
/// The header that says how many tokens the prompt has, instead of a fourth of its bytes.
pub const PROMPT_TOKENS: &str = "x-mock-prompt-tokens";
/// The header that says how urgent a request is, to backends that care: `high`, `normal` or `low`.
pub const PRIORITY: &str = "x-mock-priority";

/// A backend that is served. Clones are the same server; it ends with the last of them, or with [`stop`](MockServer::stop).
#[derive(Clone, Debug)]
pub struct MockServer {
    shared: Arc<Shared>,
    _keeper: Arc<Keeper>,
}

/// What a server is before it starts.
#[derive(Clone, Debug)]
pub struct Builder {
    spec: BackendSpec,
    clock: Option<Arc<dyn Clock>>,
    dice: Dice,
    models: Vec<String>,
    api_key: Option<String>,
    output_tokens: Option<Distribution>,
    way: Option<Distribution>,
    lump: Nanos,
}

#[derive(Debug)]
struct Shared {
    name: String,
    driver: Arc<Driver>,
    faults: Mutex<Faults>,
    models: Vec<String>,
    api_key: Option<String>,
    output_tokens: Distribution,
    way: Option<Distribution>,
    /// The dice of requests that bring none, and how many there were.
    dice: Dice,
    asked: AtomicU64,
    /// Whatever else was asked.
    other: AtomicU64,
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// Rings for the backend until the last server is gone.
#[derive(Debug)]
struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Most connections at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4_096;

impl Builder {
    /// Tells the time by `clock`; otherwise by the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Builder {
        self.clock = Some(clock);
        self
    }

    /// Draws everything from `dice`: those of the backend, by its place in its scenario, as
    /// [`AnyBackend::new`] takes them.
    #[must_use]
    pub fn dice(mut self, dice: Dice) -> Builder {
        self.dice = dice;
        self
    }

    /// Serves these models and answers 404 for any other; with none, any name will do.
    #[must_use]
    pub fn models(mut self, models: Vec<String>) -> Builder {
        self.models = models;
        self
    }

    /// Answers 401 to whoever does not bring this key.
    #[must_use]
    pub fn api_key(mut self, key: Option<String>) -> Builder {
        self.api_key = key;
        self
    }

    /// How many tokens answers have where nobody says; otherwise half of them below 150 and 95 % below 600.
    #[must_use]
    pub fn output_tokens(mut self, tokens: Distribution) -> Builder {
        self.output_tokens = Some(tokens);
        self
    }

    /// Lies so far from whoever asks: seconds, one way. An attempt waits for both ways before it begins, as long as those
    /// that its dice give it in the simulator. Otherwise as far as it is.
    #[must_use]
    pub fn way(mut self, seconds: Distribution) -> Builder {
        self.way = Some(seconds).filter(|way| way.as_constant() != Some(0.0));
        self
    }

    /// Sends the tokens of a stream after the first in lumps, at least `apart` from each other. The last come with the
    /// end, so that no latency of an answer changes; what it saves is a piece of a stream for every token.
    #[must_use]
    pub fn lump(mut self, apart: Nanos) -> Builder {
        self.lump = apart;
        self
    }

    /// Starts it. Must be called within a runtime, on which it keeps time until it is dropped.
    ///
    /// # Errors
    ///
    /// The first number that a backend cannot have.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn start(self) -> Result<MockServer, OutOfRange> {
        let backend = AnyBackend::new(&self.spec, self.dice)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let driver = Arc::new(Driver::new(backend, clock, self.lump));
        let output_tokens = match self.output_tokens {
            Some(tokens) => tokens,
            None => Distribution::lognormal_median_p95(150.0, 600.0)?,
        };
        let kept = Arc::clone(&driver);
        let keeper = tokio::spawn(async move { kept.keep().await });
        Ok(MockServer {
            shared: Arc::new(Shared {
                name: self.spec.name,
                driver,
                faults: Mutex::new(Faults::new(&self.spec.faults)),
                models: self.models,
                api_key: self.api_key,
                output_tokens,
                way: self.way,
                dice: self.dice.branch(0),
                asked: AtomicU64::new(0),
                other: AtomicU64::new(0),
                places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
                stopping: watch::Sender::new(false),
            }),
            _keeper: Arc::new(Keeper(keeper)),
        })
    }
}

impl MockServer {
    /// A server of this backend; its faults are scheduled from the beginning of the clock on.
    #[must_use]
    pub fn builder(spec: BackendSpec) -> Builder {
        Builder {
            spec,
            clock: None,
            dice: Dice::new(7).branch(0).branch(1),
            models: Vec::new(),
            api_key: None,
            output_tokens: None,
            way: None,
            lump: Nanos::ZERO,
        }
    }

    /// What the scenario calls the backend.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Lets something go wrong from now on, or from when the fault says.
    ///
    /// # Errors
    ///
    /// If a fault cannot have one of its numbers, or if there are too many.
    pub fn inject(&self, fault: Fault) -> Result<(), OutOfRange> {
        self.shared.driver.with(|state, now| {
            let fault = fault.not_before(now);
            if let Fault::Model(spec) = fault {
                let (backend, outputs) = state.backend();
                backend.inject(now, spec, outputs)?;
                state.collect();
            }
            self.faults().add(now, fault)
        })
    }

    /// Ends everything that goes wrong, scheduled faults too, and forgets what was to come.
    pub fn clear(&self) {
        self.shared.driver.with(|state, now| {
            self.faults().clear();
            let (backend, outputs) = state.backend();
            backend.clear(now, outputs);
            state.collect();
        });
    }

    /// What goes wrong or will, in the order in which it was ordered.
    #[must_use]
    pub fn ordered(&self) -> Vec<Fault> {
        let now = self.shared.driver.clock.now();
        self.faults().list(now).to_vec()
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.driver.with(|state, now| {
            let jobs = state.backend.jobs();
            state.record.stats(&self.shared.name, jobs, now)
        })
    }

    /// Takes no further connections and answers no further requests. What runs has two seconds to end.
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    /// Whether nobody would take a connection now.
    fn is_refusing(&self) -> bool {
        self.shared
            .driver
            .with(|state, now| state.backend.probe(now) == Probe::Refused)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

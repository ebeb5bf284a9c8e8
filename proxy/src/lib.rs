//! The production reverse proxy: the driver that runs core against real endpoints.
//!
//! What lives here, and what it owes to core:
//!
//! | Part | Does |
//! |---|---|
//! | handler | turns an HTTP request into a [`Request`](tollgate_core::lifecycle::Request), and answers in the form that clients of an OpenAI-style API expect |
//! | driver | delivers [`Input`](tollgate_core::lifecycle::Input) to a [`Lifecycle`](tollgate_core::lifecycle::Lifecycle), one at a time, until [`Effect::Finish`](tollgate_core::lifecycle::Effect::Finish) |
//! | perform | one line for each [`Effect`](tollgate_core::lifecycle::Effect): a timer, a connection, a stream, an answer |
//! | keeper | one task that delivers [`GateInput`](tollgate_core::gate::GateInput), with timers of its own |
//! | mailbox | word from one request to another, on whatever thread: its wait is over |
//! | relay | the body of an answer, which drives its request on as the client reads |
//! | clock | the only place that reads the time |
//!
//! `tests/twin/` runs the same traces through this driver and the simulator's, and finds equal decisions.
//!
//! # The driver's contract
//!
//! The simulator's driver, `tollgate_sim::engine`, keeps it already; this one must look like its twin.
//!
//! 1. It decides nothing. An `if` in a driver is about I/O, never about policy.
//! 2. Inputs of one request come one after the other, each with the present instant, and every effect of one input is
//!    performed, in order, before the next is delivered.
//! 3. A request has one timer: [`Effect::WakeAt`](tollgate_core::lifecycle::Effect::WakeAt) replaces the wish before
//!    it. It may ring late or twice. The gate's wishes add up.
//! 4. Before a wake-up is delivered, so is all that attempts have sent by then: a stream must not be timed out for
//!    tokens that lie in a buffer.
//! 5. After [`Effect::Cancel`](tollgate_core::lifecycle::Effect::Cancel) nothing more is delivered of that attempt, and
//!    its connection is closed.
//! 6. [`Effect::Notify`](tollgate_core::lifecycle::Effect::Notify) goes to another request, as soon as this one's
//!    effects have been performed.
//! 7. A task that is dropped delivers [`Input::Abandon`](tollgate_core::lifecycle::Input::Abandon) first: giving back
//!    what a request holds needs a clock, so no `Drop` of core does it.
//!
//! Of core it names only what drives it (`gate`, `lifecycle`, `policy`, `memory`, and the words they are written in),
//! never its laws. A test of the workspace, `the_proxy_decides_nothing`, holds it to that.

pub mod address;
pub mod answer;
mod attempt;
pub mod auth;
mod driver;
mod exchange;
mod gateway;
mod handler;
mod intake;
mod keeper;
mod mailbox;
pub mod observe;
mod perform;
pub mod provider;
mod relay;
pub mod request;
pub mod server;
pub mod settings;
mod tasks;
mod thread;
pub mod upstream;

pub use tollgate_mock_llm::clock;

pub use gateway::{BuildError, Builder, Gateway, Watch};
pub use handler::router;

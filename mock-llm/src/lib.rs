//! Backends that behave like LLM services: the model without I/O, and a server around it.
//!
//! A backend is the modeled half of the world: what a provider or a serving engine does with an attempt. Like the
//! gateway's decisions it is a pure state machine. It never reads a clock, draws entropy or sleeps: time comes as an
//! argument, chance from [keyed dice](tollgate_core::dice), and what it wants to do later it asks for with
//! [`Output::WakeAt`](model::Output::WakeAt). The simulator runs it in virtual time, a server in real time.
//!
//! | Read | for |
//! |---|---|
//! | [`draw`] | distributions: one value from the dice of one key |
//! | [`model`] | backends, their quotas and their faults |
//! | `clock` (feature) | real time as the model's time, and a clock for tests |
//! | `server` (feature) | a backend as an HTTP server |

#[cfg(feature = "clock")]
pub mod clock;
pub mod draw;
pub mod model;
#[cfg(feature = "server")]
pub mod server;

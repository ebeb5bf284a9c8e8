//! Who asks for what, and when: arrivals, lengths, tenants, and the clients that ask again.
//!
//! A [`WorkloadSpec`] is what a scenario says; [`Workload`] is the same once every number has been checked and a
//! trace, if there is one, has been read. From then on nothing fails and nothing is remembered but the position of
//! [`Arrivals`]: call 17 is the same call whatever happened to the first sixteen, so that two strategies are
//! compared on the same traffic (common random numbers).
//!
//! | law | meaning |
//! |---|---|
//! | `arrivals_never_go_back` | each arrival is at or after the one before |
//! | `same_seed_same_arrivals` | a process is a function of its numbers and the dice |
//! | `fewer_arrivals_are_a_prefix` | reading on changes nothing already read |
//! | `mean_rate_is_the_stated_rate` | every process keeps the rate that the scenario states, from the first second |
//! | `rate_does_not_drift` | after 10^8 arrivals the clock is where integers would have put it |
//! | `call_depends_on_its_number_alone` | calls may be drawn in any order, or not at all |
//! | `zipf_shares_are_kept` | tenant `i` gets a share proportional to `i^-skew` |

pub mod arrivals;
mod call;
mod client;
mod error;
mod lengths;
mod spec;
mod tenants;

pub use arrivals::{ArrivalSpec, Arrivals, ClosedSpec, Noise, TraceSpec};
pub use call::{Call, Model};
pub use client::{Answer, BackoffSpec, Client, ClientKind, ClientSpec, Patience};
pub use error::{Cause, WorkloadError, WorkloadErrors};
pub use lengths::{MAX_TOKENS, MaxTokens};
pub use spec::{OpenError, Workload, WorkloadSpec};
pub use tenants::{Tenant, TenantSpec, Tenants, TenantsSpec};

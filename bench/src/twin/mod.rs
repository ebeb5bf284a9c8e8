//! A twin: a scenario in virtual time, and the same for real on loopback, side by side.
//!
//! Both sides have the same arrivals, lengths, tenants, dice, faults and policy. What is left to differ is what a simulator
//! leaves out: sockets, the scheduler of the machine, the grain of its timers. All of it takes the machine's time, so on a
//! live side that runs `X` times as fast it weighs `X` times as much.
//!
//! | The scenario's | On the live side |
//! |---|---|
//! | arrivals, lengths, tenants, clients | `tollgate load`, by the same seed and replication |
//! | policy | `tollgate serve`, with the URLs of the mock and a key for each tenant |
//! | backends, faults, quotas | `tollgate mock`, by the same dice |
//! | `network.gateway_to_backend` | waited for by the mock, both ways at once, before an attempt begins |
//! | `network.client_to_gateway`, `network.gateway_overhead` | not added: what loopback and the gateway take is there already |
//! | `x-tollgate-dice` | carried from client to gateway to mock, so that both sides draw the same numbers |
//!
//! Figures of both sides are the gateway's, by the same definitions: on the live side they come from its access log.

mod compare;
mod crew;
mod data;
mod orders;
mod play;
mod report;
mod side;
mod sorted;

pub use compare::{
    Added, Compared, Comparison, Counted, LEAST_JUDGED, MOST_DIFFERENCE, MOST_ERROR, MOST_ERRORS, Pair, QUANTILES,
    percentage,
};
pub use crew::{Crew, CrewError, Place};
pub use orders::{Guest, Orders, admit};
pub use play::{Play, PlayError, Played, program};
pub use report::{Report, Strategy, seconds};
pub use side::{METRICS, Plain, Side, Tally, curves};
pub use sorted::Sorted;

pub(crate) use sorted::count;

/// How long the live sides of all strategies may take together, in seconds of the machine, where nobody says how fast they
/// are to run.
const MOST_SECONDS: f64 = 200.0;
/// As fast as the machine's own delays let a twin run and still be one.
const MOST_SCALE: f64 = 40.0;

/// How many seconds of the scenario pass in one of the machine, where nobody says: so many that `strategies` runs of
/// `seconds` end in four minutes.
#[must_use]
pub fn scale_for(strategies: usize, seconds: f64) -> f64 {
    (count(strategies) * seconds / MOST_SECONDS)
        .ceil()
        .clamp(1.0, MOST_SCALE)
}

//! The model under a driver as small as possible.

#![expect(
    clippy::float_cmp,
    reason = "instants are whole nanoseconds: their seconds are equal or they are not"
)]

mod api;
mod cancel;
mod faults;
mod inject;
mod laws;
mod queueing;
mod quota;
mod tokens;
mod world;

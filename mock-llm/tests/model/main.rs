//! The model under a driver as small as possible.

mod api;
mod faults;
mod laws;
mod queueing;
mod world;

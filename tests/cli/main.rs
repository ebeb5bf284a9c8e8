//! The built command, run as people and scripts run it.
#![cfg(unix)]

mod bad_input;
mod bad_traces;
mod commands;
mod help;
mod interrupt;
mod place;
mod simulate;

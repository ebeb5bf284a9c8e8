//! The built command, run as people run it.
#![cfg(unix)]

mod bad_input;
mod bad_traces;
mod commands;
mod help;
mod interrupt;
mod lineups;
mod load;
mod mock;
mod place;
mod scenarios;
mod serve;
mod simulate;
mod twin;

//! The driver against backends that are served, under a clock of nanoseconds: what a client sees, what a backend sees,
//! and when.

mod answers;
mod endings;
mod faults;
mod world;

//! A gateway under attack: clients and endpoints that do everything wrong, and what is left of the gateway afterwards.
//!
//! Each test starts a gateway in a process of its own, with sockets, logs and memory that are nobody else's, and looks
//! at it from outside only. However it is treated, its clients get an answer in form or a closed connection, and
//! afterwards it holds nothing: no request, permit, reservation or byte of a body. No log has anything of a key or a
//! prompt.
#![cfg(target_os = "linux")]

mod bad_bodies;
mod bad_requests;
mod bad_upstreams;
mod chaos;
mod client;
mod mock;
mod slow;
mod soak;
mod upstream;
mod world;

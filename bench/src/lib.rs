//! Benchmarks: floors, peers and the cost of each decision.
//!
//! A figure is worth something beside another one from the same run. So each measurement of ours stands beside the
//! least that anybody would pay who wrote the same model by hand, and both must give the same answers before their
//! times are compared.

pub mod balancers;
pub mod callgrind;
pub mod draws;
pub mod floor;
pub mod instructions;
pub mod limiters;
pub mod load;
pub mod model;
pub mod paths;
pub mod threads;

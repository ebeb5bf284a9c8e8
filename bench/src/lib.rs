//! Benchmarks: floors, peers and the cost of each decision.

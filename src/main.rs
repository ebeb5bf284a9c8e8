//! The command line of tollgate: parse, call a crate, print.

fn main() {}

//! Writes a made-up result set and its figures, for a look at them: `cargo run --example sample -- DIR [STRATEGIES]`.

use std::path::PathBuf;

#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments
        .next()
        .map_or_else(|| PathBuf::from("target/tollgate/sample"), PathBuf::from);
    let n = arguments.next().map_or(Ok(5), |n| n.parse())?;

    let set = sample::outage(n);
    set.write(&dir)?;
    Ok(())
}

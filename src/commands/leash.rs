//! The word to end that a parent gives by ending: standard input does.

use std::io::Read as _;
use std::process;

/// Ends this process once its standard input does, which is when whoever started it has gone.
pub(crate) fn hold() {
    std::thread::spawn(|| {
        let mut bytes = [0; 64];
        let mut input = std::io::stdin().lock();
        while input.read(&mut bytes).is_ok_and(|read| 0 < read) {}
        process::exit(0);
    });
}

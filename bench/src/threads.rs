//! The same work on several threads at once, timed as one.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant as Clock};

/// Runs `work` on each of `threads` threads, which begin together, and returns the time until the last of them is
/// done. Each is told its number.
///
/// # Panics
///
/// If `work` does.
pub fn together(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    let (start, work) = (&Barrier::new(threads), &work);
    let timed = |number| {
        move || {
            start.wait();
            let began = Clock::now();
            work(number);
            began.elapsed()
        }
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|number| scope.spawn(timed(number))).collect();
        let took = running
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"));
        took.max().unwrap_or_default()
    })
}

//! The hot paths: what a gateway does for every request, each as a loop of its own.
//!
//! Benchmarks take their time (`benches/paths.rs`), and a gate counts their instructions ([`crate::instructions`]). Each
//! loop asserts its own answers, so that nothing is measured which does not do its work.

mod balance;
mod health;
mod limits;
mod queue;
mod request;

/// One path, with the state that it works on.
pub struct Path {
    /// What tables call it.
    pub name: String,
    run: Box<dyn FnMut(u32)>,
}

impl Path {
    fn new(name: impl Into<String>, run: impl FnMut(u32) + 'static) -> Path {
        Path {
            name: name.into(),
            run: Box::new(run),
        }
    }

    /// Goes the path so many times; state and time go on from where the last run left them.
    pub fn run(&mut self, rounds: u32) {
        (self.run)(rounds);
    }

    /// Every path.
    #[must_use]
    pub fn all() -> Vec<Path> {
        let mut paths = limits::paths();
        paths.extend(balance::paths());
        paths.extend(health::paths());
        paths.extend(queue::paths());
        paths.extend(request::paths());
        paths
    }
}

//! The terminal: data to standard output, everything else to standard error. Nothing else prints.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tollgate_sim::experiment::Progress;

/// Data, for whoever reads standard output. A reader that has gone away is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _gone = write!(out, "{text}{end}").and_then(|()| out.flush());
}

/// Anything else, to standard error.
pub(crate) fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _gone = write!(err, "{text}{end}");
}

/// Whether standard error may be colored.
pub(crate) fn is_styled() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !plain && std::io::stderr().is_terminal()
}

/// How wide tables may be.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || std::io::stdout().is_terminal().then(|| usize::from(console_width()));
    columns.or_else(asked).unwrap_or(120).clamp(40, 240)
}

fn console_width() -> u16 {
    console::Term::stdout().size().1
}

/// Shows how far a comparison is until it is dropped; only on a terminal.
pub(crate) struct Watch {
    bar: ProgressBar,
    stop: Arc<std::sync::atomic::AtomicBool>,
    watcher: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches `progress`, of about `total` requests in all where that is known.
    pub(crate) fn new(progress: Arc<Progress>, total: Option<u64>) -> Watch {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let template = match total {
            Some(_) => "simulating {bar:30} {percent:>3}%  {human_pos} requests, {per_sec}, {eta} left",
            None => "simulating {spinner} {human_pos} requests, {per_sec}, {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("a constant template");
        bar.set_style(style.progress_chars("=> "));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (line, ended) = (bar.clone(), Arc::clone(&stop));
        let watcher = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                line.set_position(progress.requests.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Watch {
            bar,
            stop,
            watcher: Some(watcher),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _panicked = watcher.join();
        }
        self.bar.finish_and_clear();
    }
}

//! The terminal: data to standard output, everything else to standard error. Nothing else prints.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanFloatCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tollgate_sim::experiment::Progress;

use crate::error::Failure;

/// Data, for whoever reads standard output. A reader that has gone away is no error; a full disk is one.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::failed(format!(
            "standard output cannot be written to: {error}"
        ))),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Anything else, to standard error.
pub(crate) fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // There is nobody left to be told.
    let _gone = write!(err, "{text}{end}");
}

/// Whether standard error may be colored.
pub(crate) fn is_styled() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb && std::io::stderr().is_terminal()
}

/// How wide text may be.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || {
        let out = console::Term::stdout();
        out.is_term().then(|| usize::from(out.size().1))
    };
    columns.or_else(asked).unwrap_or(120).clamp(40, 240)
}

/// `text` in lines of at most `width` characters, where its words allow; all but the first begin with `indent` blanks.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    // A no-break space is white space too, and does not separate words.
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let len = word.chars().count();
        if used == 0 {
            used = len;
        } else if used + 1 + len <= width.saturating_sub(indent) {
            lines.push(' ');
            used += 1 + len;
        } else {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            used = len;
        }
        lines.push_str(word);
    }
    lines
}

/// `1 run`, `2 runs`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Shows that something takes time until it is dropped; only on a terminal.
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    /// `what` is being done.
    pub(crate) fn new(what: impl Into<String>) -> Waiting {
        let bar = ProgressBar::no_length();
        bar.set_draw_target(target());
        bar.set_style(ProgressStyle::with_template("{msg} {spinner} {elapsed}").expect("a constant template"));
        bar.set_message(what.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Waiting(bar)
    }
}

impl Waiting {
    /// Something else is being done.
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how many of several steps are done until it is dropped; only on a terminal.
pub(crate) struct Steps(ProgressBar);

impl Steps {
    /// Of `count` steps none is done.
    pub(crate) fn new(count: usize) -> Steps {
        let bar = ProgressBar::new(count as u64);
        bar.set_draw_target(target());
        let style = ProgressStyle::with_template("[{bar:20}] {pos}/{len}  {elapsed}").expect("a constant template");
        bar.set_style(style.progress_chars("=> "));
        Steps(bar)
    }

    /// One more is done.
    pub(crate) fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how far a comparison is until it is dropped; only on a terminal.
pub(crate) struct Watch {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    watcher: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches a single run that takes its time, whatever the machine does: only requests are worth showing.
    pub(crate) fn of_one(progress: Arc<Progress>, total: Option<u64>) -> Watch {
        Watch::new(progress, 0, total)
    }

    /// Watches `progress`, of `runs` runs (of one that is not worth a word if 0), and of about `total` requests in all where that is known.
    pub(crate) fn new(progress: Arc<Progress>, runs: u64, total: Option<u64>) -> Watch {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(target());
        let template = match total {
            Some(_) => "[{bar:20}] {percent:>3}%  {human_pos} requests  {rate}/s  {msg}  {eta} left",
            None => "{spinner} {human_pos} requests  {rate}/s  {msg}  {elapsed}",
        };
        let rate = |state: &ProgressState, line: &mut dyn std::fmt::Write| {
            // The line is a string: writing to it does not fail.
            let _never = write!(line, "{}", HumanFloatCount(state.per_sec().round()));
        };
        let style = ProgressStyle::with_template(template).expect("a constant template");
        bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        let stop = Arc::new(AtomicBool::new(false));
        let (line, ended) = (bar.clone(), Arc::clone(&stop));
        let watcher = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if 0 < runs {
                    line.set_message(format!("run {}/{runs}", progress.runs.load(Ordering::Relaxed)));
                }
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

/// Standard error if it is a terminal that can redraw a line, else nowhere.
fn target() -> ProgressDrawTarget {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stderr().is_terminal() && !is_dumb {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_indented() {
        assert_eq!(wrapped("a bb ccc dddd", 6, 2), "a bb\n  ccc\n  dddd");
        assert_eq!(wrapped("unbreakable word", 5, 0), "unbreakable\nword");
        assert_eq!(wrapped("90\u{a0}s of it", 5, 0), "90\u{a0}s\nof it");
        assert_eq!(wrapped("", 10, 0), "");
    }
}

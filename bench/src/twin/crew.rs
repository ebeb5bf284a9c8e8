//! Processes that work together, and end together.
//!
//! | Law | Test |
//! |---|---|
//! | Whoever is not ready in time is named, with what it said. | `who_is_late_is_named` |
//! | Whoever dies is named, with what it said, while another is waited for. | `who_dies_is_named` |
//! | Nobody outlives the crew. | `nobody_outlives_the_crew` |
//!
//! Each process has a pipe as its standard input that nobody writes to: when this process ends, however it ends, the pipe
//! does, and ours take that as the word to end.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Processes that work together.
#[derive(Debug)]
pub struct Crew {
    program: PathBuf,
    folder: PathBuf,
    members: Vec<Member>,
}

/// A process, by its place in its crew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

#[derive(Debug)]
struct Member {
    name: &'static str,
    child: Child,
    ended: Option<ExitStatus>,
    /// What it writes to.
    out: PathBuf,
    err: PathBuf,
}

/// Why a crew has not done its work.
#[derive(Debug)]
pub enum CrewError {
    /// A process cannot be started.
    Unstarted {
        /// What it was to be.
        name: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// A process was not ready in time.
    Late {
        /// What it is.
        name: &'static str,
        /// How long it had.
        after: Duration,
        /// What it said last.
        said: String,
    },
    /// A process has ended before its time, or has failed.
    Died {
        /// What it was.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// What it said last.
        said: String,
    },
    /// Somebody asked for an end.
    Stopped,
}

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Most lines of what a process has said that are told.
const MOST_LINES: usize = 12;

impl Crew {
    /// Nobody yet; all will run `program`, and write into `folder`.
    #[must_use]
    pub fn new(program: PathBuf, folder: &Path) -> Crew {
        Crew {
            program,
            folder: folder.to_owned(),
            members: Vec::new(),
        }
    }

    /// Starts a process with `arguments`.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn start(&mut self, name: &'static str, arguments: &[OsString]) -> Result<Place, CrewError> {
        let unstarted = |cause| CrewError::Unstarted { name, cause };
        let at = self.members.len();
        let file = |end: &str| self.folder.join(format!("{at}-{name}.{end}"));
        let (out, err) = (file("out"), file("err"));
        let child = Command::new(&self.program)
            .args(arguments)
            // A Ctrl-C of the terminal is for us, who tell them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(File::create(&out).map_err(unstarted)?)
            .stderr(File::create(&err).map_err(unstarted)?)
            .spawn()
            .map_err(unstarted)?;
        self.members.push(Member {
            name,
            child,
            ended: None,
            out,
            err,
        });
        Ok(Place(at))
    }

    /// Waits until `look`, which is shown what a process has written to its standard output and error, finds what it looks
    /// for.
    ///
    /// # Errors
    ///
    /// If the process ends before, or has not come so far by then.
    pub fn ready<T>(
        &mut self,
        place: Place,
        patience: Duration,
        look: impl Fn(&str, &str) -> Option<T>,
    ) -> Result<T, CrewError> {
        let began = Instant::now();
        loop {
            let ended = self.look_after(place)?;
            let member = &self.members[place.0];
            if let Some(found) = look(&said(&member.out), &said(&member.err)) {
                return Ok(found);
            }
            if let Some(status) = ended {
                return Err(member.died(status));
            }
            if patience <= began.elapsed() {
                return Err(CrewError::Late {
                    name: member.name,
                    after: patience,
                    said: last_lines(&said(&member.err)),
                });
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Waits until the process at `place` has ended well, while all others run. `tick` is called now and then.
    ///
    /// # Errors
    ///
    /// If it ends badly, another ends at all, or `stop` is set.
    pub fn wait(&mut self, place: Place, stop: &AtomicBool, mut tick: impl FnMut()) -> Result<(), CrewError> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(CrewError::Stopped);
            }
            if let Some(status) = self.look_after(place)? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(self.members[place.0].died(status))
                };
            }
            for at in (0..self.members.len()).filter(|at| *at != place.0) {
                if let Some(status) = self.look_after(Place(at))? {
                    return Err(self.members[at].died(status));
                }
            }
            tick();
            sleep(LOOK_EVERY);
        }
    }

    /// Asks a process to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not within `patience`, or ends badly.
    pub fn end(&mut self, place: Place, patience: Duration) -> Result<(), CrewError> {
        let pid = Pid::from_child(&self.members[place.0].child);
        // One that has gone by now is found to be gone below.
        let _gone = kill_process(pid, Signal::TERM);
        let began = Instant::now();
        loop {
            if let Some(status) = self.look_after(place)? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(self.members[place.0].died(status))
                };
            }
            if patience <= began.elapsed() {
                let member = &self.members[place.0];
                return Err(CrewError::Late {
                    name: member.name,
                    after: patience,
                    said: last_lines(&said(&member.err)),
                });
            }
            sleep(LOOK_EVERY);
        }
    }

    /// What a process has written to its standard output so far.
    #[must_use]
    pub fn output(&self, place: Place) -> String {
        said(&self.members[place.0].out)
    }

    /// How a process has ended, if it has.
    fn look_after(&mut self, place: Place) -> Result<Option<ExitStatus>, CrewError> {
        let member = &mut self.members[place.0];
        if member.ended.is_none() {
            let waited = member.child.try_wait();
            member.ended = waited.map_err(|cause| CrewError::Unstarted {
                name: member.name,
                cause,
            })?;
        }
        Ok(member.ended)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.ended.is_none()) {
            // One that cannot be killed has ended.
            let _ended = member.child.kill();
            let _waited = member.child.wait();
        }
    }
}

impl Member {
    fn died(&self, status: ExitStatus) -> CrewError {
        CrewError::Died {
            name: self.name,
            status,
            said: last_lines(&said(&self.err)),
        }
    }
}

fn said(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(MOST_LINES);
    lines[from..].join("\n")
}

impl fmt::Display for CrewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, said: &str| match said {
            "" => f.write_str("; it said nothing"),
            said => write!(f, "; it said:\n{said}"),
        };
        match self {
            CrewError::Unstarted { name, cause } => write!(f, "the {name} process cannot be run: {cause}"),
            CrewError::Late { name, after, said } => {
                write!(f, "the {name} process has not come so far within {} s", after.as_secs())?;
                with(f, said)
            }
            CrewError::Died { name, status, said } => {
                write!(f, "the {name} process has ended ({status})")?;
                with(f, said)
            }
            CrewError::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for CrewError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew(folder: &Path) -> Crew {
        Crew::new(PathBuf::from("/bin/sh"), folder)
    }

    fn script(text: &str) -> Vec<OsString> {
        vec!["-c".into(), text.into()]
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_is_late_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut crew = crew(folder.path());
        // Waits for its standard input, to which nobody writes.
        let place = crew
            .start("mock", &script("echo warming up >&2; read line"))
            .expect("a shell");
        crew.ready(place, LONG, |_, err| err.contains("warming").then_some(()))
            .expect("it said so");
        let late = crew.ready(place, Duration::from_millis(30), |out, _| {
            out.contains("ready").then_some(())
        });
        let text = late.expect_err("it is not").to_string();
        assert!(
            text.contains("the mock process") && text.contains("warming up"),
            "{text}"
        );
    }

    #[test]
    fn who_dies_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut crew = crew(folder.path());
        let load = crew.start("load", &script("read line")).expect("a shell");
        crew.start("gateway", &script("echo the port is in use >&2; exit 3"))
            .expect("a shell");
        let died = crew
            .wait(load, &AtomicBool::new(false), || {})
            .expect_err("the gateway has gone");
        let text = died.to_string();
        assert!(
            text.contains("the gateway process") && text.contains("port is in use") && text.contains('3'),
            "{text}"
        );
        let none = Crew::new(PathBuf::from("/nonexistent"), folder.path()).start("load", &[]);
        assert!(none.expect_err("there is no such program").to_string().contains("load"));
    }

    #[test]
    fn who_ends_well_is_waited_for_and_who_is_asked_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut crew = crew(folder.path());
        let mock = crew
            .start(
                "mock",
                &script("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"),
            )
            .expect("a shell");
        let load = crew.start("load", &script("exit 0")).expect("a shell");
        crew.ready(mock, LONG, |out, _| out.contains("up").then_some(()))
            .expect("it said so");
        crew.wait(load, &AtomicBool::new(false), || {}).expect("it ends well");
        assert!(matches!(
            crew.wait(load, &AtomicBool::new(true), || {}),
            Err(CrewError::Stopped)
        ));
        crew.end(mock, LONG).expect("it was asked to");
        assert_eq!(crew.output(mock), "up\n");
    }

    #[test]
    fn nobody_outlives_the_crew() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut crew = crew(folder.path());
        let place = crew
            .start("mock", &script("echo $$; trap '' TERM; read line; read line"))
            .expect("a shell");
        let pid = crew
            .ready(place, LONG, |out, _| out.trim().parse::<u32>().ok())
            .expect("its number");
        let there = PathBuf::from(format!("/proc/{pid}"));
        let knows = Path::new("/proc/self").exists();
        assert!(!knows || there.exists());
        drop(crew);
        assert!(!there.exists());
    }
}

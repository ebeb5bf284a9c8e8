//! A directory to work in, and the built command to run there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The built command.
pub(crate) const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// No command of these tests takes this long, unless it hangs.
const LONGEST: Duration = Duration::from_secs(120);

/// A scenario of one minute with one strategy on one backend.
pub(crate) const SCENARIO: &str = r#"name = "small"
description = "Does it answer?"
seed = 3

[run]
duration = "1m"
warmup = "5s"
replications = 2

[workload]
arrivals = { process = "poisson", rate = 20.0 }
client = { kind = "openai-python", timeout = "60s", max_retries = 1, patience = "none" }

[[backend]]
name = "alpha"
kind = "queue"
servers = 8
service = { distribution = "exponential", mean = "100ms" }

[[strategy]]
name = "plain"
policy = "policies/plain.toml"

[[strategy]]
name = "careful"
policy = "policies/careful.toml"
"#;

/// A policy that the scenario names.
pub(crate) const POLICY: &str = r#"version = 1

[[pool]]
name = "chat"
  [[pool.endpoint]]
  name = "alpha"

[[route]]
name = "all"
pools = ["chat"]
slo = { e2e = "1s" }
"#;

/// A scenario that takes minutes: to be interrupted.
pub(crate) fn long_scenario() -> String {
    SCENARIO
        .replace("\"1m\"", "\"20h\"")
        .replace("replications = 2", "replications = 200")
}

/// A directory with the scenario and its policies, which goes when it is dropped.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn empty() -> Place {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Place { dir }
    }

    pub(crate) fn new() -> Place {
        let place = Place::empty();
        place.write("small.toml", SCENARIO);
        place.write("policies/plain.toml", POLICY);
        let careful = POLICY.replace("pools = [\"chat\"]", "pools = [\"chat\"]\nretry = { max_attempts = 2 }");
        place.write("policies/careful.toml", &careful);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below the directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Everything below, sorted.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path(name), "", &mut found);
        found.sort();
        found
    }

    /// The command, to run here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(TOLLGATE);
        command.args(args);
        self.prepared(command)
    }

    /// A line of a shell, in which `$TOLLGATE` is the command.
    pub(crate) fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("bash");
        command.args(["-c", line]).env("TOLLGATE", TOLLGATE);
        Run::of(self.prepared(command))
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args))
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["NO_COLOR", "COLUMNS", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command
    }
}

fn collect(path: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("it can be read");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), found);
        } else {
            found.push(name);
        }
    }
}

/// What a command has left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs to its end; a command that hangs is killed, and the test fails.
    pub(crate) fn of(mut command: Command) -> Run {
        let began = Instant::now();
        let child = command.spawn().expect("the command can be started");
        let id = child.id().to_string();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        if let Ok(output) = receiver.recv_timeout(LONGEST) {
            return Run::from(output.expect("its output can be read"));
        }
        let _gone = Command::new("kill").args(["-KILL", &id]).status();
        panic!("{command:?} hangs after {:?}", began.elapsed());
    }

    /// It ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Run {
        assert_eq!(self.status, Some(0), "{self:#?}");
        self
    }

    /// It ended with `status`, said each of `parts` on standard error, nothing on standard output, and did not panic.
    #[track_caller]
    pub(crate) fn bad(self, status: i32, parts: &[&str]) -> Run {
        assert_eq!(self.status, Some(status), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not said: {self:#?}");
        }
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

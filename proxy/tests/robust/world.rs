//! A gateway in a process of its own, and what can be seen of it from outside.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use serde_json::Value;
use tollgate_core::policy::file;
use tollgate_proxy::Gateway;
use tollgate_proxy::clock::{Clock, SystemClock};
use tollgate_proxy::observe::Observer;
use tollgate_proxy::server::Server;
use tollgate_proxy::settings::{SettingsFile, Sources, read};

use crate::client::Client;

/// What clients show; no log may.
pub(crate) const KEY: &str = "sk-canary-key-5f1c";
/// What stands in every prompt; no log may have it.
pub(crate) const PROMPT: &str = "canary-prompt-c0ffee";

/// The folder that a gateway is started with.
const FOLDER: &str = "TOLLGATE_TEST_FOLDER";
/// How long anything may take that should happen at once, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// A gateway in a process of its own.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    child: Child,
    log: Option<JoinHandle<String>>,
    /// Kept open, so that the harness of the other process can say how it ended.
    _said: Lines<BufReader<ChildStdout>>,
    folder: tempfile::TempDir,
}

/// Not a test by itself: the gateway that the others start.
#[test]
fn gateway() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("it was written");
    let policy = file::read("policy.toml", &text("policy.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    let settings = text("tollgate.toml");
    let sources = Sources {
        file: Some(SettingsFile {
            name: "tollgate.toml",
            text: &settings,
            folder: &folder,
        }),
        ..Sources::default()
    };
    let (settings, _) = read(&sources).unwrap_or_else(|error| panic!("{error}"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let observer = Observer::with_logs(&policy.0, &settings, &clock).expect("the log can be opened");
    let gateway = Gateway::builder(policy.0)
        .settings(settings)
        .clock(clock)
        .observer(Arc::new(observer))
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let server = Server::bind(gateway).expect("free ports");
    let (address, admin) = (server.addresses()[0], server.admin_address());
    server
        .run(|| {
            let said = writeln!(std::io::stdout().lock(), "\nserving {address} {admin}");
            said.expect("whoever started it listens");
        })
        .expect("a machine that can serve");
}

impl World {
    /// A gateway before `endpoints`, with the usual policy; `more` is added to its settings.
    pub(crate) fn new(endpoints: &[SocketAddr], more: &str) -> World {
        World::with(&policy(endpoints, ""), more)
    }

    /// A gateway that does not wait long for endpoints.
    pub(crate) fn impatient(endpoints: &[SocketAddr]) -> World {
        World::with(&policy(endpoints, "").replace("\"10s\"", "\"500ms\""), "")
    }

    /// A gateway with this policy; `more` is added to its settings.
    pub(crate) fn with(policy: &str, more: &str) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nthreads = 2\nmock_dice = true\n\
             [drain]\ndelay = \"0s\"\n[log]\naccess = \"./access.jsonl\"\nlevel = \"debug\"\n{more}"
        );
        fs::write(folder.path().join("policy.toml"), policy).expect("it can be written");
        fs::write(folder.path().join("tollgate.toml"), settings).expect("it can be written");
        let mut child = Command::new(std::env::current_exe().expect("it runs"))
            .args(["--exact", "world::gateway", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let mut stderr = child.stderr.take().expect("it was asked for");
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            // Whatever has come until it ends.
            let _end = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut said = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let serving = said.find_map(|line| line.ok()?.strip_prefix("serving ").map(str::to_owned));
        let Some(serving) = serving else {
            panic!("no gateway: {}", log.join().expect("no panic"));
        };
        let (address, admin) = serving.split_once(' ').expect("two addresses");
        World {
            address: address.parse().expect("an address"),
            admin: admin.parse().expect("an address"),
            child,
            log: Some(log),
            _said: said,
            folder,
        }
    }

    /// A further client.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// What the gateway says of itself.
    pub(crate) fn status(&self) -> Value {
        let mut client = Client::connect(self.admin);
        client.send(b"GET /status HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        client.answer().expect("the admin address answers").json()
    }

    /// Waits until `holds` of what the gateway says of itself.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Moment::now();
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(began.elapsed() < SOON, "{what}: not within {SOON:?}: {status:#}");
            std::thread::yield_now();
        }
    }

    /// Waits until the gateway holds nothing any more.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.eventually("everything is given back", |status| {
            HELD.iter().all(|held| status[held] == 0)
        });
    }

    /// The resident memory of the gateway, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.figure("VmRSS:")
    }

    /// The largest that it has been.
    pub(crate) fn most_memory(&self) -> u64 {
        self.figure("VmHWM:")
    }

    fn figure(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes.and_then(|text| text.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// The access log, once it has a line for each of so many requests.
    #[track_caller]
    pub(crate) fn access_log(&self, requests: usize) -> Vec<Value> {
        let began = Moment::now();
        loop {
            let text = fs::read_to_string(self.log_path()).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let lines: Vec<Value> = lines.collect();
            if requests <= lines.len() {
                return lines;
            }
            assert!(began.elapsed() < SOON, "{} of {requests} lines", lines.len());
            std::thread::yield_now();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("access.jsonl")
    }

    /// Ends the gateway as its supervisor would, and looks at what it has left behind.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.settle();
        terminate(&self.child);
        let ended = self.child.wait().expect("it runs");
        let log = self.log.take().expect("it ends once").join().expect("no panic");
        assert!(ended.success() && !log.contains("panicked"), "{ended}\n{log}");
        let access = fs::read_to_string(self.log_path()).unwrap_or_default();
        for secret in [KEY, PROMPT] {
            assert!(!log.contains(secret), "{secret} in the log of the process:\n{log}");
            assert!(!access.contains(secret), "{secret} in the access log:\n{access}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that has failed leaves nothing behind; one that has not has ended it already.
        let _over = self.child.kill();
        let _over = self.child.wait();
    }
}

/// What a gateway may hold of requests, as its status says it.
const HELD: [&str; 5] = ["in_flight", "permits", "reservations", "queue", "buffered_bytes"];

/// Asks a process to end.
fn terminate(child: &Child) {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()), "it runs");
}

/// A policy with one tenant, `endpoints` in one pool, a limit on tokens, and short timeouts; `more` is added to its pool.
pub(crate) fn policy(endpoints: &[SocketAddr], more: &str) -> String {
    let mut policy = format!(
        r#"
[[tenant]]
name = "acme"
key_hashes = ["sha256:bd44a11810bfe88270a05707a7a39a7a48cd8cf251b62a616069d0e1bbe601e9"]

[[limit]]
name = "tokens"
algorithm = "token-bucket"
unit = "tokens"
per = ["tenant"]
quota = {{ amount = 1_000_000_000, period = "1s", burst = 1_000_000_000 }}

[[route]]
name = "all"
match = {{ model = "m*" }}
pools = ["chat"]
timeouts = {{ connect = "10s", ttft = "10s", idle = "10s", total = "60s" }}
retry = {{ max_attempts = 2, budget = {{ ratio = 0.2, floor = "1000/s" }}, backoff = {{ base = "1ms", max = "2ms", jitter = "full" }} }}

[[pool]]
name = "chat"
balance = {{ kind = "round-robin" }}
health = {{ kind = "off" }}
{more}
"#
    );
    for (number, endpoint) in endpoints.iter().enumerate() {
        write!(
            policy,
            "[[pool.endpoint]]\nname = \"e{number}\"\nurl = \"http://{endpoint}/v1\"\nprovider = \"openai\"\n"
        )
        .expect("a string takes everything");
    }
    policy
}

//! The live side: mock, gateway and load, each a process of its own, on loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::clock::{Clock as _, SystemClock};
use tollgate_reports::ResultSet;
use tollgate_reports::result::ReadError;

use super::crew::{Crew, CrewError, Place};
use super::orders::{Guest, Orders};
use crate::log::{Log, Unreadable};

/// What is played.
#[derive(Clone, Debug)]
pub struct Play<'a> {
    /// The program that is all three.
    pub program: &'a Path,
    /// The scenario, as the command line names it.
    pub scenario: &'a str,
    /// What the strategy is called.
    pub strategy: &'a str,
    /// What its policy file says.
    pub policy: &'a str,
    /// Who asks.
    pub guests: &'a [Guest],
    /// The root of all randomness.
    pub seed: u64,
    /// Which run of this seed.
    pub replication: u64,
    /// How many seconds pass in one of the machine.
    pub scale: f64,
    /// For how long calls begin, if not as long as the scenario says.
    pub duration: Option<Nanos>,
    /// What is left out of counts.
    pub warmup: Nanos,
    /// Where files may be put that nobody needs afterwards.
    pub scratch: &'a Path,
}

/// What a live run leaves behind.
#[derive(Debug)]
pub struct Played {
    /// What the gateway has written down.
    pub log: Log,
    /// Its metrics at the end.
    pub metrics: String,
    /// When the clocks began.
    pub began: SystemTime,
    /// What the client has measured.
    pub client: ResultSet,
    /// From sending to the end, in seconds, of calls that were answered by their only request; by number.
    pub journeys: BTreeMap<u64, f64>,
}

/// Why there is no live side.
#[derive(Debug)]
pub enum PlayError {
    /// A process has failed.
    Crew(CrewError),
    /// Files between the processes cannot be written or read.
    Files(io::Error),
    /// The log of the gateway cannot be read.
    Log(Unreadable),
    /// What the client has measured cannot be read.
    Client(ReadError),
    /// The gateway does not show its metrics.
    Metrics(io::Error),
    /// The machine is too busy to start three processes in time.
    Busy,
}

/// How far ahead the clocks begin, at first, and at most.
const LEADS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
];
/// How much of that must be left when the load is started, as a share.
const LEAST_LEFT: u32 = 3;
/// How long a process may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces of a stream are at least so far apart, in the machine's time: a token of its own each would keep the machine from
/// everything else.
const LUMP: Duration = Duration::from_millis(10);
/// Most requests that the client keeps whole.
const MOST_KEPT: &str = "1000000";

impl Play<'_> {
    /// Plays. `tick` is called now and then, with the seconds of the scenario that have passed; `stop` ends it.
    ///
    /// # Errors
    ///
    /// If a process cannot be started, is not ready in time or ends badly.
    pub fn run(&self, stop: &AtomicBool, mut tick: impl FnMut(f64)) -> Result<Played, PlayError> {
        for lead in LEADS {
            match self.attempt(lead, stop, &mut tick) {
                Err(PlayError::Busy) => {}
                played => return played,
            }
        }
        Err(PlayError::Busy)
    }

    fn attempt(&self, lead: Duration, stop: &AtomicBool, tick: &mut dyn FnMut(f64)) -> Result<Played, PlayError> {
        let folder = tempfile::tempdir_in(self.scratch).map_err(PlayError::Files)?;
        let path = |name: &str| folder.path().join(name);
        let (policy, settings, access) = (path("policy.toml"), path("tollgate.toml"), path("access.jsonl"));
        std::fs::write(&policy, self.policy).map_err(PlayError::Files)?;
        std::fs::write(&settings, "").map_err(PlayError::Files)?;
        let began = SystemClock::new().wall() + lead;
        let since = began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let begins = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let mut crew = Crew::new(self.program.to_owned(), folder.path());

        let mock = crew.start("mock", &self.mock(begins))?;
        let endpoints = crew.ready(mock, PATIENCE, |out, _| backends(out))?;
        let orders = Orders {
            begins,
            endpoints,
            tenants: self.guests.to_vec(),
        };
        let text = serde_json::to_string(&orders)
            .map_err(io::Error::other)
            .map_err(PlayError::Files)?;
        std::fs::write(path("orders.json"), text).map_err(PlayError::Files)?;
        let gateway = self.gateway(&policy, &settings, &access, &path("orders.json"));
        let gateway = crew.start("gateway", &gateway)?;
        let (listen, admin) = crew.ready(gateway, PATIENCE, |_, err| addresses(err))?;
        let left = began.duration_since(SystemClock::new().wall()).unwrap_or_default();
        if left < lead / LEAST_LEFT {
            return Err(PlayError::Busy);
        }

        let out = path("client");
        let load = crew.start("load", &self.load(&policy, listen, begins, &out))?;
        let clock = SystemClock::new().beginning(began);
        crew.wait(load, stop, || {
            tick(clock.now().since(tollgate_core::time::Instant::EPOCH).as_secs_f64() * self.scale);
        })?;
        let metrics = get(admin, "/metrics").map_err(PlayError::Metrics)?;
        dismiss(&mut crew, &[gateway, mock])?;
        let mut log = Log::default();
        log.add(&access).map_err(PlayError::Log)?;
        Ok(Played {
            log,
            metrics,
            began,
            client: ResultSet::read(&out).map_err(PlayError::Client)?,
            journeys: journeys(&out.join("requests.csv")).map_err(PlayError::Files)?,
        })
    }

    fn mock(&self, begins: u64) -> Vec<OsString> {
        let mut words = Words::new(&["mock", self.scenario, "--listen", "127.0.0.1:0", "--way", "--leash"]);
        words.option("--lump", &format!("{}ms", LUMP.as_millis()));
        words.option("--begins", &begins.to_string());
        self.common(&mut words);
        words.option("--replication", &self.replication.to_string());
        words.0
    }

    fn gateway(&self, policy: &Path, settings: &Path, access: &Path, orders: &Path) -> Vec<OsString> {
        let mut words = Words::new(&["serve"]);
        words.0.push(policy.into());
        words.path("--config", settings);
        words.path("--log-access", access);
        words.path("--twin", orders);
        for (name, value) in [
            ("--listen", "127.0.0.1:0"),
            ("--admin", "127.0.0.1:0"),
            ("--mock-dice", "true"),
            ("--drain-delay", "0s"),
            ("--log-level", "info"),
            ("--log-format", "text"),
            ("--upstream-max-connections", "4096"),
        ] {
            words.option(name, value);
        }
        self.common(&mut words);
        words.0
    }

    fn load(&self, policy: &Path, listen: SocketAddr, begins: u64, out: &Path) -> Vec<OsString> {
        let mut words = Words::new(&[
            "load",
            self.scenario,
            "--leash",
            "--mock-dice",
            "--model",
            "any",
            "--keep",
            MOST_KEPT,
        ]);
        words.option("--target", &format!("http://{listen}/v1"));
        words.path("--policy", policy);
        words.path("--out", out);
        words.option("--strategy", self.strategy);
        words.option("--begins", &begins.to_string());
        words.option("--warmup", &format!("{}ns", self.warmup.as_nanos()));
        if let Some(duration) = self.duration {
            words.option("--duration", &format!("{}ns", duration.as_nanos()));
        }
        for guest in self.guests {
            words.option("--key", &format!("{}={}", guest.name, guest.key));
        }
        self.common(&mut words);
        words.option("--replication", &self.replication.to_string());
        words.0
    }

    fn common(&self, words: &mut Words) {
        words.option("--seed", &self.seed.to_string());
        words.option("--time-scale", &self.scale.to_string());
    }
}

/// Asks processes to end, one after the other.
fn dismiss(crew: &mut Crew, places: &[Place]) -> Result<(), PlayError> {
    for place in places {
        crew.end(*place, PATIENCE)?;
    }
    Ok(())
}

/// A command line.
struct Words(Vec<OsString>);

impl Words {
    fn new(words: &[&str]) -> Words {
        Words(words.iter().map(OsString::from).collect())
    }

    fn option(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name}={value}").into());
    }

    fn path(&mut self, name: &str, value: &Path) {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value);
        self.0.push(word);
    }
}

/// Where the backends are, as the mock's table says, once it is complete.
fn backends(out: &str) -> Option<BTreeMap<String, String>> {
    let (table, _) = out.split_once("\n\n")?;
    let rows = table.lines().skip(1).map(|row| {
        let (name, url) = row.rsplit_once("  ")?;
        Some((name.trim().to_owned(), url.trim().to_owned()))
    });
    rows.collect()
}

/// Where clients and administrators are served, as the gateway announces.
fn addresses(err: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line = err.lines().find(|line| line.contains(" serving "))?;
    let value = |name: &str| line.split_once(name)?.1.split(' ').next()?.parse().ok();
    Some((value(" listen=")?, value(" admin=")?))
}

/// How long the calls took that a client has kept whole and that were answered by their only request.
fn journeys(path: &Path) -> io::Result<BTreeMap<u64, f64>> {
    let mut reader = csv::Reader::from_path(path)?;
    let mut journeys: BTreeMap<u64, Option<f64>> = BTreeMap::new();
    for row in reader.deserialize::<Journey>() {
        let row = row?;
        let took = row.finished.zip(row.launched).map(|(finished, sent)| finished - sent);
        let took = took.filter(|_| row.outcome == "completed");
        // Of a call that has asked again nobody can tell here which answer is whose.
        journeys.entry(row.id).and_modify(|took| *took = None).or_insert(took);
    }
    Ok(journeys
        .into_iter()
        .filter_map(|(id, took)| Some((id, took?)))
        .collect())
}

/// What matters of a request that was kept whole.
#[derive(Deserialize)]
struct Journey {
    id: u64,
    launched: Option<f64>,
    finished: Option<f64>,
    outcome: String,
}

/// What is at `path` of an address on loopback.
fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In the version of HTTP that has neither chunks nor connections that stay.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        Some(_) | None => Err(io::Error::other("no answer that makes sense")),
    }
}

impl From<CrewError> for PlayError {
    fn from(error: CrewError) -> PlayError {
        PlayError::Crew(error)
    }
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlayError::Crew(error) => error.fmt(f),
            PlayError::Files(error) => write!(f, "the files between the processes cannot be written: {error}"),
            PlayError::Log(error) => error.fmt(f),
            PlayError::Client(error) => write!(f, "what the client measured cannot be read: {error}"),
            PlayError::Metrics(error) => write!(f, "the gateway does not show its metrics: {error}"),
            PlayError::Busy => f.write_str(
                "the machine is too busy: three processes could not be started in half a minute\n  = help: try again when less \
                 runs beside it",
            ),
        }
    }
}

impl std::error::Error for PlayError {}

/// Where this program is, to be run again.
///
/// # Errors
///
/// If the system cannot tell.
pub fn program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_say_of_themselves_is_read() {
        let out = "backend      url\nalpha        http://127.0.0.1:9100/v1\nfrank furt   http://127.0.0.1:9101/v1\n";
        assert_eq!(backends(out), None, "it is not complete");
        let found = backends(&format!("{out}\ncurl")).expect("it is");
        assert_eq!(found["alpha"], "http://127.0.0.1:9100/v1");
        assert_eq!(found["frank furt"], "http://127.0.0.1:9101/v1");
        let err = "2026-01-02T03:04:05.000Z info: serving policy=ab listen=127.0.0.1:1 admin=127.0.0.1:2\n";
        let expected = ("127.0.0.1:1".parse().expect("one"), "127.0.0.1:2".parse().expect("one"));
        assert_eq!(addresses(err), Some(expected));
        assert_eq!(addresses("2026 warn: nothing\n"), None);
    }
}

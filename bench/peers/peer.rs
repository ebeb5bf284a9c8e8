//! Who stands in front of the upstream: processes that are started, asked what they cost, and ended.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;

/// A way to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// None: the upstream itself.
    Direct,
    Nginx,
    Haproxy,
    /// The pass-through in `pass.rs`.
    Hyper,
    Tollgate,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [Kind::Direct, Kind::Nginx, Kind::Haproxy, Kind::Hyper, Kind::Tollgate];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Nginx => "nginx",
            Kind::Haproxy => "HAProxy",
            Kind::Hyper => "hyper",
            Kind::Tollgate => "tollgate",
        }
    }
}

/// A peer that serves, until it is dropped.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    process: Option<Process>,
}

/// A process and those that it started.
struct Process {
    child: Child,
}

/// Where a peer's files are, and the command that serves as the gateway.
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) tollgate: Option<&'a Path>,
}

impl Peer {
    /// Starts a peer in front of `upstream`; nothing, with the reason, if what it takes is not here.
    pub(crate) fn start(kind: Kind, upstream: SocketAddr, place: &Place<'_>) -> io::Result<Result<Peer, String>> {
        let address = free_address()?;
        let command = match kind {
            Kind::Direct => {
                return Ok(Ok(Peer {
                    kind,
                    address: upstream,
                    process: None,
                }));
            }
            Kind::Nginx => {
                let Some(nginx) = found("nginx") else {
                    return Ok(Err(absent("nginx")));
                };
                let file = place.fill("nginx.conf", include_str!("nginx.conf"), address, upstream)?;
                let mut command = Command::new(nginx);
                command.arg("-p").arg(place.dir).arg("-c").arg(file);
                command
            }
            Kind::Haproxy => {
                let Some(haproxy) = found("haproxy") else {
                    return Ok(Err(absent("haproxy")));
                };
                let file = place.fill("haproxy.cfg", include_str!("haproxy.cfg"), address, upstream)?;
                let mut command = Command::new(haproxy);
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Kind::Hyper => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["pass", &address.to_string(), &upstream.to_string()]);
                command
            }
            Kind::Tollgate => {
                let Some(tollgate) = place.tollgate else {
                    return Ok(Err("tollgate is left out: name its command with --tollgate".to_owned()));
                };
                let policy = place.fill("policy.toml", include_str!("policy.toml"), address, upstream)?;
                let mut command = Command::new(tollgate);
                command.arg("serve").arg(policy);
                command.args([
                    "--listen",
                    &address.to_string(),
                    "--admin",
                    &free_address()?.to_string(),
                ]);
                command.args([
                    "--limits-max-connections",
                    "16384",
                    "--upstream-max-connections",
                    "16384",
                    "--log-level",
                    "error",
                ]);
                command.arg("--log-access").arg(place.dir.join("access.jsonl"));
                command.current_dir(place.dir);
                command
            }
        };
        let process = Process::start(command, kind, address)?;
        Ok(Ok(Peer {
            kind,
            address,
            process: Some(process),
        }))
    }

    /// How long its processes have kept a core busy.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.process
            .as_ref()
            .map_or(Ok(Duration::ZERO), |process| process.sum(cpu_of))
    }

    /// Memory that its processes hold, in bytes.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        self.process.as_ref().map_or(Ok(0), |process| process.sum(resident_of))
    }
}

impl Place<'_> {
    /// Writes a file of settings, with what is known only now.
    fn fill(&self, name: &str, text: &str, listen: SocketAddr, upstream: SocketAddr) -> io::Result<PathBuf> {
        let files = most_files()?;
        let text = text
            .replace("@DIR@", &self.dir.display().to_string())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@FILES@", &files.to_string())
            .replace("@CONNECTIONS@", &(files / 2 - 100).to_string());
        let path = self.dir.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Process {
    fn start(mut command: Command, kind: Kind, address: SocketAddr) -> io::Result<Process> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut process = Process { child };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.child.try_wait()?;
            if ended.is_some() || PATIENCE < began.elapsed() {
                return Err(io::Error::other(format!(
                    "{} does not listen at {address}: {ended:?}",
                    kind.name()
                )));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// The sum of what `of` says of this process and of all that it started.
    fn sum<T: std::iter::Sum>(&self, of: impl Fn(u32) -> io::Result<T>) -> io::Result<T> {
        let mut all = vec![self.child.id()];
        let mut seen = 0;
        while let Some(process) = all.get(seen) {
            let path = format!("/proc/{process}/task/{process}/children");
            let children = fs::read_to_string(path)?;
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
            seen += 1;
        }
        all.into_iter().map(of).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The first asks it to end, the second not to wait for anybody.
        for _ in 0..2 {
            let told = Command::new("kill").arg(self.child.id().to_string()).status();
            if told.is_ok_and(|status| status.success()) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // Whatever it is told, nothing of it is left.
        let _over = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// How long a peer may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The kernel tells times of processes in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

fn cpu_of(process: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in brackets, and may have any letters.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok(TICK * (user + system)),
        (None, _) | (_, None) => Err(io::Error::other(format!("/proc/{process}/stat has no times"))),
    }
}

fn resident_of(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("/proc/{process}/status has no VmRSS")))
}

/// Most files that a process may have open here.
pub(crate) fn most_files() -> io::Result<usize> {
    let text = fs::read_to_string("/proc/self/limits")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    most.ok_or_else(|| io::Error::other("/proc/self/limits has no open files"))
}

/// The program `name`, where Debian has it.
fn found(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/sbin").join(name);
    path.exists().then_some(path)
}

fn absent(name: &str) -> String {
    format!("{name} is left out: it is not here (Debian: apt-get install {name})")
}

/// An address at which nobody listens.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

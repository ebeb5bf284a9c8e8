//! What a process is told beside its policy: where it listens, how much it holds, what it logs.
//!
//! A policy says how requests are decided and is the same everywhere; settings are facts of one process. They come
//! from flags, the environment and `tollgate.toml`, in this order, or are plain values where the proxy is used as a
//! library: [`Settings::default`] needs no file.
//!
//! | Law | Test |
//! |---|---|
//! | A flag wins over a variable, a variable over the file, the file over the default. | `flags_win_over_variables_over_the_file` |
//! | Each setting can be said in all three ways, and means the same. | `three_ways_mean_the_same` |
//! | Everything that is wrong is said at once, with its place. | `everything_is_said_at_once` |
//! | A token is never shown. | `a_token_is_never_shown` |

mod kinds;
mod page;
mod read;
mod said;
mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use tollgate_core::time::Nanos;

pub use page::page;
pub use read::{SettingsError, SettingsFile, Sources, read};
pub use table::{ADMIN_TOKEN, CONFIG, ROWS, Row};

/// What a process is told beside its policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The policy: a path that ends in `.toml`, or the name of a shipped one; none: whatever the command embeds.
    pub policy: Option<String>,
    /// Where clients are served.
    pub listen: Vec<SocketAddr>,
    /// Where metrics, status and health are served.
    pub admin: SocketAddr,
    /// What is to be shown to the admin address, as `Authorization: Bearer`; must be there unless it is loopback.
    pub admin_token: Option<Token>,
    /// Threads that serve, each with a runtime of its own; none: one per core.
    pub threads: Option<NonZeroU16>,
    /// The certificate that clients are shown; none: plain HTTP.
    pub tls: Option<Tls>,
    /// Who may say in a header for whom it speaks.
    pub trusted_proxies: Vec<Cidr>,
    /// How much a client may send, and how slowly.
    pub limits: Limits,
    /// Connections to endpoints.
    pub upstream: Upstream,
    /// How the process ends.
    pub drain: Drain,
    /// What is written down.
    pub log: Log,
    /// The root of all randomness; none: drawn from the operating system.
    pub seed: Option<u64>,
    /// How much faster than the world's the clock runs; 1 outside of tests.
    pub time_scale: f64,
    /// Whether the dice of a request are sent along, so that a mock backend draws as the simulator does.
    pub mock_dice: bool,
    /// How tokens of a prompt are estimated before anybody has counted them.
    pub estimate: Estimator,
}

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How much a client may send, and how slowly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one request's body.
    pub max_body: u64,
    /// Most bytes of all request bodies that are held at once.
    pub max_buffered: u64,
    /// Most connections of clients at once.
    pub max_connections: NonZeroU32,
    /// Most headers of a request.
    pub max_headers: NonZeroU16,
    /// Most bytes of a request's headers.
    pub max_header_bytes: NonZeroU32,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Nanos,
    /// From one piece of a request's body to the next.
    pub body_timeout: Nanos,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Nanos,
    /// How long a client may take nothing of what is to be sent to it.
    pub write_timeout: Nanos,
}

/// Connections to endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Most connections to one endpoint.
    pub max_connections: NonZeroU32,
    /// How long a connection is kept that nobody uses.
    pub idle: Nanos,
    /// How long a connection is used at most, so that changes of DNS are noticed.
    pub max_age: Nanos,
    /// Certificates to trust instead of Mozilla's list: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 is spoken to endpoints that offer it.
    pub http2: bool,
    /// Endpoints that speak HTTP/2 without TLS and without being asked, as `host:port`.
    pub http2_prior_knowledge: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still accepted after `/readyz` has said no.
    pub delay: Nanos,
    /// How long requests may take to finish before they are cut.
    pub deadline: Nanos,
}

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where a line a request goes.
    pub access: AccessLog,
    /// What of the process is told on standard error.
    pub level: Level,
    /// In which form.
    pub format: Format,
}

/// Where a line a request goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    None,
    /// Standard output.
    Stdout,
    /// This file.
    File(PathBuf),
}

/// How much the process tells of itself; each level tells what those before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What somebody has to mend.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens seldom: start, ejections, drain.
    #[default]
    Info,
    /// What helps to find a mistake.
    Debug,
}

/// The form of the process log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// How tokens of a prompt are estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Estimator {
    /// By the bytes of the text.
    #[default]
    Bytes,
    /// By a tokenizer.
    Tokenizer,
}

/// Addresses that share a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits are shared.
    pub prefix: u8,
}

/// A secret that no log, message or page shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl Default for Settings {
    fn default() -> Settings {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Settings {
            policy: None,
            listen: vec![loopback(8080)],
            admin: loopback(9901),
            admin_token: None,
            threads: None,
            tls: None,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            upstream: Upstream::default(),
            drain: Drain::default(),
            log: Log::default(),
            seed: None,
            time_scale: 1.0,
            mock_dice: false,
            estimate: Estimator::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_body: 8 << 20,
            max_buffered: 256 << 20,
            max_connections: NonZeroU32::new(10_000).expect("not 0"),
            max_headers: NonZeroU16::new(100).expect("not 0"),
            max_header_bytes: NonZeroU32::new(32 << 10).expect("not 0"),
            header_timeout: Nanos::from_secs(10),
            body_timeout: Nanos::from_secs(30),
            idle_timeout: Nanos::from_secs(75),
            write_timeout: Nanos::from_secs(60),
        }
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            max_connections: NonZeroU32::new(1_024).expect("not 0"),
            idle: Nanos::from_secs(60),
            max_age: Nanos::from_secs(3_600),
            ca_file: None,
            http2: true,
            http2_prior_knowledge: Vec::new(),
        }
    }
}

impl Default for Drain {
    fn default() -> Drain {
        Drain {
            delay: Nanos::from_secs(1),
            deadline: Nanos::from_secs(30),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            access: AccessLog::None,
            level: Level::Info,
            format: Format::Text,
        }
    }
}

impl Cidr {
    /// Whether `address` begins as these do. An IPv4 address in IPv6 clothing counts as what it is.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let (own, other) = (self.address.to_canonical(), address.to_canonical());
        match (own, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

//! The gateway as a process: sockets, threads, the admin address, and an end that cuts nobody off.
//!
//! Each thread has a runtime and sockets of its own: the kernel spreads clients over them, and no request ever changes
//! its thread. One more thread keeps the gate, answers at the admin address and waits for signals.
//!
//! | Signal | Does |
//! |---|---|
//! | SIGTERM, SIGINT | ends the process: `/readyz` says no, and answers over HTTP/1.1 close their connections; after `drain.delay` nobody is accepted any more; whoever was is answered; at `drain.deadline` after the signal the rest is cut off |
//! | a second one | cuts off at once |
//! | SIGHUP | opens the access log anew, and reads the certificate again |

mod admin;
mod bind;
mod connection;
mod control;
mod files;
mod page;
mod patience;
mod pulse;
mod status;
mod tls;
mod wire;
mod worker;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{Semaphore, watch};

pub use bind::Unbound;
pub use tls::BadCertificate;

use self::control::Control;
use self::tls::Certificate;
use self::worker::Shared;
use crate::gateway::Gateway;
use crate::router;
use crate::settings::Level;

/// A gateway with its sockets: clients that connect wait until it is run.
#[derive(Debug)]
pub struct Server {
    gateway: Arc<Gateway>,
    certificate: Option<Arc<Certificate>>,
    /// For each thread, a listener at each address.
    listeners: Vec<Vec<TcpListener>>,
    addresses: Vec<SocketAddr>,
    admin: TcpListener,
    admin_address: SocketAddr,
}

/// Why nobody can be served.
#[derive(Debug)]
pub enum ServeError {
    /// An address cannot be listened at.
    Unbound(Unbound),
    /// The certificate is of no use.
    Certificate(BadCertificate),
    /// The operating system refuses a thread, a timer or a signal.
    System(io::Error),
}

/// How serving has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Requests that were cut off.
    pub cut: u64,
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Clients are accepted.
    Serving,
    /// No further ones are; those that are there are answered.
    Closing,
    /// Nothing goes on any more.
    Over,
}

impl Server {
    /// Binds the addresses of the gateway's settings.
    ///
    /// # Errors
    ///
    /// If an address is in use or not ours, or the certificate is of no use.
    pub fn bind(gateway: Arc<Gateway>) -> Result<Server, ServeError> {
        let settings = gateway.settings();
        let certificate = settings.tls.as_ref().map(Certificate::read).transpose();
        let certificate = certificate.map_err(ServeError::Certificate)?.map(Arc::new);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = settings.threads.map_or(cores, |threads| usize::from(threads.get()));
        let mut listeners: Vec<Vec<TcpListener>> = (0..threads).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for address in &settings.listen {
            let several = bind::several("listen", *address, threads).map_err(ServeError::Unbound)?;
            addresses.push(several[0].local_addr().map_err(ServeError::System)?);
            for (of_thread, listener) in listeners.iter_mut().zip(several) {
                of_thread.push(listener);
            }
        }
        let admin = bind::one("admin", settings.admin).map_err(ServeError::Unbound)?;
        Ok(Server {
            admin_address: admin.local_addr().map_err(ServeError::System)?,
            admin,
            listeners,
            addresses,
            certificate,
            gateway,
        })
    }

    /// Where clients are served; ports that were left to the system are known now.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics, status and health are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The gateway that serves.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves until a signal says that it is time to end. `ready` is called once signals are heard.
    ///
    /// # Errors
    ///
    /// If the operating system refuses a thread, a timer or a signal.
    pub fn run(self, ready: impl FnOnce()) -> Result<Ended, ServeError> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let settings = self.gateway.settings();
        let most = usize::try_from(settings.limits.max_connections.get()).unwrap_or(usize::MAX);
        if let Some(files) = files::raise().filter(|files| *files < u64::from(settings.limits.max_connections.get())) {
            let fields: [(&str, &dyn fmt::Display); 2] =
                [("files", &files), ("connections", &settings.limits.max_connections)];
            let what = "the process may not open as many files as clients may have connections: raise `ulimit -n`";
            self.gateway.observer().log().tell(Level::Warn, what, &fields);
        }
        let accepting = Arc::new(AtomicUsize::new(0));
        let shared = Shared {
            router: router(Arc::clone(&self.gateway)),
            certificate: self.certificate.clone(),
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            dismissals: Arc::new(Semaphore::new(MOST_DISMISSALS)),
            accepting: Arc::clone(&accepting),
            phase: phases.clone(),
            gateway: Arc::clone(&self.gateway),
        };
        let control = Control {
            gateway: Arc::clone(&self.gateway),
            certificate: self.certificate,
            addresses: self.addresses,
            phase,
            accepting,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ServeError::System)?;
        let mut threads = Vec::new();
        let ended = runtime.block_on(async {
            let signals = control::Signals::listen().map_err(ServeError::System)?;
            self.gateway.begin();
            let admin = tokio::net::TcpListener::from_std(self.admin).map_err(ServeError::System)?;
            drop(tokio::spawn(admin::serve(admin, Arc::clone(&self.gateway), phases)));
            for (number, listeners) in self.listeners.into_iter().enumerate() {
                let shared = shared.clone();
                let thread = std::thread::Builder::new().name(format!("serve-{number}"));
                let thread = thread.spawn(move || worker::run(listeners, &shared));
                threads.push(thread.map_err(ServeError::System)?);
            }
            drop(shared);
            control.announce(self.admin_address);
            ready();
            Ok(control.until_the_end(signals).await)
        });
        for thread in threads {
            // A panic has been told; it took its requests with it.
            if let Ok(served) = thread.join() {
                served.map_err(ServeError::System)?;
            }
        }
        self.gateway.observer().close();
        ended
    }
}

/// Clients that are told at once that there is no place for them.
const MOST_DISMISSALS: usize = 1_024;

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Unbound(unbound) => write!(f, "{unbound}"),
            ServeError::Certificate(certificate) => write!(f, "{certificate}"),
            ServeError::System(error) => write!(f, "the operating system refuses what serving takes: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

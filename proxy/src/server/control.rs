//! From the first signal to the end.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant as Moment, sleep, sleep_until, timeout_at};

use super::tls::Certificate;
use super::{Ended, Phase};
use crate::gateway::Gateway;
use crate::settings::Level;

/// Who leads a process from its beginning to its end.
pub(super) struct Control {
    pub(super) gateway: Arc<Gateway>,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) phase: watch::Sender<Phase>,
    /// Sockets at which clients are still accepted.
    pub(super) accepting: Arc<AtomicUsize>,
}

impl Control {
    /// Says what runs, and where.
    pub(super) fn announce(&self, admin: SocketAddr) {
        let policy = self.gateway.policy().hash;
        let listen: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let listen = listen.join(",");
        let fields: [(&str, &dyn Display); 3] = [("policy", &policy), ("listen", &listen), ("admin", &admin)];
        self.gateway.observer().log().tell(Level::Info, "serving", &fields);
    }

    /// Waits for a signal to end, and ends.
    pub(super) async fn until_the_end(self, mut signals: Signals) -> Ended {
        self.serve(&mut signals).await;
        let ended = self.drain(&mut signals).await;
        self.phase.send_replace(Phase::Over);
        ended
    }

    async fn serve(&self, signals: &mut Signals) {
        while signals.next().await == Asked::Renew {
            self.renew();
        }
    }

    fn renew(&self) {
        let log = self.gateway.observer().log();
        let has_log = self.gateway.observer().reopen();
        let access_log = if has_log { "opened anew" } else { "none" };
        let certificate = match self.certificate.as_ref().map(|certificate| certificate.renew()) {
            None => "none",
            Some(Ok(())) => "read again",
            Some(Err(bad)) => {
                let file = bad.file.display();
                let fields: [(&str, &dyn Display); 2] = [("file", &file), ("error", &bad.why)];
                log.tell(
                    Level::Error,
                    "the certificate is of no use, and the old one stays",
                    &fields,
                );
                "kept"
            }
        };
        let fields: [(&str, &dyn Display); 2] = [("access_log", &access_log), ("certificate", &certificate)];
        log.tell(Level::Info, "renewed", &fields);
    }

    async fn drain(&self, signals: &mut Signals) -> Ended {
        let began = Moment::now();
        let settings = &self.gateway.settings().drain;
        let length = |length: tollgate_core::time::Nanos| Duration::from_nanos(length.as_nanos());
        let deadline = began + length(settings.deadline);
        self.gateway.drain();
        let observer = self.gateway.observer();
        let fields: [(&str, &dyn Display); 2] = [("requests", &observer.in_flight()), ("deadline", &settings.deadline)];
        observer
            .log()
            .tell(Level::Info, "draining: not ready any more", &fields);
        let end = async {
            sleep_until((began + length(settings.delay)).min(deadline)).await;
            self.phase.send_replace(Phase::Closing);
            self.idle().await;
        };
        let in_time = tokio::select! {
            in_time = timeout_at(deadline, end) => in_time.is_ok(),
            () = signals.end() => false,
        };
        let cut = if in_time { 0 } else { observer.in_flight() };
        let took = format!("{:.3}s", began.elapsed().as_secs_f64());
        let fields: [(&str, &dyn Display); 2] = [("cut", &cut), ("took", &took)];
        if cut == 0 {
            observer.log().tell(Level::Info, "drained", &fields);
        } else {
            observer.log().tell(Level::Warn, "requests are cut off", &fields);
        }
        Ended { cut }
    }

    /// Waits until nobody is accepted, connected or waited for any more.
    async fn idle(&self) {
        /// How often it is looked.
        const EVERY: Duration = Duration::from_millis(5);
        let observer = self.gateway.observer();
        let is_busy = || {
            0 < self.accepting.load(Ordering::Acquire) || 0 < observer.open_connections() || 0 < observer.in_flight()
        };
        while is_busy() {
            sleep(EVERY).await;
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    End,
    Renew,
}

/// The signals that are heard.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on signals do not end the process by themselves.
    pub(super) fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _told = self.terminate.recv() => Asked::End,
            _told = self.interrupt.recv() => Asked::End,
            _told = self.hangup.recv() => Asked::Renew,
        }
    }
}

/// The signals that are heard.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// From now on signals do not end the process by themselves.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Asked {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Asked::End,
            // It cannot be heard, so it is never told.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Signals {
    /// Waits for a signal to end.
    async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}

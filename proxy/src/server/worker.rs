//! A thread that serves: a runtime of its own, sockets of its own, and nothing to share but the gateway.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{self, builder};
use super::patience::Patient;
use super::pulse::{Pulse, Served};
use super::tls::Certificate;
use super::wire::{dismiss, unread, written};
use super::{Phase, bind};
use crate::answer::Unserved;
use crate::gateway::Gateway;
use crate::observe::Unconnected;
use crate::settings::Level;

/// What every thread serves with.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) router: Router,
    pub(super) certificate: Option<Arc<Certificate>>,
    /// Places for connections.
    pub(super) places: Arc<Semaphore>,
    /// Places for clients that are told that there is no place.
    pub(super) dismissals: Arc<Semaphore>,
    /// Sockets at which clients are still accepted.
    pub(super) accepting: Arc<AtomicUsize>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Serves at `listeners`, each with its position in `listen`, until the process ends.
pub(super) fn run(listeners: Vec<TcpListener>, shared: &Shared) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let worker = Arc::new(Worker {
            builder: Arc::new(builder(&shared.gateway.settings().limits)),
            shared: shared.clone(),
        });
        for (position, listener) in listeners.into_iter().enumerate() {
            let open = Open::new(&shared.accepting);
            let listener = tokio::net::TcpListener::from_std(listener)?;
            drop(tokio::spawn(Arc::clone(&worker).accept(listener, position, open)));
        }
        drop(worker);
        drop(tokio::spawn(tick()));
        let mut phase = shared.phase.clone();
        // Other threads may have requests on connections to endpoints that this one has opened: all end together.
        let _said = phase.wait_for(|phase| Phase::Over <= *phase).await;
        io::Result::Ok(())
    })
}

/// Wakes its thread now and then, for nothing.
///
/// A runtime that is asked for a timer before all that it has interrupts its own sleep, which costs a system call and a
/// turn of its loop. The timers of requests are seconds away: after this one, hardly any of them is the first.
async fn tick() {
    const EVERY: Duration = Duration::from_millis(500);
    loop {
        tokio::time::sleep(EVERY).await;
    }
}

/// A socket at which clients are accepted.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(accepting: &Arc<AtomicUsize>) -> Open {
        accepting.fetch_add(1, Ordering::AcqRel);
        Open(Arc::clone(accepting))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Worker {
    builder: Arc<Builder<TokioExecutor>>,
    shared: Shared,
}

impl Worker {
    /// Accepts whoever comes, until it is time to close; then whoever has come by then.
    async fn accept(self: Arc<Worker>, listener: tokio::net::TcpListener, position: usize, open: Open) {
        let mut phase = self.shared.phase.clone();
        let mut closing = std::pin::pin!(phase.wait_for(|phase| Phase::Closing <= *phase));
        loop {
            let accepted = tokio::select! {
                biased;
                _said = &mut closing => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.welcome(stream, peer, position),
                Err(error) => self.complain(&error).await,
            }
        }
        let Ok(listener) = listener.into_std() else {
            return;
        };
        bind::shut(&listener);
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.welcome(stream, peer, position);
            }
        }
        drop(listener);
        drop(open);
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, position: usize) {
        let gateway = &self.shared.gateway;
        match Arc::clone(&self.shared.places).try_acquire_owned() {
            Ok(place) => {
                gateway.observer().accepted(position);
                drop(tokio::spawn(greet(
                    stream,
                    peer,
                    place,
                    Arc::clone(&self.builder),
                    self.shared.clone(),
                )));
            }
            Err(_full) => {
                gateway.observer().unconnected(Unconnected::Full);
                self.dismiss(stream);
            }
        }
    }

    /// Tells a client that there is no place for it. Waiting in the kernel's queue would look like an outage to it, and
    /// like a healthy process to whoever spreads the load.
    fn dismiss(&self, stream: TcpStream) {
        // Whoever expects TLS would not understand, and greeting it costs more than serving others.
        if self.shared.certificate.is_some() {
            return;
        }
        if let Ok(place) = Arc::clone(&self.shared.dismissals).try_acquire_owned() {
            let answer = written(&unread(&self.shared.gateway, Unserved::ConnectionsFull));
            drop(tokio::spawn(async move {
                let _place = place;
                dismiss(stream, &answer).await;
            }));
        }
    }

    /// A client that has gone again is nobody's trouble; with everything else, as too many open files, it does not help
    /// to try again at once.
    async fn complain(&self, error: &io::Error) {
        const PAUSE: Duration = Duration::from_millis(100);
        let is_theirs = matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        );
        if !is_theirs {
            let log = self.shared.gateway.observer().log();
            log.tell(Level::Error, "no connection can be accepted", &[("error", error)]);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Serves one client.
async fn greet(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    builder: Arc<Builder<TokioExecutor>>,
    shared: Shared,
) {
    let Shared {
        gateway,
        router,
        certificate,
        phase,
        ..
    } = shared;
    let departure = Departure {
        gateway: Arc::clone(&gateway),
        _place: place,
    };
    // Without it tokens would be held back for company. If it cannot be had, answers are slower.
    let _slower = stream.set_nodelay(true);
    let stream = Patient::new(stream, gateway.settings().limits.write_timeout);
    let served = Served {
        router,
        gateway: Arc::clone(&gateway),
        pulse: Arc::new(Pulse::default()),
        peer,
    };
    match certificate {
        None => connection::serve(stream, served, builder, phase).await,
        Some(certificate) => {
            let patience = Duration::from_nanos(gateway.settings().limits.header_timeout.as_nanos());
            let greeting = certificate.acceptor().accept(stream);
            match tokio::time::timeout(patience, greeting).await {
                Ok(Ok(stream)) => connection::serve(stream, served, builder, phase).await,
                Ok(Err(_)) | Err(_) => gateway.observer().unconnected(Unconnected::Handshake),
            }
        }
    }
    drop(departure);
}

/// A connection, until it is closed, however that comes about.
struct Departure {
    gateway: Arc<Gateway>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.gateway.observer().disconnected();
    }
}

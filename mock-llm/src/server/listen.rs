//! Connections: who is taken, for how long, and how it ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::MockServer;
use super::driver::Driver;
use super::line::{End, Line, Wire};

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const MOST_HEADERS: usize = 128;
/// Most bytes of a head, and of what is read ahead of a handler.
const MOST_HEAD: usize = 64 << 10;
const MOST_STREAMS: u32 = 256;
/// How long what runs may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long a connection may be silent that is going to be reset unless it is an administrator's.
const HESITATION: Duration = Duration::from_secs(1);
/// How long to wait when the machine has no means left for another connection.
const RECOVERY: Duration = Duration::from_millis(50);
/// What lies between the ends of a connection within the process.
const PIPE: usize = 64 << 10;

impl MockServer {
    /// Serves every connection of `listener` until the server is stopped, and what runs has ended.
    pub async fn listen(&self, listener: TcpListener) {
        let router = self.router();
        let mut stopping = self.shared.stopping.subscribe();
        let mut connections = JoinSet::new();
        loop {
            let taken = tokio::select! {
                taken = self.take(&listener) => taken,
                // The server holds the other end: it does not close.
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((stream, place)) = taken else {
                tokio::time::sleep(RECOVERY).await;
                continue;
            };
            let (server, router) = (self.clone(), router.clone());
            connections.spawn(async move {
                if server.is_refusing() && !is_administrator(&stream).await {
                    reset_socket(&stream);
                } else {
                    server.converse(stream, reset_socket, router).await;
                }
                drop(place);
            });
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Serves one connection until it ends. On anything but a socket, what is reset is closed.
    pub async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.converse(stream, |_| {}, self.router()).await;
    }

    /// A connection to this server within the process. It is served on the runtime that this is called from.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) while the backend refuses connections, or once it is
    /// stopped.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        if self.is_refusing() || *self.shared.stopping.borrow() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(PIPE);
        let server = self.clone();
        tokio::spawn(async move { server.serve(far).await });
        Ok(near)
    }

    /// The next connection, and its place among those that may be open.
    async fn take(&self, listener: &TcpListener) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.shared.places).acquire_owned().await;
        let place = place.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, place))
    }

    async fn converse<S>(&self, stream: S, reset: fn(&S), router: Router)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let _open = Open::new(&self.shared.driver);
        let line = Arc::new(Line::default());
        let clock = Arc::clone(&self.shared.driver.clock);
        let wire = Wire::new(stream, reset, Arc::clone(&line), clock);
        let told = Arc::clone(&line);
        let inner = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&told));
            inner.call(request)
        });
        let http = http();
        let connection = http.serve_connection(TokioIo::new(wire), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.shared.stopping.subscribe();
        tokio::select! {
            // In this order, so that connections that break at one instant end in the order in which they broke.
            biased;
            // How a client spoils its connection is its own affair.
            _ = connection.as_mut() => return,
            End::Closed | End::Reset = line.broken() => return,
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection.as_mut() => {}
            End::Closed | End::Reset = line.broken() => {}
            () = tokio::time::sleep(GRACE) => {}
        }
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(MOST_HEAD)
        // The same seed gives the same bytes.
        .auto_date_header(false);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(MOST_HEAD).expect("a small number"))
        .auto_date_header(false);
    http
}

/// Whether a connection begins with a call to the server itself, which alone can end the fault by which nobody else gets in.
async fn is_administrator(stream: &TcpStream) -> bool {
    const CALLS: [&[u8]; 3] = [b"GET /mock/", b"POST /mock/", b"DELETE /mock/"];
    let mut bytes = [0; 16];
    match tokio::time::timeout(HESITATION, stream.peek(&mut bytes)).await {
        Ok(Ok(count)) => CALLS.iter().any(|call| bytes[..count].starts_with(call)),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Lets the machine reset the connection when it is closed.
fn reset_socket(stream: &TcpStream) {
    // A socket that is gone already needs no reset.
    let _gone = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Counts a connection for as long as it is open.
struct Open(Arc<Driver>);

impl Open {
    fn new(driver: &Arc<Driver>) -> Open {
        driver.with(|state, _| state.record.connections += 1);
        Open(Arc::clone(driver))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.with(|state, _| state.record.connections -= 1);
    }
}

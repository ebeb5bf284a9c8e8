//! The least that a proxy of hyper can be: requests and answers handed on as they are, nothing read, nothing counted.
//!
//! A runtime of one thread a core, connections kept by the thread that opened them: what any proxy on hyper pays.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Hands on what comes to `listen` to `upstream`, until the process is ended.
pub(crate) fn pass(listen: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let threads: Vec<_> = (0..cores)
        .map(|_| std::thread::spawn(move || serve(listen, upstream)))
        .collect();
    for thread in threads {
        thread
            .join()
            .map_err(|_| io::Error::other("a thread that serves has panicked"))??;
    }
    Ok(())
}

fn serve(listen: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(4096)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::from_std(socket.into())?;
        let idle = Rc::new(Idle {
            upstream,
            senders: RefCell::default(),
        });
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let idle = Rc::clone(&idle);
            drop(tokio::task::spawn_local(async move {
                let service = service_fn(|request| hand_on(request, Rc::clone(&idle)));
                let http = hyper::server::conn::http1::Builder::new();
                // A client that leaves is no trouble of ours.
                let _left = http.serve_connection(TokioIo::new(stream), service).await;
            }));
        }
    })
}

type Sender = SendRequest<Incoming>;

/// Connections that nobody uses.
struct Idle {
    upstream: SocketAddr,
    senders: RefCell<Vec<Sender>>,
}

impl Idle {
    async fn sender(&self) -> io::Result<Sender> {
        let kept = || self.senders.borrow_mut().pop();
        while let Some(sender) = kept() {
            if !sender.is_closed() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(true)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        drop(tokio::task::spawn_local(async move {
            let _ended = connection.await;
        }));
        Ok(sender)
    }
}

async fn hand_on(request: Request<Incoming>, idle: Rc<Idle>) -> io::Result<Response<Handed>> {
    let mut sender = idle.sender().await?;
    sender.ready().await.map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(answer.map(|body| Handed {
        body,
        kept: Some((sender, idle)),
    }))
}

/// An answer on its way; its connection is kept once all of it has come.
struct Handed {
    body: Incoming,
    kept: Option<(Sender, Rc<Idle>)>,
}

impl http_body::Body for Handed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_over = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        if is_over && let Some((sender, idle)) = self.kept.take() {
            idle.senders.borrow_mut().push(sender);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

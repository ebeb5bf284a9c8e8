//! Servers of a few lines, each on a port and a thread of its own until the test ends.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Connections that were taken.
    pub(crate) taken: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is done with a connection.
type Handler = Box<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>>>> + Send>;

impl Server {
    /// Hands every connection to `handler`.
    pub(crate) fn start<F>(handler: impl Fn(TcpStream) -> F + Send + 'static) -> Server
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let handler: Handler = Box::new(move |stream| Box::pin(handler(stream)));
        let (told, address) = channel::<SocketAddr>();
        let (stop, stopped) = oneshot::channel();
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("its address"))
                    .expect("the test waits");
                let serve = async {
                    loop {
                        let (stream, _) = listener.accept().await.expect("a connection");
                        count.fetch_add(1, Ordering::Relaxed);
                        let handled = handler(stream);
                        tokio::task::spawn_local(async move {
                            // What becomes of a connection is the test's to judge.
                            let _end = handled.await;
                        });
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().expect("it has started");
        Server {
            url: format!("http://{address}/v1"),
            taken,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Answers every request with `answer`, as it stands.
    pub(crate) fn always(answer: Vec<u8>) -> Server {
        let answer: Arc<[u8]> = answer.into();
        Server::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                while request(&mut stream).await?.is_some() {
                    stream.write_all(&answer).await?;
                }
                Ok(())
            }
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// The next request, its head and its body; none if the client has gone.
pub(crate) async fn request(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let whole = head + length.unwrap_or(0);
    while bytes.len() < whole {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// `body` as a good answer.
pub(crate) fn ok(kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer that comes whole.
pub(crate) fn whole() -> Vec<u8> {
    let usage = r#"{"prompt_tokens":20,"completion_tokens":5}"#;
    let body = format!(r#"{{"choices":[{{"message":{{"content":"a"}}}}],"usage":{usage}}}"#);
    ok("application/json", &body)
}

/// A stream of two tokens, and `end` after them.
pub(crate) fn stream(end: &str) -> Vec<u8> {
    let token = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
    ok("text/event-stream", &format!("data: {token}\n\ndata: {token}\n\n{end}"))
}

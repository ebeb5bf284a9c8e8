//! An endpoint that does what a script says, byte for byte.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::find;
use crate::world::SOON;

/// An endpoint that does what a script says.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// A connection of an endpoint, on which a request has come.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
}

impl Upstream {
    /// An endpoint that treats every request as `script` says, each connection on a thread of its own, which ends with
    /// its connection.
    pub(crate) fn new(script: impl Fn(&mut Line) + Send + Sync + 'static) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, counter) = (Arc::clone(&script), Arc::clone(&counter));
                let Ok(stream) = stream else {
                    return;
                };
                std::thread::spawn(move || serve(stream, &counter, &*script));
            }
        });
        Upstream { address, asked }
    }

    /// One that sends these bytes as every answer, and closes.
    pub(crate) fn saying(bytes: impl Into<Vec<u8>>) -> Upstream {
        let bytes = bytes.into();
        Upstream::new(move |line| {
            line.say(&bytes);
            line.close();
        })
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, asked: &AtomicUsize, script: &dyn Fn(&mut Line)) {
    stream.set_read_timeout(Some(SOON * 3)).expect("a socket");
    let mut bytes = Vec::new();
    loop {
        if request(&mut stream, &mut bytes).is_none() {
            return;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let mut line = Line { stream };
        script(&mut line);
        stream = line.stream;
    }
}

/// Reads one request; none if the connection ends before it does.
fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    loop {
        if let Some(end) = find(bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |digits| digits.parse().expect("a number"));
            if end + 4 + length <= bytes.len() {
                bytes.drain(..end + 4 + length);
                return Some(());
            }
        }
        let mut more = [0; 16 << 10];
        match stream.read(&mut more) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&more[..read]),
        }
    }
}

impl Line {
    /// Sends `bytes`; whether anybody took them.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Closes the connection.
    pub(crate) fn close(&mut self) {
        // It may have been closed from the other side.
        let _closed = self.stream.shutdown(Shutdown::Both);
    }

    /// Says nothing until the other side closes.
    pub(crate) fn wait(&mut self) {
        let mut bytes = [0; 1 << 10];
        while self.stream.read(&mut bytes).is_ok_and(|read| 0 < read) {}
    }
}

/// The head of a stream.
pub(crate) const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// An event with one token.
pub(crate) const TOKEN: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":null}]}\n\n";

/// The end of a stream.
pub(crate) const DONE: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// An answer that comes whole.
pub(crate) const WHOLE: &str = "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"word\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}";

/// An answer that comes whole, with its head.
pub(crate) fn whole() -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{WHOLE}",
        WHOLE.len()
    )
}

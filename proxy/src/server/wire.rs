//! The bytes of a connection: it is noted when some come, and what hyper answers by itself is put into form.
//!
//! What is no HTTP never becomes a request, and hyper answers it with a bare status. A client of an OpenAI-style API
//! expects an error with a message, whatever went wrong.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pulse::Pulse;
use crate::answer::{self, Unserved};
use crate::gateway::Gateway;
use crate::observe::Entry;
use crate::request::request_id;

/// The bytes of a connection.
pub(super) struct Wire<S> {
    stream: S,
    pulse: Arc<Pulse>,
    gateway: Arc<Gateway>,
    /// What is sent instead of what hyper wants to send, of so many bytes.
    instead: Option<(Bytes, usize)>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, gateway: Arc<Gateway>) -> Wire<S> {
        Wire {
            stream,
            pulse,
            gateway,
            instead: None,
        }
    }

    /// What to send instead of `bytes`, if hyper answers by itself.
    fn look(&mut self, bytes: &[u8]) {
        if self.instead.is_some() || !self.pulse.is_idle() {
            return;
        }
        if let Some(unserved) = bare(bytes, self.gateway.settings().limits.max_header_bytes.get()) {
            let answer = unread(&self.gateway, unserved);
            self.instead = Some((written(&answer), bytes.len()));
        }
    }
}

/// The answer to something that never became a request; it is counted as one.
pub(super) fn unread(gateway: &Gateway, unserved: Unserved) -> Response<Bytes> {
    let id = request_id(&HeaderMap::new(), gateway.name());
    let answer = answer::unserved(unserved, &id);
    let now = gateway.clock().now();
    let entry = Entry {
        id: id.to_str().unwrap_or_default(),
        tenant: None,
        operation: None,
        model: "",
        status: answer.status().as_u16(),
        lost: &[],
    };
    gateway.observer().arrived();
    gateway.observer().turned_away(now, now, &entry);
    answer
}

/// `answer` as HTTP/1.1, after which the connection is closed.
pub(super) fn written(answer: &Response<Bytes>) -> Bytes {
    let status = answer.status();
    let mut bytes = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or("")
    )
    .into_bytes();
    for (name, value) in answer.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let end = format!("connection: close\r\ncontent-length: {}\r\n\r\n", answer.body().len());
    bytes.extend_from_slice(end.as_bytes());
    bytes.extend_from_slice(answer.body());
    bytes.into()
}

/// Why hyper answers by itself, if `bytes` are such an answer: a status and no content.
fn bare(bytes: &[u8], most: u32) -> Option<Unserved> {
    let status = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let unserved = match status.get(..3)? {
        b"400" => Unserved::Malformed,
        b"414" => Unserved::UriTooLong,
        b"431" => Unserved::HeadersTooLarge { most: u64::from(most) },
        _ => return None,
    };
    // Ours say what they contain.
    let has = |word: &[u8]| {
        bytes
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    (!has(b"\r\ncontent-type:")).then_some(unserved)
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if before < buffer.filled().len() {
            self.pulse.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Sends what is sent instead; then as many bytes of hyper's count as sent.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let (bytes, of) = self.instead.as_mut()?;
        while bytes.has_remaining() {
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Pending => return Some(Poll::Pending),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(sent)) => bytes.advance(sent),
            }
        }
        let of = *of;
        self.instead = None;
        Some(Poll::Ready(Ok(of)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.look(bytes);
        match self.poll_instead(cx) {
            Some(sent) => sent,
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty()) {
            self.look(first);
        }
        match self.poll_instead(cx) {
            Some(sent) => sent,
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Sends `answer` to a client that is not served, without waiting long for anything.
///
/// What it has sent is read, or closing would take the answer away from it.
pub(super) async fn dismiss<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &[u8]) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let told = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut bytes = [0; 1_024];
        while 0 < stream.read(&mut bytes).await? {}
        io::Result::Ok(())
    };
    // Whoever does not listen is not told.
    let _late = tokio::time::timeout(DISMISSAL, told).await;
}

/// How long a client that is not served may take to hear it.
const DISMISSAL: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_answers_are_replaced() {
        let bare = |text: &str| bare(text.as_bytes(), 9);
        let is = |text: &str| bare(text).is_some();
        assert!(is(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        ));
        assert_eq!(
            bare("HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n"),
            Some(Unserved::HeadersTooLarge { most: 9 })
        );
        assert!(!is(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{}"
        ));
        assert!(!is("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(!is("data: HTTP/1.1 400"));
        assert!(!is("HTTP/1.1 4"));
    }
}

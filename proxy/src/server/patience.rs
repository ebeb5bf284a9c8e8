//! The socket of a client that may stop reading: nobody waits for it for ever.
//!
//! A client whose window is closed keeps its connection from asking for more of an answer, and so keeps everything that
//! would end its request from being noticed: timeouts, the end of its attempt. The socket itself keeps the time.
//!
//! | Law | Test |
//! |---|---|
//! | A connection that has accepted no byte for the write timeout is reset, and its request abandoned. | `a_client_that_stops_reading_is_given_up` |
//! | A client that reads slowly, but reads, is served. | `a_client_that_reads_slowly_is_served` |

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant as Moment, Sleep, sleep};
use tollgate_core::time::Nanos;

/// The socket of a client.
#[derive(Debug)]
pub(super) struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Rings when patience ends; there is none before a write has had to wait.
    end: Option<Pin<Box<Sleep>>>,
    /// The last write had to wait.
    is_waiting: bool,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, patience: Nanos) -> Patient {
        Patient {
            stream,
            patience: Duration::from_nanos(patience.as_nanos()),
            end: None,
            is_waiting: false,
        }
    }

    /// What a write has come to; an error if the client has taken nothing for too long. The kernel wakes a writer only
    /// when much room has come, so that a client that reads slowly would pass for one that does not: before anybody is
    /// given up, it is tried once `more`.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        more: impl FnOnce(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        let patience = self.patience;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.is_waiting {
            self.is_waiting = true;
            end.as_mut().reset(Moment::now() + patience);
        }
        if end.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_waiting = false;
        match more(SockRef::from(&self.stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
        // What lies in the kernel for it is forgotten as well. A socket that is gone already needs no reset.
        let _gone = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written, |socket| socket.send(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written, |socket| socket.send_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// A socket holds nothing back, so that this says nothing of its client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

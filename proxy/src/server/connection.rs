//! One connection of a client: HTTP/1.1 or HTTP/2 over it, and how long it may do nothing.
//!
//! | Law | Test |
//! |---|---|
//! | A request that has begun to come in is there within the header timeout, or its connection is closed. | `a_slow_loris_is_cut_off` |
//! | An answer of which its client takes nothing for the write timeout is given up, and those beside it are not. | `a_stream_that_nobody_reads_is_given_up` |
//! | A connection without a request is closed after the idle timeout. | `idle_connections_are_closed` |
//! | While a process ends, whoever was accepted is still answered once. | `sigterm_under_load_cuts_nobody` |

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant as Moment, sleep_until};

use super::Phase;
use super::pulse::{Pulse, Served};
use super::wire::Wire;
use crate::settings::Limits;

/// How connections are served; one for each thread.
pub(super) fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    /// The number for which hyper needs no memory of its own.
    const USUAL_HEADERS: u16 = 100;
    /// How often an HTTP/2 client is asked whether it is there.
    const PING_EVERY: Duration = Duration::from_secs(20);
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes = limits.max_header_bytes.get();
    let mut http1 = builder.http1();
    // Its time is kept by `supervise`, which tells a slow request from an idle connection.
    http1.header_read_timeout(None);
    http1.max_buf_size(usize::try_from(header_bytes).unwrap_or(usize::MAX));
    if limits.max_headers.get() != USUAL_HEADERS {
        http1.max_headers(usize::from(limits.max_headers.get()));
    }
    let mut http2 = builder.http2();
    http2
        .timer(hyper_util::rt::TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_header_list_size(header_bytes);
    builder
}

/// Serves `stream` until its client goes, it was idle for too long, or `phase` says that it is time.
pub(super) async fn serve<S>(
    stream: S,
    served: Served,
    builder: Arc<Builder<TokioExecutor>>,
    phase: watch::Receiver<Phase>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Arc::clone(&served.pulse);
    let gateway = Arc::clone(&served.gateway);
    let limits = gateway.settings().limits.clone();
    let wire = TokioIo::new(Wire::new(stream, Arc::clone(&pulse), gateway));
    let mut connection = pin!(builder.serve_connection(wire, served));
    let mut rest = Rest::new(pulse, &limits);
    let mut sleep = pin!(sleep_until(rest.until));
    let mut closing = pin!(closing(phase));
    let mut is_closing = false;
    let mut is_told = false;
    poll_fn(|cx| {
        loop {
            // How a client breaks off is its own affair.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            is_closing = is_closing || closing.as_mut().poll(cx).is_ready();
            // A client that was accepted and has not been heard yet is still answered once.
            if is_closing && !is_told && rest.has_spoken() {
                is_told = true;
                rest.last_call();
                connection.as_mut().graceful_shutdown();
                continue;
            }
            let until = rest.until(Moment::now());
            if until < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if rest.until(Moment::now()) <= Moment::now() {
                if is_told || !rest.has_spoken() || rest.is_partial() {
                    return Poll::Ready(());
                }
                is_told = true;
                rest.last_call();
                connection.as_mut().graceful_shutdown();
            }
        }
    })
    .await;
}

/// Waits until it is time to close.
async fn closing(mut phase: watch::Receiver<Phase>) {
    // If nobody can say so any more, it is time as well.
    let _said = phase.wait_for(|phase| Phase::Closing <= *phase).await;
}

/// How long a connection may go on as it is.
struct Rest {
    pulse: Arc<Pulse>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    /// When it is looked for answers of which nobody takes anything.
    look_at: Moment,
    /// Since when no request is in flight, and how many there had been.
    idle: Option<(Moment, u64)>,
    /// Since when one is coming in.
    partial: Option<Moment>,
    /// It has been asked to close.
    is_last: bool,
    until: Moment,
}

/// Longer than any connection lasts.
const LONG: Duration = Duration::from_secs(24 * 3600);

impl Rest {
    fn new(pulse: Arc<Pulse>, limits: &Limits) -> Rest {
        let now = Moment::now();
        let header_timeout = Duration::from_nanos(limits.header_timeout.as_nanos());
        Rest {
            pulse,
            header_timeout,
            idle_timeout: Duration::from_nanos(limits.idle_timeout.as_nanos()),
            write_timeout: Duration::from_nanos(limits.write_timeout.as_nanos()).min(LONG),
            look_at: now,
            idle: Some((now, 0)),
            partial: None,
            is_last: false,
            until: now + header_timeout.min(LONG),
        }
    }

    /// Whether a request has ever come.
    fn has_spoken(&self) -> bool {
        0 < self.pulse.begun()
    }

    fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// From now on it has as long to close as a request has to come in.
    fn last_call(&mut self) {
        self.is_last = true;
        self.idle = None;
    }

    /// Gives up answers of which nobody takes anything; when it is looked next. Where there is one at a time, the socket
    /// itself sees to that.
    fn look(&mut self, now: Moment) -> Moment {
        /// How often it is looked within the time that a client has.
        const LOOKS: u32 = 4;
        if !self.pulse.is_shared() {
            return now + LONG;
        }
        if self.look_at <= now {
            self.pulse.give_up(now, self.write_timeout);
            self.look_at = now + (self.write_timeout / LOOKS).max(Duration::from_millis(1));
        }
        self.look_at
    }

    /// Until when it may go on, unless something happens.
    fn until(&mut self, now: Moment) -> Moment {
        if !self.pulse.is_idle() {
            (self.idle, self.partial) = (None, None);
            return self.look(now);
        }
        let begun = self.pulse.begun();
        let since = match self.idle {
            Some((since, before)) if before == begun => since,
            Some(_) | None => now,
        };
        self.idle = Some((since, begun));
        self.partial = self.pulse.is_partial().then(|| self.partial.unwrap_or(now));
        let is_short = begun == 0 || self.is_last;
        let patience = if is_short {
            self.header_timeout
        } else {
            self.idle_timeout
        };
        let idle = since + patience.min(LONG);
        match self.partial {
            Some(since) => idle.min(since + self.header_timeout.min(LONG)),
            None => idle,
        }
    }
}

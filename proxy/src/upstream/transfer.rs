//! One request on its way to an endpoint, and its answer on the way back.
//!
//! It knows no timeout and no policy: it says what happens, and whoever does not want to hear more drops it, which
//! closes its connection or resets its stream at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use tollgate_core::fault::Fault;
use tollgate_core::time::Instant;

use super::connect::{Address, Connect};
use super::link::{Answering, Link, Outbound, open};
use super::pool::{Asked, Pool, Seat, Turn, Waiting};
use crate::clock::Clock;
use crate::tasks::Tasks;

/// What a transfer needs of the world.
pub(crate) struct World {
    /// Who makes streams of bytes.
    pub(crate) connect: Arc<dyn Connect>,
    /// Who tells the time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where connections over HTTP/2 run.
    pub(crate) tasks: Tasks,
}

/// One request and its answer.
pub(crate) struct Transfer {
    world: Arc<World>,
    pool: Arc<Pool>,
    address: Arc<Address>,
    request: Option<Outbound>,
    state: State,
    /// It may begin once more, because what it was sent on had been closed unseen.
    may_resend: bool,
}

/// The head of an answer, or why there is none.
type Answer = Result<Response<Incoming>, TrySendError<Outbound>>;

type Opening = Pin<Box<dyn Future<Output = io::Result<Link>> + Send>>;

enum State {
    /// It has not asked for a connection.
    Start,
    /// Another's connection is waited for.
    Waiting {
        place: Waiting,
        /// All are in use; otherwise one is on its way that can be shared.
        told: bool,
    },
    /// A connection is on its way.
    Opening(Opening),
    /// There is a connection.
    Ready(Link),
    /// The request is being sent, or the answer has not begun.
    Sent { link: Link, answering: Answering },
    /// The answer comes.
    Answering { link: Link, body: Incoming },
    /// Nothing more will come.
    Over,
}

/// What happens to a transfer.
#[derive(Debug)]
pub(crate) enum Said {
    /// All connections that there may be are in use.
    Waiting,
    /// It waits no longer.
    Served,
    /// The connection stands.
    Connected,
    /// The head of the answer has come.
    Head(Box<Parts>),
    /// A part of its body has.
    Data(Bytes),
    /// It is complete. Nothing follows.
    End,
    /// No connection came about. Nothing follows.
    Unreachable(io::Error),
    /// It has failed. Nothing follows.
    Failed(Fault),
}

impl Transfer {
    /// `request` to `address`, over one of the connections of `pool`.
    pub(crate) fn new(world: &Arc<World>, pool: &Arc<Pool>, address: &Arc<Address>, request: Outbound) -> Transfer {
        Transfer {
            world: Arc::clone(world),
            pool: Arc::clone(pool),
            address: Arc::clone(address),
            request: Some(request),
            state: State::Start,
            may_resend: true,
        }
    }

    /// What happens next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Said> {
        loop {
            let said = match &mut self.state {
                State::Start => self.ask(now),
                State::Waiting { place, told } => {
                    let turn = ready!(place.poll(cx));
                    let told = *told;
                    self.state = match turn {
                        Turn::Link(link) => self.take(link, now),
                        Turn::Seat(seat) => self.open(seat, now),
                    };
                    told.then_some(Said::Served)
                }
                State::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(link) => self.turn_to(State::Ready(link)),
                    Err(error) => {
                        self.state = State::Over;
                        Some(Said::Unreachable(error))
                    }
                },
                State::Ready(_) => Some(self.send()),
                State::Sent { link, answering } => {
                    link.drive(cx);
                    let answer = ready!(answering.as_mut().poll(cx));
                    self.hear(answer, now)
                }
                // All that was promised is here. Whoever relays it stops to ask once it has been sent, and the mark of the
                // end may come later.
                State::Answering { body, .. } if body.size_hint().exact() == Some(0) => Some(self.end(now)),
                State::Answering { link, body } => {
                    let mut frame = Pin::new(&mut *body).poll_frame(cx);
                    if frame.is_pending() {
                        link.drive(cx);
                        frame = Pin::new(body).poll_frame(cx);
                    }
                    match ready!(frame) {
                        // Trailers say nothing that anybody asked for.
                        Some(Ok(frame)) => frame.into_data().ok().map(Said::Data),
                        Some(Err(_)) => Some(self.fail(Fault::Stream)),
                        None => Some(self.end(now)),
                    }
                }
                State::Over => return Poll::Pending,
            };
            if let Some(said) = said {
                return Poll::Ready(said);
            }
        }
    }

    fn ask(&mut self, now: Instant) -> Option<Said> {
        self.state = match self.pool.ask(now) {
            Asked::Link(link) => self.take(link, now),
            Asked::Seat(seat) => self.open(seat, now),
            Asked::Share(place) => State::Waiting { place, told: false },
            Asked::Wait(place) => {
                self.state = State::Waiting { place, told: true };
                return Some(Said::Waiting);
            }
        };
        None
    }

    /// Uses `link`, or opens another in its place if it was closed while nobody looked.
    fn take(&self, mut link: Link, now: Instant) -> State {
        if link.is_open() {
            return State::Ready(link);
        }
        match link.into_seat() {
            Some(seat) => self.open(seat, now),
            None => State::Start,
        }
    }

    fn open(&self, seat: Seat, now: Instant) -> State {
        let connecting = self.world.connect.connect(&self.address);
        State::Opening(Box::pin(open(connecting, seat, now, self.world.tasks.clone())))
    }

    fn send(&mut self) -> Said {
        let State::Ready(mut link) = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("asked for in this state only");
        };
        let request = self.request.take().expect("a request that is not under way is here");
        let answering = link.send(request);
        self.state = State::Sent { link, answering };
        Said::Connected
    }

    fn hear(&mut self, answer: Answer, now: Instant) -> Option<Said> {
        let State::Sent { link, .. } = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("asked for in this state only");
        };
        match answer {
            // What follows a change of protocol is nothing that we asked for.
            Ok(answer) if answer.status().is_informational() => Some(Said::Failed(Fault::Server)),
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                self.state = State::Answering { link, body };
                Some(Said::Head(Box::new(parts)))
            }
            Err(mut failed) => match failed.take_message() {
                // Nothing of it was sent, on a connection that had been closed unseen.
                Some(request) if link.was_used() && std::mem::take(&mut self.may_resend) => {
                    self.request = Some(request);
                    self.state = match link.into_seat() {
                        Some(seat) => self.open(seat, now),
                        None => State::Start,
                    };
                    None
                }
                Some(_) | None => Some(Said::Failed(fault_of(failed.error()))),
            },
        }
    }

    fn end(&mut self, now: Instant) -> Said {
        if let State::Answering { link, body } = std::mem::replace(&mut self.state, State::Over) {
            link.end(Some(body), now);
        }
        Said::End
    }

    /// The answer is complete by what it says, whether or not its last bytes have come.
    pub(crate) fn finish(self, now: Instant) {
        if let State::Answering { link, body } = self.state {
            link.end(Some(body), now);
        }
    }

    fn fail(&mut self, fault: Fault) -> Said {
        self.state = State::Over;
        Said::Failed(fault)
    }

    fn turn_to(&mut self, state: State) -> Option<Said> {
        self.state = state;
        None
    }
}

/// How an exchange failed of which no answer has come.
fn fault_of(error: &hyper::Error) -> Fault {
    if error.is_parse() || error.is_parse_too_large() {
        Fault::Server
    } else {
        Fault::Connect
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

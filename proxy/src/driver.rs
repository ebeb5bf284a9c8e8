//! The loop: what happened is delivered to the lifecycle, and what it asks for is performed.
//!
//! The twin of the simulator's `deliver`: one input, all its effects, the next input. Nobody else touches the lifecycle,
//! and nothing is decided here. Whoever polls an [`Exchange`] drives it: first the handler, until there is something to
//! answer; then the body of the answer, whenever the client's side asks for more.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tollgate_core::lifecycle::{Input, Phase, Refusal, Ruling};
use tollgate_core::time::Instant;

use crate::exchange::{Exchange, Progress};

/// What there is to tell a client.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// An attempt has won: its answer is to be relayed.
    Relay,
    /// We answer ourselves.
    Refuse(Refusal),
}

/// What there is to send to a client once an attempt has won.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A part of the body.
    Bytes(Bytes),
    /// The answer is broken off.
    Broken(Refusal),
    /// It is complete.
    End,
}

impl Exchange {
    /// Begins the request.
    pub(crate) fn start(&mut self) {
        let now = self.gateway.clock.now();
        self.deliver(now, Input::Start);
    }

    /// Drives the request until there is something to answer.
    pub(crate) fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let mut now = self.gateway.clock.now();
        loop {
            match self.progress {
                Progress::Relaying => return Poll::Ready(Verdict::Relay),
                Progress::Refused(refusal) => return Poll::Ready(Verdict::Refuse(refusal)),
                Progress::Open => {}
            }
            let input = ready!(self.next(cx, &mut now));
            self.deliver(now, input);
        }
    }

    /// Drives the request until there is something to send, or its end has come.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let mut now = self.gateway.clock.now();
        loop {
            if let Some(bytes) = self.outgoing.pop_front() {
                return Poll::Ready(Piece::Bytes(bytes));
            }
            match self.progress {
                Progress::Refused(refusal) => return Poll::Ready(Piece::Broken(refusal)),
                Progress::Open | Progress::Relaying if self.is_over() => return Poll::Ready(Piece::End),
                Progress::Open | Progress::Relaying => {}
            }
            let input = ready!(self.next(cx, &mut now));
            self.deliver(now, input);
        }
    }

    /// Drives a request whose client has gone to its end.
    pub(crate) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = self.gateway.clock.now();
        while !self.is_over() {
            let input = ready!(self.next(cx, &mut now));
            self.deliver(now, input);
            self.outgoing.clear();
        }
        Poll::Ready(())
    }

    /// The client has gone: everything that attempts have sent is delivered, and then this.
    pub(crate) fn abandon(&mut self) {
        let now = self.gateway.clock.now();
        self.deliver_progress(now);
        self.deliver(now, Input::Abandon);
    }

    /// Nothing more can be heard: every attempt that still runs has broken off.
    pub(crate) fn cut(&mut self) {
        let now = self.gateway.clock.now();
        while let Some((id, event)) = self.cut_off() {
            self.deliver(now, Input::Attempt { id, event });
        }
    }

    /// Whether everything has been given back.
    pub(crate) fn is_over(&self) -> bool {
        self.life.phase() == Phase::Settled
    }

    /// Delivers one input and performs what it asks for.
    fn deliver(&mut self, now: Instant, input: Input) {
        let gateway = Arc::clone(&self.gateway);
        self.life.handle(&gateway.gate, now, input, &mut self.effects);
        self.perform(&gateway, now);
        self.let_go(now);
    }

    /// What is to be delivered next. Time is read again when the timer has rung, and else once a poll.
    ///
    /// The timer comes last: when it has rung, everything that attempts have sent by then has been delivered.
    fn next(&mut self, cx: &mut Context<'_>, now: &mut Instant) -> Poll<Input> {
        if let Some(ticket) = self.asked.take() {
            // There is no store that could answer; a gateway is not built for a policy that needs one.
            let ruling = Ruling::Unavailable;
            return Poll::Ready(Input::Rule { ticket, ruling });
        }
        if let Poll::Ready(verdict) = self.mailbox.poll(cx) {
            return Poll::Ready(Input::Dequeue { verdict });
        }
        if let Poll::Ready((id, event)) = self.poll_attempts(cx, *now) {
            return Poll::Ready(Input::Attempt { id, event });
        }
        ready!(self.poll_timer(cx));
        *now = self.gateway.clock.now();
        Poll::Ready(Input::Wake)
    }

    /// Delivers what attempts have sent so far, a bounded number of pieces.
    fn deliver_progress(&mut self, now: Instant) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..MOST_PROGRESS {
            let Poll::Ready((id, event)) = self.poll_attempts(cx, now) else {
                return;
            };
            self.deliver(now, Input::Attempt { id, event });
            self.outgoing.clear();
        }
    }
}

/// Pieces of progress that are read for a client that has gone: what lies in buffers, not what will still be sent.
const MOST_PROGRESS: usize = 64;

//! A running attempt: what its transfer says, in the words that core understands.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use tollgate_core::fault::Fault;
use tollgate_core::id::{AttemptId, EndpointId};
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::Instant;

use crate::gateway::Gateway;
use crate::observe::{Ended, Lost};
use crate::provider::{AnswerReader, Rejection};
use crate::upstream::{Said, Transfer};

/// A running attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) endpoint: EndpointId,
    transfer: Transfer,
    reader: AnswerReader,
    /// What has happened and was not delivered yet, the latest first.
    news: Vec<AttemptEvent>,
    launched: Instant,
    /// When it was given or began to wait for a connection.
    asked: Instant,
    /// The head of an answer that is none of an error.
    pub(crate) head: Option<Box<Parts>>,
    /// What is relayed if it wins.
    pub(crate) held: VecDeque<Bytes>,
    /// How it ended, once that has been told.
    pub(crate) ended: Option<Ended>,
}

impl Attempt {
    pub(crate) fn new(
        id: AttemptId,
        endpoint: EndpointId,
        transfer: Transfer,
        reader: AnswerReader,
        now: Instant,
    ) -> Attempt {
        Attempt {
            id,
            endpoint,
            transfer,
            reader,
            news: Vec::new(),
            launched: now,
            asked: now,
            head: None,
            held: VecDeque::new(),
            ended: None,
        }
    }

    /// What happens next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, gateway: &Gateway) -> Poll<AttemptEvent> {
        if self.ended.is_some() {
            return Poll::Pending;
        }
        loop {
            if let Some(event) = self.news.pop() {
                self.observe(event, now, gateway);
                return Poll::Ready(event);
            }
            let said = ready!(self.transfer.poll(cx, now));
            self.hear(said, gateway);
            // The latest first: they are taken from the end.
            self.news.reverse();
        }
    }

    /// What the provider said of an error.
    pub(crate) fn rejection(&self) -> Option<&Rejection> {
        self.reader.rejection()
    }

    /// What is to be written down of it if it ended `how`: nothing if it has answered.
    pub(crate) fn lost(&self, how: Ended) -> Option<Lost> {
        let fault = match how {
            Ended::Answered => return None,
            Ended::Failed(fault) => Some(fault),
            Ended::Stopped => None,
        };
        Some(Lost {
            endpoint: self.endpoint,
            launched: self.launched,
            fault,
        })
    }

    /// Lets go of it, once its end has been delivered.
    pub(crate) fn let_go(self, now: Instant, gateway: &Gateway) {
        if let Some(how) = self.ended {
            gateway.observer.ended(self.endpoint, how);
            if how == Ended::Answered {
                self.transfer.finish(now);
            }
        }
    }

    fn hear(&mut self, said: Said, gateway: &Gateway) {
        match said {
            Said::Waiting => self.news.push(AttemptEvent::Waiting),
            Said::Served => self.news.push(AttemptEvent::Connecting),
            Said::Connected => self.news.push(AttemptEvent::Connected),
            Said::Head(head) => {
                self.news.extend(self.reader.head(&head, gateway.clock.wall()));
                self.head = Some(head);
            }
            Said::Data(bytes) => {
                let bytes = self.reader.frame(bytes, &mut self.news);
                self.hold(bytes);
            }
            Said::End => {
                let bytes = self.reader.end(true, &mut self.news);
                self.hold(bytes);
            }
            // An error that breaks off in its body is that error still.
            Said::Failed(_) if self.head.is_some() => {
                let bytes = self.reader.end(false, &mut self.news);
                self.hold(bytes);
            }
            Said::Unreachable(error) => {
                gateway.observer.unreachable(self.endpoint, &error);
                let fault = Fault::Connect;
                self.news.push(AttemptEvent::Fail { fault });
            }
            Said::Failed(fault) => self.news.push(AttemptEvent::Fail { fault }),
        }
    }

    fn hold(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.held.push_back(bytes);
        }
    }

    /// Tells those who count, and remembers the end.
    fn observe(&mut self, event: AttemptEvent, now: Instant, gateway: &Gateway) {
        let observer = &gateway.observer;
        match event {
            AttemptEvent::Waiting | AttemptEvent::Tokens { .. } => {}
            AttemptEvent::Connecting => self.asked = now,
            AttemptEvent::Connected => observer.connected(self.endpoint, self.asked.since(self.launched)),
            AttemptEvent::FirstToken => observer.first_token(self.endpoint, now.since(self.launched)),
            AttemptEvent::Open { status, .. } if status < 400 => {}
            AttemptEvent::Open { status, code, .. } => self.ended = Some(Ended::Failed(Fault::of(status, code))),
            AttemptEvent::Fail { fault } => self.ended = Some(Ended::Failed(fault)),
            AttemptEvent::Finish { .. } => self.ended = Some(Ended::Answered),
        }
    }
}

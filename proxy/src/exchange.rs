//! One request and everything that its driver holds for it.
//!
//! No task and no channel: whoever waits for the answer polls it. It is dropped through [`Driven`], which tells the
//! lifecycle that the client has gone before anything is forgotten.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body_util::Full;
use tollgate_core::dice::RequestDice;
use tollgate_core::fault::Fault;
use tollgate_core::id::{AttemptId, EndpointId, KeyId, TenantId};
use tollgate_core::lifecycle::{AttemptEvent, Effects, End, Lifecycle, Phase, Refusal, Request, Ticket};
use tollgate_core::time::Instant;

use crate::answer::{self, About};
use crate::attempt::Attempt;
use crate::clock::Timer;
use crate::gateway::Gateway;
use crate::intake::Share;
use crate::mailbox::Mailbox;
use crate::observe::{Ended, Entry};
use crate::provider::{Asked, Call, Rejection};
use crate::request::Reading;

/// One request, driven.
pub(crate) struct Exchange {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) life: Lifecycle,
    pub(crate) effects: Effects,
    pub(crate) mailbox: Mailbox,
    /// A question to limits elsewhere that has not been answered.
    pub(crate) asked: Option<Ticket>,
    pub(crate) progress: Progress,
    /// What is to be sent to the client.
    pub(crate) outgoing: VecDeque<Bytes>,
    pub(crate) order: Order,
    /// Apart from the rest, for most requests have one.
    attempts: [Option<Box<Attempt>>; 3],
    timer: Box<dyn Timer>,
    /// When the lifecycle wants to be woken.
    wanted: Instant,
    /// When the timer rings, which may be earlier.
    scheduled: Instant,
    /// Whose answer is relayed, and its head until that is taken.
    relayed: Option<(AttemptId, Option<Box<Parts>>)>,
    /// The status that the client was answered.
    status: Option<u16>,
    /// What a provider said of the last error that was the client's own.
    rejection: Option<Rejection>,
}

/// What a client asks for, as far as it matters for what is sent on.
#[derive(Debug)]
pub(crate) struct Order {
    /// What was read of the body, and the body.
    pub(crate) reading: Reading,
    /// What came beside it.
    pub(crate) headers: HeaderMap,
    /// What the request is called.
    pub(crate) id: HeaderValue,
    /// Who sent it.
    pub(crate) tenant: TenantId,
    /// The room that the body takes up.
    pub(crate) share: Option<Share>,
}

impl Order {
    /// Lets go of what only a further attempt would be sent, and with it of the memory that it was read into.
    fn forget_body(&mut self) {
        self.headers = HeaderMap::new();
        self.reading.forget_body();
        self.share = None;
    }
}

/// How far a request has come, seen from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no answer yet.
    Open,
    /// That of an attempt is relayed.
    Relaying,
    /// We answer ourselves, or break off what was relayed.
    Refused(Refusal),
}

impl Exchange {
    /// A request that has not begun. Its mailbox stands, so that word may come as soon as it does.
    pub(crate) fn open(gateway: &Arc<Gateway>, request: Request, dice: RequestDice, order: Order) -> Driven {
        let mailbox = gateway.mailboxes.open();
        Driven(Some(Box::new(Exchange {
            life: Lifecycle::new(mailbox.id(), request, dice),
            effects: Effects::new(),
            mailbox,
            asked: None,
            progress: Progress::Open,
            outgoing: VecDeque::new(),
            order,
            attempts: [None, None, None],
            timer: gateway.clock.timer(),
            wanted: Instant::FAR,
            scheduled: Instant::FAR,
            relayed: None,
            status: None,
            rejection: None,
            gateway: Arc::clone(gateway),
        })))
    }

    /// The head of the answer that is relayed; once.
    pub(crate) fn take_head(&mut self) -> Option<Box<Parts>> {
        let (_, head) = self.relayed.as_mut()?;
        head.take()
    }

    /// What its answer is about.
    pub(crate) fn about(&self) -> About<'_> {
        let request = self.life.request();
        About {
            request_id: &self.order.id,
            model: &self.order.reading.model,
            charges: &request.class.charges,
            estimate: request.estimate,
            needs: request.needs,
            rejection: self.rejection.as_ref(),
        }
    }

    /// The answer to a client that is refused.
    pub(crate) fn refusal(&self, refusal: Refusal) -> Response<Bytes> {
        let gateway = &self.gateway;
        answer::refuse(&gateway.gate, gateway.clock.now(), refusal, &self.about())
    }

    /// The last event of a stream that is broken off.
    pub(crate) fn last_event(&self, refusal: Refusal) -> Bytes {
        let gateway = &self.gateway;
        answer::stream_error(&gateway.gate, gateway.clock.now(), refusal, &self.about())
    }

    /// Wakes the request at `at`, instead of whenever it wanted to be woken before.
    pub(crate) fn wake_at(&mut self, at: Instant) {
        self.wanted = at;
        // A timer that rings too early is set again then: most wishes move away before they come.
        if at < self.scheduled {
            self.scheduled = at;
            self.timer.set(at);
        }
    }

    /// Ready when the instant that was wished for has come.
    pub(crate) fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.poll(cx));
            let rang = std::mem::replace(&mut self.scheduled, Instant::FAR);
            self.timer.set(Instant::FAR);
            let wanted = self.wanted;
            if wanted <= rang {
                self.wanted = Instant::FAR;
                return Poll::Ready(());
            }
            self.wake_at(wanted);
        }
    }

    /// Starts an attempt, with the `key` of `endpoint` that it is told.
    pub(crate) fn launch(&mut self, id: AttemptId, endpoint: EndpointId, key: KeyId, now: Instant) {
        let gateway = &self.gateway;
        let policy = gateway.gate.policy();
        let Order {
            reading,
            headers,
            id: name,
            ..
        } = &self.order;
        let route = self
            .life
            .request()
            .class
            .route
            .expect("a request without a route launches nothing");
        let upstream = gateway.upstreams.at(endpoint);
        let request = upstream.dialect.request(
            &upstream.target,
            Call {
                operation: reading.operation,
                headers,
                stage: &policy.route(route).headers.request,
                body: reading.body_for(policy.endpoint(endpoint).model.as_deref()),
                key: gateway.keys.at(endpoint, key),
                request_id: name,
            },
        );
        let mut request = request.map(Full::new);
        if gateway.settings.mock_dice {
            let dice = format!("{:016x}", self.life.dice().to_bits());
            let headers = request.headers_mut();
            headers.insert(DICE, HeaderValue::try_from(dice).expect("digits"));
            headers.insert(ATTEMPT, HeaderValue::from(u16::from(id.0)));
        }
        let reader = upstream.dialect.reader(Asked {
            operation: reading.operation,
            stream: reading.stream,
            include_usage: reading.include_usage,
            input: reading.estimate().input,
        });
        let transfer = gateway.upstreams.transfer(endpoint, request);
        let slot = self.attempts.iter_mut().find(|slot| slot.is_none());
        let slot = slot.expect("the lifecycle bounds attempts at once");
        *slot = Some(Box::new(Attempt::new(id, endpoint, transfer, reader, now)));
        gateway.observer.launched(endpoint);
    }

    /// Stops an attempt: its connection is closed here and now.
    pub(crate) fn cancel(&mut self, id: AttemptId, fault: Option<Fault>) {
        let is_it = |attempt: &mut Box<Attempt>| attempt.id == id;
        if let Some(attempt) = self.attempts.iter_mut().find_map(|slot| slot.take_if(is_it)) {
            let how = fault.map_or(Ended::Stopped, Ended::Failed);
            self.gateway.observer.ended(attempt.endpoint, how);
        }
    }

    /// Asks limits that live elsewhere.
    pub(crate) fn ask(&mut self, ticket: Ticket) {
        self.asked = Some(ticket);
    }

    /// An attempt has won: what it has sent so far is on its way to the client, and so is what follows.
    pub(crate) fn relay(&mut self, id: AttemptId) {
        let winner = self.attempts.iter_mut().flatten().find(|attempt| attempt.id == id);
        let winner = winner.expect("the attempt that wins is one that runs");
        let head = winner.head.take();
        self.status = head.as_ref().map(|head| head.status.as_u16());
        self.outgoing = std::mem::take(&mut winner.held);
        self.relayed = Some((id, head));
        self.progress = Progress::Relaying;
        self.order.forget_body();
    }

    /// We answer the client ourselves, or break off what is relayed.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.progress = Progress::Refused(refusal);
        if self.relayed.is_none() {
            self.status = Some(answer::status(refusal, self.rejection.as_ref()));
        }
    }

    /// The request is over.
    pub(crate) fn finish(&mut self) {
        let outcome = self.life.outcome();
        let status = match outcome.end {
            End::Abandoned => GONE,
            End::Open | End::Completed | End::Failed { .. } | End::Refused { .. } => self.status.unwrap_or(GONE),
        };
        let entry = Entry {
            id: self.order.id.to_str().unwrap_or_default(),
            tenant: Some(self.order.tenant),
            operation: Some(self.order.reading.operation),
            model: &self.order.reading.model,
            status,
        };
        self.gateway.observer.finished(outcome, self.life.request(), &entry);
        if let Some(watch) = &self.gateway.watch {
            watch.finished(entry.id, outcome);
        }
    }

    /// The next thing that happens to an attempt.
    pub(crate) fn poll_attempts(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<(AttemptId, AttemptEvent)> {
        for attempt in self.attempts.iter_mut().flatten() {
            let Poll::Ready(event) = attempt.poll(cx, now, &self.gateway) else {
                continue;
            };
            if self.relayed.as_ref().is_some_and(|(relayed, _)| *relayed == attempt.id) {
                self.outgoing.append(&mut attempt.held);
            }
            if attempt.ended.is_some() {
                self.rejection = attempt.rejection().cloned();
            }
            return Poll::Ready((attempt.id, event));
        }
        Poll::Pending
    }

    /// Lets go of attempts that have come to their own end, once that has been delivered.
    pub(crate) fn let_go(&mut self, now: Instant) {
        for slot in &mut self.attempts {
            if let Some(attempt) = slot.take_if(|attempt| attempt.ended.is_some()) {
                attempt.let_go(now, &self.gateway);
            }
        }
    }

    /// Breaks off an attempt that runs; which, and how that is told.
    pub(crate) fn cut_off(&mut self) -> Option<(AttemptId, AttemptEvent)> {
        let attempt = self.attempts.iter_mut().flatten().next()?;
        let fault = Fault::Stream;
        attempt.ended = Some(Ended::Failed(fault));
        Some((attempt.id, AttemptEvent::Fail { fault }))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("life", &self.life)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// An exchange in the hands of whoever waits for its answer. If they go, so has the client.
#[derive(Debug)]
pub(crate) struct Driven(Option<Box<Exchange>>);

impl Deref for Driven {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        self.0.as_ref().expect(HELD)
    }
}

impl DerefMut for Driven {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.0.as_mut().expect(HELD)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        let Some(mut exchange) = self.0.take() else {
            return;
        };
        if exchange.is_over() {
            return;
        }
        if exchange.life.phase() != Phase::Draining {
            exchange.abandon();
            if exchange.life.phase() == Phase::Draining {
                return drain(Driven(Some(exchange)));
            }
        }
        // Dropped while it was drained: the runtime ends, and nobody will ever listen.
        exchange.cut();
    }
}

/// The client has gone and the endpoint may finish: somebody has to listen.
fn drain(mut driven: Driven) {
    let tasks = driven.gateway.tasks.clone();
    // If there is no runtime any more it is dropped at once.
    let _is_running = tasks.spawn(async move { poll_fn(|cx| driven.poll_drained(cx)).await });
}

/// Why an exchange is there.
const HELD: &str = "it is taken out only as it is dropped";
/// The status, for the log alone, of a request whose client has gone.
const GONE: u16 = 499;
/// The dice of a request, for a mock backend.
const DICE: HeaderName = HeaderName::from_static("x-tollgate-dice");
/// The number of an attempt, for a mock backend.
const ATTEMPT: HeaderName = HeaderName::from_static("x-tollgate-attempt");

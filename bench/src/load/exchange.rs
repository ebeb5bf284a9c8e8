//! One request, from its intended start to whatever ends it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use tollgate_core::lifecycle::{End, Outcome};
use tollgate_core::time::Instant;
use tollgate_core::usage::Usage;
use tollgate_mock_llm::clock::Clock as _;
use tollgate_sim::workload::{Answer, Call};

use super::answer::{self, MOST_ERROR, MOST_WHOLE, Words};
use super::failure::Failure;
use super::ledger::Sent;
use super::pool::Link;
use super::stream::Stream;
use super::world::World;

/// A request that is open. However it ends, it is taken down: whoever drops it unfinished has cut it off.
pub(super) struct Open<'a> {
    world: &'a World,
    call: Call,
    sent: Sent,
    /// When tokens last came; far before the first.
    last_token: Instant,
    outcome: Outcome,
    ended: bool,
}

/// How a request ended, for whoever may ask again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// What the rules of its client look at; none if it is not asked for again whatever they say.
    pub(super) answer: Option<Answer>,
}

/// How an exchange went.
struct Heard {
    end: End,
    failure: Option<Failure>,
    answer: Option<Answer>,
}

impl<'a> Open<'a> {
    /// A request that should be sent at `intended`.
    pub(super) fn new(world: &'a World, call: &Call, intended: Instant) -> Open<'a> {
        world.ledger().arrived();
        let open = world.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        world.most_in_flight.fetch_max(open, Ordering::Relaxed);
        Open {
            world,
            call: *call,
            sent: Sent {
                intended,
                at: Instant::FAR,
                first_byte: Instant::FAR,
            },
            last_token: Instant::FAR,
            outcome: Outcome {
                arrived: intended,
                stream: call.stream,
                ..Outcome::NEW
            },
            ended: false,
        }
    }

    /// Asks, as the request after so many retries, and listens to the end.
    pub(super) async fn ask(mut self, retries: u32) -> Ended {
        let heard = match self.exchange(retries).await {
            Ok(heard) => heard,
            Err(failure) => Heard {
                end: answer::failed(failure.fault()),
                failure: Some(failure),
                // What has begun to stream is not sent again by any SDK.
                answer: (self.sent.first_byte.is_far() || !self.call.stream).then(Answer::default),
            },
        };
        self.end(heard.end, heard.failure);
        Ended {
            outcome: self.outcome,
            answer: heard.answer,
        }
    }

    async fn exchange(&mut self, retries: u32) -> Result<Heard, Failure> {
        let world = self.world;
        let _place = world.pool.place().await;
        let mut request = world.writer.request(&self.call, retries);
        let mut link = world.pool.link().await?;
        let now = world.clock.now();
        self.sent.at = now;
        (self.outcome.admitted, self.outcome.launched, self.outcome.won) = (now, now, now);
        let response = loop {
            match link.send(request).await {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    // A connection that was used before had been closed unseen, and nothing was sent.
                    Some(unsent) if link.used => {
                        request = unsent;
                        link = world.pool.open().await?;
                    }
                    Some(_) | None => return Err(Failure::of(error.error())),
                },
            }
        };
        self.sent.first_byte = world.clock.now();
        let (head, mut body) = response.into_parts();
        let status = head.status.as_u16();
        if 400 <= status {
            let response = Response::from_parts(head, ());
            let bytes = read(&mut link, &mut body, MOST_ERROR).await?;
            world.pool.put(link);
            let end = answer::end(status, response.headers(), &Words::read(&bytes));
            let failure = match end {
                End::Failed { .. } => Some(Failure::Status(status)),
                End::Open | End::Completed | End::Refused { .. } | End::Abandoned => None,
            };
            let answer = answer::advice(status, response.headers(), world.clock.wall());
            return Ok(Heard {
                end,
                failure,
                answer: Some(answer),
            });
        }
        let said = if self.call.stream {
            self.listen(&mut link, &mut body).await?
        } else {
            let bytes = read(&mut link, &mut body, MOST_WHOLE).await?;
            answer::whole(&bytes).map_err(|_| Failure::NoAnswer)?
        };
        world.pool.put(link);
        self.outcome.usage = said.unwrap_or(Usage {
            input: self.call.prompt,
            ..self.outcome.usage
        });
        if said.is_none() {
            world.ledger().unsaid += 1;
        }
        Ok(Heard {
            end: End::Completed,
            failure: None,
            answer: None,
        })
    }

    /// Listens to a stream; says what it used, if it says so.
    async fn listen(&mut self, link: &mut Link, body: &mut Incoming) -> Result<Option<Usage>, Failure> {
        let mut stream = Stream::default();
        while let Some(frame) = link.frame(body).await {
            let frame = frame.map_err(|error| Failure::of(&error))?;
            let Ok(bytes) = frame.into_data() else { continue };
            let tokens = stream.read(&bytes);
            self.outcome.usage.output = stream.tokens;
            if 0 < tokens {
                self.hear(tokens);
            }
            if stream.is_garbage {
                return Err(Failure::TooLong);
            }
            if stream.error.is_some() {
                return Err(Failure::StreamError);
            }
        }
        if stream.is_done {
            Ok(stream.usage)
        } else if stream.tokens == 0 {
            Err(Failure::NoAnswer)
        } else {
            Err(Failure::Truncated)
        }
    }

    fn hear(&mut self, tokens: u32) {
        let now = self.world.clock.now();
        self.world
            .ledger()
            .tokens(self.sent.intended, self.last_token, now, tokens);
        if self.outcome.first_token.is_far() {
            self.outcome.first_token = now;
        }
        self.last_token = now;
    }

    fn end(&mut self, end: End, failure: Option<Failure>) {
        self.ended = true;
        let now = self.world.clock.now().max(self.outcome.arrived);
        self.outcome.finished = now;
        self.outcome.end = end;
        match end {
            End::Refused { .. } => self.outcome.admitted = Instant::FAR,
            End::Completed if self.outcome.first_token.is_far() => self.outcome.first_token = now,
            End::Completed | End::Failed { .. } | End::Abandoned | End::Open => {}
        }
        self.world
            .ledger()
            .finished(&self.call, self.sent, &self.outcome, failure);
        self.world.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.world.is_cut.load(Ordering::Relaxed) {
            let failure = Failure::Unanswered;
            self.end(answer::failed(failure.fault()), Some(failure));
        } else {
            // Its client has gone.
            self.end(End::Abandoned, None);
        }
    }
}

/// All of `body`, up to so many bytes.
async fn read(link: &mut Link, body: &mut Incoming, most: usize) -> Result<Bytes, Failure> {
    let mut first: Option<Bytes> = None;
    let mut rest: Vec<u8> = Vec::new();
    let mut length = 0;
    while let Some(frame) = link.frame(body).await {
        let frame = frame.map_err(|error| Failure::of(&error))?;
        let Ok(bytes) = frame.into_data() else { continue };
        length += bytes.len();
        if most < length {
            return Err(Failure::TooLong);
        }
        match &first {
            // Most answers come in one piece.
            None => first = Some(bytes),
            Some(_) => rest.extend_from_slice(&bytes),
        }
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(first);
    }
    let mut all = first.to_vec();
    all.append(&mut rest);
    Ok(Bytes::from(all))
}

//! From a request to its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::body::Body as Incoming;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::Version;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tollgate_core::dice::{Purpose, RequestDice};
use tollgate_core::policy::Priority;
use tollgate_core::time::Nanos;
use tollgate_core::usage::Usage;

use super::ask::{Ask, Operation, header};
use super::driver::{Heard, Hearing};
use super::fault::WireKind;
use super::line::{End, Line, Plan};
use super::refusal::{RETRY_AFTER_MS, Refusal, exact_millis};
use super::route::{json_response, read_body, sign, whole};
use super::shape::{Identity, embeddings};
use super::standing::Standings;
use super::stats::Subject;
use super::stream::{Body, Events, OpenStream};
use super::text::Words;
use super::{ATTEMPT, DICE, MockServer, OUTPUT_TOKENS, PRIORITY, PROMPT_TOKENS};
use crate::clock::sleep_until;
use crate::model::{Backend as _, Job};

/// Most tokens of an answer, all choices together.
const MOST_OUTPUT: u32 = 1_000_000;
/// What a provider reserves for a request that names no maximum.
const ASSUMED_OUTPUT: u64 = 512;

impl Operation {
    fn path(self) -> &'static str {
        match self {
            Operation::Chat => "POST /v1/chat/completions",
            Operation::Completion => "POST /v1/completions",
            Operation::Embedding => "POST /v1/embeddings",
        }
    }
}

/// A request that was begun, and will have been abandoned unless something else is said.
struct Begun {
    server: MockServer,
    path: &'static str,
    told: bool,
}

impl Begun {
    fn tell(&mut self, beginning: impl Into<String>) {
        self.told = true;
        let (path, beginning) = (self.path, beginning.into());
        let driver = &self.server.shared.driver;
        driver.with(|state, _| state.record.answered(path, beginning));
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.told {
            self.tell("gone");
        }
    }
}

/// One request, from its head to the head of its answer.
pub(super) async fn ask(server: MockServer, operation: Operation, request: Request) -> Response {
    let mut begun = Begun {
        server: server.clone(),
        path: operation.path(),
        told: false,
    };
    let (parts, body) = request.into_parts();
    let line = parts.extensions.get::<Arc<Line>>().cloned();
    let has_head = parts.version < Version::HTTP_2;
    if let Some(line) = &line {
        line.plan(Plan::Whole, has_head);
    }
    let answered = match server.subject(&parts.headers) {
        Ok(subject) => {
            let id = format!("{:016x}{:02x}", subject.dice.to_bits(), subject.attempt);
            let answered = server.answer(operation, subject, &id, &parts.headers, body).await;
            answered.map_err(|end| (end, id))
        }
        Err(refusal) => Err((Ending::Refusal(refusal), server.other_id())),
    };
    let (ending, id) = match answered {
        Ok(Answered { response, plan, id }) => {
            if let Some(line) = &line {
                line.plan(plan, has_head);
            }
            begun.tell(response.status().as_u16().to_string());
            return sign(response, &id);
        }
        Err(ending) => ending,
    };
    match (ending, line) {
        (Ending::Refusal(refusal), _) => {
            begun.tell(refusal.status.to_string());
            sign(whole(refusal.response()), &id)
        }
        (Ending::Nothing(end, beginning), Some(line)) => {
            begun.tell(beginning);
            line.end(end);
            std::future::pending().await
        }
        (Ending::Instead(plan), Some(line)) => {
            begun.tell("garbage");
            line.plan(plan, has_head);
            Response::new(Incoming::empty())
        }
        (Ending::Nothing(..) | Ending::Instead(_), None) => {
            begun.tell("503");
            let refusal = Refusal::new(503, "this would have been the end of a connection");
            sign(whole(refusal.response()), &id)
        }
    }
}

/// An answer, and what becomes of it on its way.
struct Answered {
    response: Response,
    plan: Plan,
    id: String,
}

/// What comes instead of an answer.
enum Ending {
    Refusal(Refusal),
    /// The connection ends, and this is what it is counted as.
    Nothing(End, &'static str),
    /// Something that no client can read.
    Instead(Plan),
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Ending {
        Ending::Refusal(refusal)
    }
}

impl MockServer {
    async fn answer(
        &self,
        operation: Operation,
        subject: Subject,
        id: &str,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<Answered, Ending> {
        self.authorize(headers)?;
        let ask = Ask::read(operation, &read_body(body).await?)?;
        self.find_model(&ask.model)?;
        let wanted = header(headers, OUTPUT_TOKENS)?;
        let length = wanted.unwrap_or_else(|| self.draw_length(subject.dice));
        let job = Job {
            tag: 0,
            dice: subject.dice,
            attempt: subject.attempt,
            input: header(headers, PROMPT_TOKENS)?.unwrap_or(ask.prompt),
            cached: 0,
            output: match operation {
                Operation::Embedding => 0,
                Operation::Chat | Operation::Completion => length.saturating_mul(ask.choices).min(MOST_OUTPUT),
            },
            max_output: ask.most.map(|most| most.saturating_mul(ask.choices)),
            stream: ask.stream,
            priority: priority(headers)?,
        };
        let driver = &self.shared.driver;
        if let Some(way) = &self.shared.way {
            // Numbered as the simulator numbers the ways there and back.
            let of = |number| way.sample_secs(&mut job.dice.roll(Purpose::Network, 4 * job.attempt + number));
            let wait = of(0) + of(2);
            sleep_until(&*driver.clock, driver.clock.now() + wait).await;
        }
        let hit = driver.with(|_, now| self.faults().hit(now, subject.dice, subject.attempt));
        let plan = match hit {
            Some(WireKind::Reset { after: None }) => return Err(Ending::Nothing(End::Reset, "reset")),
            Some(kind @ (WireKind::Garbage | WireKind::EndlessHeaders)) => return Err(Ending::Instead(kind.plan())),
            Some(kind) => kind.plan(),
            None => Plan::Whole,
        };
        let identity = self.identity(&ask, id, length);
        let arrived = driver.clock.now();
        let hearing = driver.submit(job, subject);
        let mut response = self.hear(hearing, &ask, &job, identity).await?;
        let millis = driver.clock.now().since(arrived).as_nanos() / 1_000_000;
        response.headers_mut().insert(PROCESSING_MS, millis.into());
        // Whole milliseconds are all that providers say; whoever has dice meets what the simulator does.
        if headers.contains_key(DICE)
            && let Some(wait) = response.extensions().get::<Nanos>().copied()
        {
            response.headers_mut().insert(RETRY_AFTER_MS, exact_millis(wait));
        }
        Ok(Answered {
            response,
            plan,
            id: id.to_owned(),
        })
    }

    /// Waits for the head of the answer, or for all of it if it does not stream.
    async fn hear(&self, mut hearing: Hearing, ask: &Ask, job: &Job, identity: Identity) -> Result<Response, Ending> {
        let words = (0..ask.choices).map(|choice| Words::new(job.dice, job.attempt, choice));
        let mut is_open = false;
        loop {
            match hearing.next().await {
                Heard::Open {
                    status,
                    code,
                    retry_after,
                } if 400 <= status => {
                    let standings = self.standings();
                    let tokens = u64::from(job.input) + job.max_output.map_or(ASSUMED_OUTPUT, u64::from);
                    let is_limit =
                        status == 429 && code.is_none() && (retry_after.is_some() || standings.never_holds(tokens));
                    let refusal = if is_limit {
                        Refusal::limited(standings.exceeded(), &ask.model, retry_after)
                    } else {
                        Refusal::of(status, code)
                    };
                    let mut response = whole(refusal.response());
                    standings.tell(response.headers_mut());
                    if let Some(wait) = retry_after {
                        response.extensions_mut().insert(wait);
                    }
                    return Ok(response);
                }
                Heard::Open { .. } if ask.stream => {
                    let open = OpenStream::new(&self.shared.driver);
                    let events = Events::new(hearing, identity, words.collect(), open);
                    let mut response = Response::new(Incoming::new(Body::Events(Box::new(events))));
                    let headers = response.headers_mut();
                    headers.insert(
                        CONTENT_TYPE,
                        HeaderValue::from_static("text/event-stream; charset=utf-8"),
                    );
                    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                    self.standings().tell(headers);
                    return Ok(response);
                }
                Heard::Open { .. } => is_open = true,
                Heard::Tokens(_) => {}
                Heard::Finish(usage) => {
                    let body = say(ask, &identity, words.collect(), usage);
                    let mut response = json_response(body);
                    self.standings().tell(response.headers_mut());
                    return Ok(response);
                }
                Heard::Broken if is_open => {
                    // As long as the answer would have been, or nearly so.
                    let length = u64::from(job.output) * 5 + 1;
                    let mut response = Response::new(Incoming::new(Body::Cut { length, flushed: false }));
                    let headers = response.headers_mut();
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    return Ok(response);
                }
                Heard::Broken => return Err(Ending::Nothing(End::Closed, "closed")),
                Heard::Refused => return Err(Ending::Nothing(End::Reset, "refused")),
            }
        }
    }

    fn identity(&self, ask: &Ask, id: &str, length: u32) -> Identity {
        let wall = self.shared.driver.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        let prefix = match ask.operation {
            Operation::Chat => "chatcmpl-",
            Operation::Completion | Operation::Embedding => "cmpl-",
        };
        Identity {
            operation: ask.operation,
            id: format!("{prefix}{id}"),
            created: wall.map_or(0, |wall| wall.as_secs()),
            model: ask.model.clone(),
            choices: ask.choices,
            include_usage: ask.include_usage,
            finish_reason: match ask.most {
                Some(most) if most < length => "length",
                Some(_) | None => "stop",
            },
        }
    }

    /// Whose an attempt is: as its headers say, or the next that the server has dice for.
    fn subject(&self, headers: &HeaderMap) -> Result<Subject, Refusal> {
        let next = || {
            self.shared
                .dice
                .request(self.shared.asked.fetch_add(1, Ordering::Relaxed))
        };
        let dice = headers.get(DICE).map(|value| {
            let bits = value.to_str().ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            let wrong = || Refusal::invalid(format!("the header `{DICE}` must be hexadecimal digits"), None);
            bits.map(RequestDice::from_bits).ok_or_else(wrong)
        });
        let dice = dice.unwrap_or_else(|| Ok(next()))?;
        let attempt = header(headers, ATTEMPT)?.unwrap_or(0);
        Ok(Subject { dice, attempt })
    }

    fn draw_length(&self, dice: RequestDice) -> u32 {
        let length = self.shared.output_tokens.sample(&mut dice.roll(Purpose::Output, 0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what fits"
        )]
        let length = length.round().clamp(1.0, f64::from(MOST_OUTPUT)) as u32;
        length
    }

    fn standings(&self) -> Standings {
        self.shared.driver.with(|state, now| Standings {
            now,
            quotas: state.backend.standings(now),
        })
    }
}

const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// What an answer says that comes whole.
fn say(ask: &Ask, identity: &Identity, words: Vec<Words>, usage: Usage) -> Bytes {
    if ask.operation == Operation::Embedding {
        return embeddings(&ask.model, &ask.inputs, ask.dimensions, ask.base64, usage.input);
    }
    // Tokens go to the choices in turn, as they do in a stream.
    let text = |(index, mut words): (u32, Words)| {
        let mut text = String::new();
        words.speak((usage.output + ask.choices - 1 - index) / ask.choices, &mut text);
        text
    };
    let texts: Vec<String> = (0..).zip(words).map(text).collect();
    identity.whole(&texts, usage)
}

fn priority(headers: &HeaderMap) -> Result<Priority, Refusal> {
    match headers.get(PRIORITY).map(HeaderValue::as_bytes) {
        None | Some(b"normal") => Ok(Priority::Normal),
        Some(b"high") => Ok(Priority::High),
        Some(b"low") => Ok(Priority::Low),
        Some(_) => Err(Refusal::invalid(
            format!("the header `{PRIORITY}` must be high, normal or low"),
            None,
        )),
    }
}

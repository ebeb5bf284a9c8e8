//! Faults that are ordered while a server runs: those of the model, and those that only a connection can have.

use serde_json::{Map, Value as Json};
use tollgate_core::dice::{Purpose, RequestDice};
use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{Nearest, Problems, Section, Value, nearest};
use tollgate_core::time::{Instant, Nanos};

use super::line::Plan;
use crate::draw::{OutOfRange, within};
use crate::model::file::{FAULTS, FaultWord};
use crate::model::{FaultKind, FaultSpec};

/// Something that goes wrong from an instant on, for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A fault of the model: the backend itself behaves so.
    Model(FaultSpec),
    /// A fault of the connection: the backend answers, and the answer does not arrive as it should.
    Wire(WireFault),
}

/// A fault of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WireFault {
    /// What happens.
    pub kind: WireKind,
    /// To which share of attempts.
    pub share: f64,
    /// When it begins; an instant that has passed is now.
    pub at: Instant,
    /// For how long; attempts that begin within it are hit.
    pub lasts: Nanos,
}

/// What only a connection can do. Bytes of a body are counted as they go over the wire, with what frames them; over HTTP/2
/// all bytes count, and all answers of the connection share its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireKind {
    /// The connection is reset: before the head, and before the backend has heard of the attempt; or after so many bytes
    /// of the body.
    Reset {
        /// After how many bytes.
        after: Option<u64>,
    },
    /// So many bytes of the body come, and then nothing, ever; the connection stays open.
    Hang {
        /// After how many bytes.
        after: u64,
    },
    /// The connection is closed after so many bytes of the body.
    Truncate {
        /// After how many bytes.
        after: u64,
    },
    /// The body trickles.
    SlowBody {
        /// So many bytes at a time.
        bytes: u64,
        /// The pause after each.
        every: Nanos,
    },
    /// Something comes that is not HTTP.
    Garbage,
    /// A head comes that never ends.
    EndlessHeaders,
}

impl WireKind {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            WireKind::Reset { .. } => "reset",
            WireKind::Hang { .. } => "hang",
            WireKind::Truncate { .. } => "truncate",
            WireKind::SlowBody { .. } => "slow-body",
            WireKind::Garbage => "garbage",
            WireKind::EndlessHeaders => "endless-headers",
        }
    }

    pub(super) fn plan(self) -> Plan {
        match self {
            WireKind::Reset { after } => Plan::Reset {
                after: after.unwrap_or(0),
            },
            WireKind::Hang { after } => Plan::Hang { after },
            WireKind::Truncate { after } => Plan::Truncate { after },
            WireKind::SlowBody { bytes, every } => Plan::Trickle { bytes, every },
            WireKind::Garbage => Plan::Garbage,
            WireKind::EndlessHeaders => Plan::EndlessHeaders,
        }
    }
}

/// The faults of a server that are not over, in the order in which they were ordered.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    known: Vec<Fault>,
    /// Keeps the draws of different faults apart.
    wired: u32,
    wires: Vec<(u32, WireFault)>,
}

/// Most faults of connections that are not over.
const MOST_WIRE_FAULTS: usize = 1_024;
/// Draws of faults of connections, apart from those of the model.
const WIRE: u32 = 1 << 31;

impl Faults {
    pub(super) fn new(scheduled: &[FaultSpec]) -> Faults {
        Faults {
            known: scheduled.iter().copied().map(Fault::Model).collect(),
            ..Faults::default()
        }
    }

    /// Takes a fault down. One of a connection is as good as done; one of the model is the model's to bear.
    pub(super) fn add(&mut self, now: Instant, fault: Fault) -> Result<(), OutOfRange> {
        self.forget(now);
        if let Fault::Wire(wire) = fault {
            within("share", wire.share, 0.0, 1.0, "a share between 0 and 1")?;
            if MOST_WIRE_FAULTS <= self.wires.len() {
                return Err(OutOfRange {
                    field: "faults",
                    must_be: "at most 1,024 at a time",
                });
            }
            self.wired = self.wired.wrapping_add(1);
            self.wires.push((self.wired, wire));
        }
        self.known.push(fault);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.wires.clear();
    }

    /// What is wrong, or will be.
    pub(super) fn list(&mut self, now: Instant) -> &[Fault] {
        self.forget(now);
        &self.known
    }

    /// What becomes of an attempt that begins now: the first fault that hits it.
    pub(super) fn hit(&self, now: Instant, dice: RequestDice, attempt: u32) -> Option<WireKind> {
        let hits = |(number, fault): &(u32, WireFault)| {
            let is_on = fault.at <= now && now < fault.at + fault.lasts;
            let number = WIRE | (number << 8) | (attempt & 0xff);
            (is_on && dice.roll(Purpose::Failure, number).uniform() < fault.share).then_some(fault.kind)
        };
        self.wires.iter().find_map(hits)
    }

    fn forget(&mut self, now: Instant) {
        self.known.retain(|fault| now < fault.end());
        self.wires.retain(|(_, fault)| now < fault.at + fault.lasts);
    }
}

impl Fault {
    fn end(&self) -> Instant {
        match self {
            Fault::Model(fault) => fault.end(),
            Fault::Wire(fault) => fault.at + fault.lasts,
        }
    }

    /// Begins no earlier than `now`.
    pub(super) fn not_before(self, now: Instant) -> Fault {
        match self {
            Fault::Model(fault) => Fault::Model(FaultSpec {
                at: fault.at.max(now),
                ..fault
            }),
            Fault::Wire(fault) => Fault::Wire(WireFault {
                at: fault.at.max(now),
                ..fault
            }),
        }
    }

    /// Reads an order such as `{"kind": "outage", "status": 503, "for": "30s"}`: the keys of a fault in a scenario, but that
    /// it begins now if nobody says when, and lasts until it is cleared if nobody says how long.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in words.
    pub fn read(order: &str) -> Result<Fault, String> {
        let order: Map<String, Json> =
            serde_json::from_str(order).map_err(|error| format!("a fault is a JSON object: {error}"))?;
        let text = toml(&order)?;
        let read = tollgate_core::file::read("fault", &text, |section| Fault::of(section));
        match read {
            Ok((Some(fault), _)) => Ok(fault),
            // Nothing is missing that was not reported.
            Ok((None, _)) => Err(String::from("a fault needs a `kind`")),
            Err(problems) => Err(told(&problems)),
        }
    }

    fn of(section: &Section<'_>) -> Option<Fault> {
        let Some(word) = section.required("kind", word) else {
            // Which other keys there may be, nobody can say.
            let _: Vec<_> = section.entries();
            return None;
        };
        let at = Instant::EPOCH + section.or("at", kind::duration, Nanos::ZERO);
        let lasts = section.or("for", kind::length_or_none, Nanos::FOREVER);
        let bytes = || section.optional("after", kind::bytes).map(|bytes| bytes.value);
        let kind = match word.value {
            Word::Model(FaultWord::Truncate) if section.has("after") => WireKind::Truncate {
                after: bytes().unwrap_or(0),
            },
            Word::Model(word) => {
                let kind = word.read(section);
                return Some(Fault::Model(FaultSpec { kind, at, lasts }));
            }
            Word::Reset => WireKind::Reset { after: bytes() },
            Word::Hang => WireKind::Hang {
                after: bytes().unwrap_or(0),
            },
            Word::SlowBody => WireKind::SlowBody {
                bytes: section.or("bytes", kind::integer(1, 1_u64 << 20), 1),
                every: section.or("every", kind::length, Nanos::from_millis(10)),
            },
            Word::Garbage => WireKind::Garbage,
            Word::EndlessHeaders => WireKind::EndlessHeaders,
        };
        Some(Fault::Wire(WireFault {
            kind,
            share: section.or("share", kind::share_above_0, 1.0),
            at,
            lasts,
        }))
    }

    /// As it could be ordered again.
    pub(super) fn json(&self) -> Json {
        let mut order = Map::new();
        let (name, at, lasts) = match self {
            Fault::Model(fault) => (fault.kind.name(), fault.at, fault.lasts),
            Fault::Wire(fault) => (fault.kind.name(), fault.at, fault.lasts),
        };
        let mut put = |key: &str, value: Json| {
            order.insert(key.to_owned(), value);
        };
        put("kind", name.into());
        put("at", at.since(Instant::EPOCH).to_string().into());
        put("for", length(lasts));
        match self {
            Fault::Model(fault) => match fault.kind {
                FaultKind::ConnectionRefused | FaultKind::BlackHole | FaultKind::QuotaExhausted => {}
                FaultKind::Outage { status } => put("status", status.into()),
                FaultKind::FailFast { latency, share } => {
                    put("latency", length(latency));
                    put("share", share.into());
                }
                FaultKind::ErrorBurst { share, status } => {
                    put("share", share.into());
                    put("status", status.into());
                }
                FaultKind::Brownout { factor } => put("factor", factor.into()),
                FaultKind::SlowStart { ramp } => put("ramp", length(ramp)),
                FaultKind::Stall { share, pause } => {
                    put("share", share.into());
                    put("pause", length(pause));
                }
                FaultKind::Truncate { share } => put("share", share.into()),
            },
            Fault::Wire(fault) => {
                put("share", fault.share.into());
                match fault.kind {
                    WireKind::Reset { after } => {
                        if let Some(after) = after {
                            put("after", after.into());
                        }
                    }
                    WireKind::Hang { after } | WireKind::Truncate { after } => put("after", after.into()),
                    WireKind::SlowBody { bytes, every } => {
                        put("bytes", bytes.into());
                        put("every", length(every));
                    }
                    WireKind::Garbage | WireKind::EndlessHeaders => {}
                }
            }
        }
        Json::Object(order)
    }
}

fn length(length: Nanos) -> Json {
    if length.is_forever() {
        "none".into()
    } else {
        length.to_string().into()
    }
}

#[derive(Clone, Copy)]
enum Word {
    Model(FaultWord),
    Reset,
    Hang,
    SlowBody,
    Garbage,
    EndlessHeaders,
}

/// Kinds that a scenario does not have. `truncate` it has; with `after` it is a fault of the connection.
const WIRE_WORDS: [(&str, Word); 5] = [
    ("reset", Word::Reset),
    ("hang", Word::Hang),
    ("slow-body", Word::SlowBody),
    ("garbage", Word::Garbage),
    ("endless-headers", Word::EndlessHeaders),
];

fn word(value: &Value<'_>) -> Result<Word, Wrong> {
    let model = FAULTS.iter().map(|(name, word)| (*name, Word::Model(*word)));
    let words: Vec<(&str, Word)> = model.chain(WIRE_WORDS).collect();
    let names = || words.iter().map(|(name, _)| *name);
    let Some(text) = value.toml().as_str() else {
        return Err(Wrong::expected(format!(
            "one of {}",
            names().collect::<Vec<_>>().join(", ")
        )));
    };
    if let Some((_, word)) = words.iter().find(|(name, _)| *name == text) {
        return Ok(*word);
    }
    let help = match nearest(text, names()) {
        Nearest::Word(word) => format!("did you mean \"{word}\"?"),
        Nearest::Words(_) | Nearest::Nothing => {
            format!("known kinds: {}", names().collect::<Vec<_>>().join(", "))
        }
    };
    Err(Wrong::said(format!("unknown kind \"{text}\""), "unknown kind").help(help))
}

/// The order as a file of its own, a key a line, so that it is read as scenarios are.
fn toml(order: &Map<String, Json>) -> Result<String, String> {
    let mut text = String::new();
    for (key, value) in order {
        if matches!(value, Json::Null | Json::Array(_) | Json::Object(_)) {
            return Err(format!("`{key}` must be a string, a number, true or false"));
        }
        let key = Json::from(key.as_str());
        // Strings are written alike, but for one character that TOML wants escaped.
        text.push_str(&format!("{key} = {value}\n").replace('\u{7f}', "\\u007f"));
    }
    Ok(text)
}

fn told(problems: &Problems) -> String {
    let sentence = |problem: &tollgate_core::file::Problem| match &problem.help {
        Some(help) => format!("{} ({help})", problem.message),
        None => problem.message.clone(),
    };
    problems.list().iter().map(sentence).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_scenarios_are_and_written_as_they_are_read() {
        for order in [
            r#"{"kind":"outage","status":500,"for":"30s"}"#,
            r#"{"kind":"black-hole"}"#,
            r#"{"kind":"connection-refused","at":"1h"}"#,
            r#"{"kind":"quota-exhausted"}"#,
            r#"{"kind":"error-burst","share":0.5,"status":529}"#,
            r#"{"kind":"fail-fast","share":"10%","latency":"2ms"}"#,
            r#"{"kind":"brownout","factor":4}"#,
            r#"{"kind":"slow-start","ramp":"10s"}"#,
            r#"{"kind":"stall","pause":"none"}"#,
            r#"{"kind":"truncate","share":0.25}"#,
            r#"{"kind":"truncate","after":"1kB"}"#,
            r#"{"kind":"reset"}"#,
            r#"{"kind":"reset","after":100}"#,
            r#"{"kind":"hang","after":10,"for":"1m"}"#,
            r#"{"kind":"slow-body","bytes":3,"every":"5ms"}"#,
            r#"{"kind":"garbage"}"#,
            r#"{"kind":"endless-headers"}"#,
        ] {
            let fault = Fault::read(order).unwrap_or_else(|error| panic!("{order}: {error}"));
            let again = Fault::read(&fault.json().to_string());
            assert_eq!(again.as_ref(), Ok(&fault), "{order}");
        }
    }

    #[test]
    fn wrong_orders_are_told_with_a_way_out() {
        for (order, said) in [
            ("[]", "a fault is a JSON object"),
            ("{}", "kind"),
            (
                r#"{"kind":"outrage"}"#,
                "unknown kind \"outrage\" (did you mean \"outage\"?)",
            ),
            (r#"{"kind":"xyz"}"#, "known kinds: outage, black-hole"),
            (r#"{"kind":"outage","for":"10 s"}"#, "`for`: expected a duration"),
            (r#"{"kind":"outage","statuss":500}"#, "did you mean `status`?"),
            (r#"{"kind":"outage","status":200}"#, "`status`"),
            (r#"{"kind":"outage","status":null}"#, "`status` must be a string"),
            (r#"{"kind":"brownout"}"#, "factor"),
            ("{\"kind\":\"\u{7f}\"}", "unknown kind"),
        ] {
            let error = Fault::read(order).expect_err("it is wrong");
            assert!(error.contains(said), "{order}: {error}");
        }
    }
}

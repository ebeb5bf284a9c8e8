//! What is heard of answers: streams, whole ones, and errors.

mod laws;

use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http::response::Parts;

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{AttemptEvent, ErrorCode};
use tollgate_core::policy::Operation;
use tollgate_core::time::Nanos;
use tollgate_core::usage::Usage;

use super::stream::Stream;
use super::{AnswerReader, Asked, Rejection};

const ASKED: Asked = Asked {
    operation: Operation::Chat,
    stream: true,
    include_usage: false,
    input: 11,
};

const WANTED: Asked = Asked {
    include_usage: true,
    ..ASKED
};

const SSE: &[(&str, &str)] = &[("content-type", "text/event-stream; charset=utf-8")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

const OPENED: AttemptEvent = AttemptEvent::Open {
    status: 200,
    code: None,
    retry_after: None,
};

fn head(status: u16, headers: &[(&str, &str)]) -> Parts {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).expect("a head").into_parts().0
}

/// What came of an answer.
#[derive(Debug, PartialEq)]
struct Heard {
    events: Vec<AttemptEvent>,
    relayed: String,
    rejection: Option<Rejection>,
}

/// Hears an answer whose body comes in `pieces`; afterwards it must not say anything more.
fn hear(asked: Asked, head: &Parts, pieces: &[&[u8]], clean: bool) -> Heard {
    let mut reader = AnswerReader::new(asked);
    let mut events: Vec<AttemptEvent> = reader.head(head, SystemTime::UNIX_EPOCH).into_iter().collect();
    let mut relayed = Vec::new();
    for piece in pieces {
        relayed.extend_from_slice(&reader.frame(Bytes::copy_from_slice(piece), &mut events));
    }
    relayed.extend_from_slice(&reader.end(clean, &mut events));
    let told = events.len();
    relayed.extend_from_slice(&reader.frame(Bytes::from_static(b"data: {}\n\n"), &mut events));
    relayed.extend_from_slice(&reader.end(clean, &mut events));
    assert_eq!(events.len(), told, "told once: {events:?}");
    Heard {
        events,
        relayed: String::from_utf8_lossy(&relayed).into_owned(),
        rejection: reader.rejection().cloned(),
    }
}

fn stream(asked: Asked, body: &str) -> Heard {
    hear(asked, &head(200, SSE), &[body.as_bytes()], true)
}

fn whole(body: &str) -> Heard {
    hear(ASKED, &head(200, JSON), &[body.as_bytes()], true)
}

fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn finish(input: u32, output: u32) -> AttemptEvent {
    AttemptEvent::Finish {
        usage: Usage { input, output },
    }
}

fn fail(fault: Fault) -> AttemptEvent {
    AttemptEvent::Fail { fault }
}

#[test]
fn a_stream_is_counted_and_its_usage_is_ours() {
    let body = [ROLE, &delta("a"), &delta("b"), &delta("c"), STOP, USAGE, DONE].concat();
    let heard = stream(ASKED, &body);
    let counted = [
        OPENED,
        AttemptEvent::FirstToken,
        AttemptEvent::Tokens { count: 2 },
        finish(3, 5),
    ];
    assert_eq!(heard.events, counted);
    assert_eq!(heard.relayed, body.replace(USAGE, ""));

    let heard = stream(WANTED, &body);
    assert_eq!(heard.events, counted);
    assert_eq!(heard.relayed, body);
}

#[test]
fn a_stream_without_usage_is_taken_as_counted() {
    let heard = stream(ASKED, &[ROLE, &delta("a"), &delta("b"), STOP, DONE].concat());
    assert_eq!(heard.events.last(), Some(&finish(11, 2)));
    let silent = stream(ASKED, &[ROLE, STOP, DONE].concat());
    assert_eq!(silent.events, [OPENED, finish(11, 0)], "an answer may be empty");
}

#[test]
fn a_provider_that_counts_as_it_goes_is_believed() {
    let chunk = |text: &str, tokens: u32| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\
             \"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{tokens}}}}}\n\n"
        )
    };
    let heard = stream(ASKED, &[&chunk("a b", 2), &chunk("c d e", 5), STOP, DONE].concat());
    let counted = [
        OPENED,
        AttemptEvent::FirstToken,
        AttemptEvent::Tokens { count: 4 },
        finish(3, 5),
    ];
    assert_eq!(heard.events, counted);
}

#[test]
fn what_ends_without_saying_so_has_broken_off() {
    let broken = [
        String::new(),
        ROLE.to_owned(),
        [ROLE, &delta("a")].concat(),
        [&delta("a"), "data: {\"choices\""].concat(),
        [
            &delta("a"),
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n",
            STOP,
        ]
        .concat(),
    ];
    for body in &broken {
        for clean in [true, false] {
            let heard = hear(ASKED, &head(200, SSE), &[body.as_bytes()], clean);
            assert_eq!(heard.events.last(), Some(&fail(Fault::Stream)), "{body}");
        }
    }
    for clean in [true, false] {
        let complete = [&delta("a"), STOP].concat();
        let heard = hear(ASKED, &head(200, SSE), &[complete.as_bytes()], clean);
        assert_eq!(heard.events.last(), Some(&finish(11, 1)), "it says why it ends");
        assert_eq!(
            heard.relayed,
            [&complete, DONE].concat(),
            "and clients are told that it is over"
        );
    }
    let unterminated = [&delta("a"), STOP, "data: [DONE]"].concat();
    let heard = stream(ASKED, &unterminated);
    assert_eq!(heard.events.last(), Some(&finish(11, 1)));
    assert_eq!(heard.relayed, [&unterminated, "\n\n"].concat());
}

#[test]
fn errors_in_a_stream_are_faults_before_and_breaks_after_the_first_token() {
    let error = "data: {\"error\":{\"message\":\"no\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let before = stream(ASKED, &[ROLE, error, DONE].concat());
    let refused = AttemptEvent::Open {
        status: 429,
        code: None,
        retry_after: None,
    };
    assert_eq!(before.events, [OPENED, refused]);
    assert_eq!(before.rejection.map(|rejection| rejection.status), Some(429));

    let after = stream(
        ASKED,
        &[ROLE, &delta("a"), &delta("b"), error, &delta("c"), DONE].concat(),
    );
    let lump = AttemptEvent::Tokens { count: 1 };
    assert_eq!(
        after.events,
        [OPENED, AttemptEvent::FirstToken, lump, fail(Fault::Stream)]
    );
    assert_eq!(after.relayed, [ROLE, &delta("a"), &delta("b")].concat());

    let spent = stream(ASKED, "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n");
    let exhausted = AttemptEvent::Open {
        status: 429,
        code: Some(ErrorCode::InsufficientQuota),
        retry_after: None,
    };
    assert_eq!(spent.events, [OPENED, exhausted]);
    let named = stream(ASKED, "event: error\ndata: {\"message\":\"no\",\"status\":503}\n\n");
    assert!(matches!(named.events[1], AttemptEvent::Open { status: 503, .. }));
    let plain = stream(ASKED, "event: error\ndata: out of memory\n\n");
    assert!(matches!(plain.events[1], AttemptEvent::Open { status: 500, .. }));
}

#[test]
fn garbage_in_a_stream_is_a_fault() {
    for garbage in ["data: hello\n\n", "data: [1]\n\n", "data: {\"choices\":7}\n\n"] {
        assert_eq!(
            stream(ASKED, garbage).events,
            [OPENED, fail(Fault::Server)],
            "{garbage}"
        );
        let late = stream(ASKED, &[&delta("a"), garbage].concat());
        assert_eq!(late.events, [OPENED, AttemptEvent::FirstToken, fail(Fault::Stream)]);
        assert_eq!(late.relayed, delta("a"));
    }
    let harmless = [
        ": ping\n\n",
        "\n\n",
        "data:\n\n",
        "id: 7\n\n",
        "data: {\"type\":\"ping\"}\n\n",
    ]
    .concat();
    let heard = stream(ASKED, &[&harmless, delta("a").as_str(), STOP, DONE].concat());
    assert_eq!(heard.events, [OPENED, AttemptEvent::FirstToken, finish(11, 1)]);
    assert!(heard.relayed.starts_with(&harmless));
}

#[test]
fn floods_are_faults() {
    let piece = vec![b'x'; 64 * 1024];
    let flood = |first: &str, fault| {
        let mut reader = AnswerReader::new(ASKED);
        let mut events = Vec::new();
        reader.head(&head(200, SSE), SystemTime::UNIX_EPOCH);
        reader.frame(Bytes::copy_from_slice(first.as_bytes()), &mut events);
        events.clear();
        let mut fed = 0;
        while events.is_empty() && fed <= 2 * Stream::EVENT_BYTES {
            fed += piece.len();
            reader.frame(Bytes::copy_from_slice(&piece), &mut events);
        }
        assert_eq!(events, [fail(fault)]);
        fed
    };
    assert!(flood("data: ", Fault::Server) <= Stream::SILENT_BYTES + piece.len());
    let long = flood(&format!("{}data: ", delta("a")), Fault::Stream);
    assert!(long <= Stream::EVENT_BYTES + piece.len());

    let pings = ": ping\n\n".repeat(Stream::SILENT_BYTES / 8 + 1);
    assert_eq!(stream(ASKED, &pings).events.last(), Some(&fail(Fault::Server)));
    assert_eq!(whole(&" ".repeat(20_000)).events, [OPENED, fail(Fault::Server)]);
}

#[test]
fn a_whole_answer_is_heard_from_its_first_byte_to_its_last() {
    let body = "{\"id\":\"x\",\"choices\":[{\"text\":\"}\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}";
    let heard = whole(body);
    assert_eq!(heard.events, [OPENED, AttemptEvent::FirstToken, finish(3, 5)]);
    assert_eq!(heard.relayed, body);

    let uncounted = whole("{\"id\":\"12345678\"}");
    assert_eq!(uncounted.events.last(), Some(&finish(11, 5)), "four bytes are a token");
    let cut = whole("{\"id\":\"x\"");
    assert_eq!(cut.events, [OPENED, AttemptEvent::FirstToken, fail(Fault::Stream)]);
    for garbage in ["<html>", "[1]", "nothing"] {
        assert_eq!(whole(garbage).events, [OPENED, fail(Fault::Server)], "{garbage}");
    }
    assert_eq!(whole("").events, [OPENED, fail(Fault::Stream)]);

    let error = whole("{\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\"}}");
    assert!(
        matches!(error.events[1..], [AttemptEvent::Open { status: 529, .. }]),
        "{error:?}"
    );
    assert_eq!((error.relayed.as_str(), error.rejection.is_some()), ("", true));
}

#[test]
fn heads_that_promise_no_answer_are_faults() {
    let opened = |status, headers: &[(&str, &str)]| {
        let mut reader = AnswerReader::new(ASKED);
        reader.head(&head(status, headers), SystemTime::UNIX_EPOCH)
    };
    assert_eq!(opened(200, SSE), Some(OPENED));
    assert_eq!(
        opened(200, &[("content-type", "application/problem+json")]),
        Some(OPENED)
    );
    assert_eq!(opened(200, &[]), Some(OPENED));
    assert_eq!(opened(200, &[("content-encoding", "identity")]), Some(OPENED));
    let gibberish = Some(fail(Fault::Server));
    assert_eq!(opened(200, &[("content-type", "text/html")]), gibberish);
    assert_eq!(opened(200, &[("content-encoding", "gzip")]), gibberish);
    assert_eq!(opened(302, JSON), gibberish);
    assert_eq!(opened(500, JSON), None, "its body says more");
}

#[test]
fn errors_are_heard_with_their_body() {
    let headers = [("content-type", "application/json"), ("retry-after-ms", "250")];
    let body = "{\"error\":{\"code\":\"insufficient_quota\"}}";
    let heard = hear(
        ASKED,
        &head(429, &headers),
        &[&body.as_bytes()[..7], &body.as_bytes()[7..]],
        true,
    );
    let refused = AttemptEvent::Open {
        status: 429,
        code: Some(ErrorCode::InsufficientQuota),
        retry_after: Some(Nanos::from_millis(250)),
    };
    assert_eq!(heard.events, [refused]);
    let rejection = heard.rejection.expect("a body");
    assert_eq!((rejection.status, rejection.body.as_ref()), (429, body.as_bytes()));
    assert_eq!(heard.relayed, "");

    let cut = hear(ASKED, &head(500, JSON), &[], false);
    assert!(matches!(
        cut.events[..],
        [AttemptEvent::Open {
            status: 500,
            code: None,
            ..
        }]
    ));
    let flood = vec![b'x'; Rejection::MOST_BYTES];
    let heard = hear(ASKED, &head(502, JSON), &[&flood, &flood], true);
    assert_eq!(
        heard.rejection.map(|rejection| rejection.body.len()),
        Some(Rejection::MOST_BYTES)
    );
}

#[test]
fn what_is_not_stripped_is_not_copied() {
    let mut reader = AnswerReader::new(ASKED);
    let mut events = Vec::new();
    reader.head(&head(200, SSE), SystemTime::UNIX_EPOCH);
    let read = Bytes::from([ROLE, &delta("a"), &delta("b")].concat());
    assert_eq!(reader.frame(read.clone(), &mut events).as_ptr(), read.as_ptr());
    let last = Bytes::from([STOP, USAGE].concat());
    assert_eq!(reader.frame(last.clone(), &mut events).as_ptr(), last.as_ptr());

    let mut reader = AnswerReader::new(ASKED);
    reader.head(&head(200, JSON), SystemTime::UNIX_EPOCH);
    let read = Bytes::from_static(b"{\"id\":1");
    assert_eq!(reader.frame(read.clone(), &mut events).as_ptr(), read.as_ptr());
}

#[test]
fn cached_tokens_are_noted() {
    let usage = "{\"prompt_tokens\":9,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":7}}";
    for (headers, body) in [
        (
            SSE,
            format!("{}data: {{\"choices\":[],\"usage\":{usage}}}\n\n{DONE}", delta("a")),
        ),
        (JSON, format!("{{\"usage\":{usage}}}")),
    ] {
        let mut reader = AnswerReader::new(ASKED);
        let mut events = Vec::new();
        reader.head(&head(200, headers), SystemTime::UNIX_EPOCH);
        reader.frame(Bytes::from(body), &mut events);
        reader.end(true, &mut events);
        assert_eq!((reader.cached_input(), events.last()), (Some(7), Some(&finish(9, 1))));
    }
}

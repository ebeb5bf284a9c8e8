//! Answers of providers: however they are cut, the same is heard and relayed, and how they end is told once.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run sse proxy/fuzz/seeds/sse --fuzz-dir proxy/fuzz -- -max_len=4096 -max_total_time=60`
#![no_main]

use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;

use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::policy::Operation;
use tollgate_proxy::provider::{AnswerReader, Asked};

const KINDS: [&str; 3] = ["text/event-stream", "application/json", "text/html"];

/// What was heard, lumps of tokens summed, and what was relayed.
#[derive(Debug, PartialEq)]
struct Heard {
    events: Vec<AttemptEvent>,
    tokens: u32,
    relayed: Vec<u8>,
    rejection: Option<(u16, Vec<u8>)>,
}

fuzz_target!(|bytes: &[u8]| {
    let &[choice, size, ref body @ ..] = bytes else {
        return;
    };
    let asked = Asked {
        operation: Operation::Chat,
        stream: choice & 1 == 0,
        include_usage: choice & 2 == 0,
        input: 7,
    };
    let status = if choice & 4 == 0 { 200 } else { 429 };
    let kind = KINDS[usize::from(choice >> 3 & 3).min(2)];
    let clean = choice & 32 == 0;
    let hear = |pieces: &mut dyn Iterator<Item = &[u8]>| hear(asked, status, kind, pieces, clean);
    let at_once = hear(&mut std::iter::once(body));
    for step in [usize::from(size).max(1), 1] {
        let in_pieces = hear(&mut body.chunks(step));
        assert_eq!((&at_once.events, at_once.tokens), (&in_pieces.events, in_pieces.tokens));
        assert_eq!(at_once.rejection, in_pieces.rejection);
        if kind == KINDS[0] {
            // An LF after the CR that ended everything is not waited for.
            assert_eq!(at_once.relayed.trim_ascii_end(), in_pieces.relayed.trim_ascii_end());
        }
    }
});

fn hear(
    asked: Asked,
    status: u16,
    kind: &str,
    pieces: &mut dyn Iterator<Item = &[u8]>,
    clean: bool,
) -> Heard {
    let head = Response::builder().status(status).header("content-type", kind).body(());
    let head = head.expect("a head").into_parts().0;
    let mut reader = AnswerReader::new(asked);
    let mut events: Vec<AttemptEvent> = reader.head(&head, SystemTime::UNIX_EPOCH).into_iter().collect();
    let mut relayed = Vec::new();
    for piece in pieces {
        relayed.extend_from_slice(&reader.frame(Bytes::copy_from_slice(piece), &mut events));
    }
    relayed.extend_from_slice(&reader.end(clean, &mut events));
    let ends = events.iter().filter(|event| is_end(event)).count();
    assert_eq!(ends, 1, "{events:?}");
    assert!(events.last().is_some_and(is_end), "{events:?}");
    let tokens = events.iter().map(|event| match event {
        AttemptEvent::Tokens { count } => *count,
        _ => 0,
    });
    Heard {
        tokens: tokens.fold(0, u32::saturating_add),
        events: events.iter().copied().filter(|event| !matches!(event, AttemptEvent::Tokens { .. })).collect(),
        relayed,
        rejection: reader.rejection().map(|rejection| (rejection.status, rejection.body.to_vec())),
    }
}

fn is_end(event: &AttemptEvent) -> bool {
    match event {
        AttemptEvent::Open { status, .. } => 400 <= *status,
        AttemptEvent::Finish { .. } | AttemptEvent::Fail { .. } => true,
        _ => false,
    }
}

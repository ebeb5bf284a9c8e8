//! The laws of hearing answers, however they are cut.

use proptest::prelude::*;

use tollgate_core::lifecycle::AttemptEvent;

use super::{ASKED, DONE, JSON, ROLE, SSE, STOP, USAGE, WANTED, delta, finish, head, hear};

/// The same events, lumps and all that follows a first token told as one.
fn summed(events: &[AttemptEvent]) -> (u32, Vec<AttemptEvent>) {
    let mut tokens = 0;
    let mut others = Vec::new();
    for event in events {
        match event {
            AttemptEvent::Tokens { count } => tokens += count,
            AttemptEvent::Connected
            | AttemptEvent::Connecting
            | AttemptEvent::Waiting
            | AttemptEvent::Open { .. }
            | AttemptEvent::FirstToken
            | AttemptEvent::Finish { .. }
            | AttemptEvent::Fail { .. } => others.push(*event),
        }
    }
    (tokens, others)
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut last = 0;
    for cut in cuts {
        pieces.push(&bytes[last..cut]);
        last = cut;
    }
    pieces.push(&bytes[last..]);
    pieces
}

fn any_body() -> impl Strategy<Value = String> {
    let event = prop_oneof![
        4 => "[a-z ]{0,9}".prop_map(|text| delta(&text)),
        1 => Just(ROLE.to_owned()),
        1 => Just(STOP.to_owned()),
        1 => Just(USAGE.to_owned()),
        1 => Just(DONE.to_owned()),
        1 => Just(DONE.replace('\n', "\r\n")),
        1 => Just(USAGE.replace('\n', "\r\n")),
        1 => "[a-z ]{0,9}".prop_map(|text| delta(&text).replace('\n', "\r\n")),
        1 => Just(": ping\n\n".to_owned()),
        1 => Just("data: {\"error\":{\"code\":\"x\"}}\r\n\r\n".to_owned()),
        1 => Just("data: {\"choices\":\ndata: []}\n\n".to_owned()),
        1 => "[a-z:{}\" \r\n]{0,12}",
    ];
    let member = prop_oneof![
        "\"error\":\\{\"code\":\"overloaded\"",
        "\"id\":7",
        "\"usage\":\\{\"prompt_tokens\":3"
    ];
    let whole = (
        "[ {]{1,2}",
        prop::collection::vec((member, "[}, \\]]{1,2}"), 0..4),
        "[}\\]x]{0,2}",
    );
    let whole = whole.prop_map(|(open, members, close)| {
        let members: String = members.into_iter().map(|(member, end)| member + &end).collect();
        [open, members, close].concat()
    });
    let events = prop::collection::vec(event, 0..9).prop_map(|events| events.concat());
    prop_oneof![events, whole]
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        body in any_body(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        asked in prop::sample::select(vec![ASKED, WANTED]),
        headers in prop::sample::select(vec![SSE, JSON]),
        status in prop::sample::select(vec![200, 429]),
        clean: bool,
    ) {
        let head = head(status, headers);
        let at_once = hear(asked, &head, &[body.as_bytes()], clean);
        let in_pieces = hear(asked, &head, &cut(body.as_bytes(), &cuts), clean);
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        let byte_by_byte = hear(asked, &head, &bytes, clean);
        for other in [in_pieces, byte_by_byte] {
            prop_assert_eq!(summed(&at_once.events), summed(&other.events));
            // What whole answers relayed of garbage before it was known is never sent: its attempt has failed.
            if headers == SSE {
                // An LF after the CR that ended everything is not waited for.
                prop_assert_eq!(at_once.relayed.trim_end(), other.relayed.trim_end());
            }
            prop_assert_eq!(&at_once.rejection, &other.rejection);
        }
    }

    #[test]
    fn any_answer_ends_once(
        body in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        headers in prop::sample::select(vec![SSE, JSON, &[]]),
        status in 200..600_u16,
        clean: bool,
    ) {
        let heard = hear(ASKED, &head(status, headers), &cut(&body, &cuts), clean);
        let is_end = |event: &&AttemptEvent| match event {
            AttemptEvent::Open { status, .. } => 400 <= *status,
            AttemptEvent::Finish { .. } | AttemptEvent::Fail { .. } => true,
            AttemptEvent::Connected
            | AttemptEvent::Connecting
            | AttemptEvent::Waiting
            | AttemptEvent::FirstToken
            | AttemptEvent::Tokens { .. } => false,
        };
        prop_assert_eq!(heard.events.iter().filter(is_end).count(), 1, "{:?}", heard.events);
        prop_assert!(heard.events.last().is_some_and(|event| is_end(&event)));
    }

    #[test]
    fn only_unasked_usage_is_stripped(
        texts in prop::collection::vec("[a-z ]{1,9}", 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        asked in prop::sample::select(vec![ASKED, WANTED]),
    ) {
        let deltas: Vec<String> = texts.iter().map(|text| delta(text)).collect();
        let before = [ROLE, &deltas.concat(), STOP].concat();
        let body = [&before, USAGE, DONE].concat();
        let expected = if asked.include_usage { body.clone() } else { [&before, DONE].concat() };
        let heard = hear(asked, &head(200, SSE), &cut(body.as_bytes(), &cuts), true);
        prop_assert_eq!(heard.relayed, expected);
        prop_assert_eq!(heard.events.last(), Some(&finish(3, 5)));
    }
}

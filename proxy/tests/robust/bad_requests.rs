//! What is no HTTP, or would be two requests to one reader and one to another.

use crate::client::{Answer, Client, body, chat, framed, post};
use crate::upstream::{STREAM, TOKEN, Upstream, whole};
use crate::world::{KEY, World};

fn good(more: &str) -> (Upstream, World) {
    let upstream = Upstream::new(|line| {
        line.say(whole().as_bytes());
    });
    let world = World::new(&[upstream.address], more);
    (upstream, world)
}

/// Nobody waits for long, so that every connection ends.
const HASTY: &str = "[limits]\nheader_timeout = \"500ms\"\nbody_timeout = \"500ms\"\nidle_timeout = \"500ms\"\n";

/// All answers on a connection on which nothing but `bytes` is sent.
fn answers(world: &World, bytes: &[u8]) -> Vec<Answer> {
    let mut client = world.connect();
    client.send(bytes);
    std::iter::from_fn(|| client.answer()).collect()
}

/// Two readers must not disagree where a request ends: none of these is two requests, and whatever is in doubt is
/// refused, with its connection.
#[test]
fn requests_cannot_be_smuggled() {
    let (upstream, world) = good(HASTY);
    let inner = String::from_utf8(chat(false)).expect("text");
    let length = body(false).len();
    let chunked = format!("{length:x}\r\n{}\r\n0\r\n\r\n", body(false));
    for framing in [
        // Two lengths that differ.
        format!("content-length: 4\r\ncontent-length: {length}\r\n\r\n{{}}  {inner}"),
        format!("content-length: 4, {length}\r\n\r\n{{}}  {inner}"),
        // A length that is none.
        format!("content-length: +{length}\r\n\r\n{}", body(false)),
        format!("content-length: -1\r\n\r\n{}", body(false)),
        format!("content-length: 0x10\r\n\r\n{inner}"),
        format!("content-length: {length} {length}\r\n\r\n{}", body(false)),
        // A transfer that is not chunked at its end, or something unknown.
        format!("transfer-encoding: chunked, identity\r\n\r\n{chunked}{inner}"),
        format!("transfer-encoding: xchunked\r\n\r\n{chunked}{inner}"),
        format!("transfer-encoding: \"chunked\"\r\n\r\n{chunked}{inner}"),
        // Sizes of chunks that are none.
        format!("transfer-encoding: chunked\r\n\r\nzz\r\n{inner}\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked\r\n\r\n-5\r\n{inner}\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked\r\n\r\n0x5\r\n{inner}\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked\r\n\r\n10000000000000005\r\n{inner}\r\n0\r\n\r\n"),
        format!("transfer-encoding: chunked\r\n\r\n5\r\n{inner}\r\n0\r\n\r\n"),
        // Space where none may be.
        format!("transfer-encoding : chunked\r\n\r\n{chunked}"),
        format!("content-length : {length}\r\n\r\n{}", body(false)),
        format!(
            "x: y\r\n content-length: 3\r\ncontent-length: {length}\r\n\r\n{}",
            body(false)
        ),
        format!(" content-length: {length}\r\n\r\n{}", body(false)),
        // Bytes that no header has.
        format!("x\0y: z\r\ncontent-length: {length}\r\n\r\n{}", body(false)),
        format!("x: y\0z\r\ncontent-length: {length}\r\n\r\n{}", body(false)),
        format!(
            "x: y\rcontent-length: 3\r\ncontent-length: {length}\r\n\r\n{}",
            body(false)
        ),
    ] {
        let asked = upstream.asked();
        let answers = answers(&world, &framed(&framing));
        let shown = framing.lines().next().unwrap_or_default();
        assert!(answers.len() <= 1, "{shown}: {answers:?}");
        for answer in answers {
            assert!([400, 408, 415].contains(&answer.status), "{shown}: {answer:?}");
            answer.code();
        }
        assert_eq!(upstream.asked(), asked, "{shown}: a request went on");
    }
    world.end();
}

/// What is lawful, or harmless, is one request and no more: what follows a body is the next request, never part of it.
#[test]
fn lawful_oddities_are_one_request() {
    let (upstream, world) = good(HASTY);
    let length = body(false).len();
    let chunked = format!("{length:X};name=value\r\n{}\r\n0\r\nx-trailer: y\r\n\r\n", body(false));
    for (framing, most) in [
        (format!("transfer-encoding: chunked\r\n\r\n{chunked}"), 1),
        (format!("Transfer-Encoding: Chunked\r\n\r\n{chunked}"), 1),
        // The transfer encoding wins, as RFC 9112 asks, or both are refused.
        (
            format!("content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
            1,
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{chunked}"),
            1,
        ),
        (
            format!(
                "content-length: {length}\r\ncontent-length: {length}\r\n\r\n{}",
                body(false)
            ),
            1,
        ),
        // Bare line feeds end lines for some readers.
        (format!("x: y\ncontent-length: {length}\r\n\r\n{}", body(false)), 1),
    ] {
        let asked = upstream.asked();
        let answers = answers(&world, &framed(&framing));
        assert!(answers.len() <= most, "{framing}: {answers:?}");
        let passed = answers.iter().filter(|answer| answer.status == 200).count();
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(answer.status, 400, "{answer:?}");
            answer.code();
        }
        assert_eq!(upstream.asked() - asked, passed, "{framing}");
    }
    world.end();
}

#[test]
fn other_ways_to_speak_are_refused() {
    let (upstream, world) = good(HASTY);
    let with = |line: &str, more: &str| {
        format!("{line}\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{more}\r\n").into_bytes()
    };
    let plain = body(false);
    for (bytes, statuses) in [
        // HTTP/0.9, and what is no HTTP at all.
        (b"GET /v1/models\r\n\r\n".to_vec(), &[400][..]),
        (b"GET /v1/models HTTP/0.9\r\n\r\n".to_vec(), &[400]),
        (b"GET /v1/models HTTP/3.0\r\n\r\n".to_vec(), &[400]),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 canary-prompt-c0ffee".to_vec(),
            &[400],
        ),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n".to_vec(), &[400]),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(), &[400]),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(), &[400]),
        // Methods and targets for proxies of another kind.
        (with("CONNECT example.com:443 HTTP/1.1", ""), &[404, 405, 400]),
        (with("OPTIONS * HTTP/1.1", ""), &[404, 405, 400]),
        (with("TRACE /v1/chat/completions HTTP/1.1", ""), &[405]),
        (with("GET http://169.254.169.254/latest/meta-data HTTP/1.1", ""), &[404]),
        (with("GET //v1/models HTTP/1.1", ""), &[404]),
        (with("GET /v1/models%00 HTTP/1.1", ""), &[404]),
        (with("GET /v1/mod\u{e9}ls HTTP/1.1", ""), &[400, 404]),
        (with(&format!("GET /{} HTTP/1.1", "a".repeat(20_000)), ""), &[404, 414]),
        (with(&format!("GET /{} HTTP/1.1", "a".repeat(70_000)), ""), &[414, 431]),
        // A change of protocol is not taken up.
        (
            with(
                "GET /v1/models HTTP/1.1",
                "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
            ),
            &[200],
        ),
        (
            with(
                "GET /v1/models HTTP/1.1",
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
            ),
            &[200],
        ),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        for answer in answers(&world, &bytes) {
            assert!(statuses.contains(&answer.status), "{shown}: {answer:?}");
            if answer.status != 200 {
                answer.code();
            }
        }
    }
    // The whole target names another host: it is still ours, and goes where the policy says.
    let absolute = String::from_utf8(post(&plain, "")).expect("text");
    let absolute = absolute.replacen("/v1/chat", "http://evil.example/v1/chat", 1);
    let answers = answers(&world, absolute.as_bytes());
    assert_eq!(answers.len(), 1);
    assert!([200, 400, 404].contains(&answers[0].status), "{answers:?}");
    assert!(upstream.asked() <= 1);
    world.end();
}

#[test]
fn floods_of_headers_are_refused() {
    let (upstream, world) = good("");
    let before = world.memory();
    let plain = body(false);
    for more in [
        "x-flood: y\r\n".repeat(200),
        format!("x-flood: {}\r\n", "y".repeat(64 << 10)),
        format!("{}: y\r\n", "x".repeat(64 << 10)),
        format!("x-flood: {}\r\n", "y".repeat(1 << 10)).repeat(50),
    ] {
        let mut client = world.connect();
        client.send(&post(&plain, &more));
        // Whoever writes on may lose the answer to the reset.
        if let Some(answer) = client.answer() {
            assert_eq!((answer.status, answer.code().as_str()), (431, "headers_too_large"));
        }
    }
    // Headers without end.
    let mut client = world.connect();
    client.send(&framed(""));
    let line = format!("x-endless: {}\r\n", "y".repeat(1 << 10));
    let taken = (0..100_000).take_while(|_| client.send(line.as_bytes())).count();
    assert!(taken < 100_000);
    // As many as may be are none too many.
    let mut client = world.connect();
    client.send(&post(&plain, &"x-fine: y\r\n".repeat(90)));
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert_eq!(upstream.asked(), 1);
    let grown = world.most_memory() - before;
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    world.end();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (upstream, world) = good("");
    let mut client = world.connect();
    let mut bytes = Vec::new();
    for number in 0..50 {
        bytes.extend(post(&body(false), &format!("x-request-id: number-{number}\r\n")));
        if number % 5 == 0 {
            bytes.extend(post("{", &format!("x-request-id: wrong-{number}\r\n")));
        }
    }
    client.send(&bytes);
    for number in 0..50 {
        let answer = client.answer().expect("an answer");
        assert_eq!(
            (answer.status, answer.header("x-request-id")),
            (200, Some(&*format!("number-{number}")))
        );
        if number % 5 == 0 {
            let answer = client.answer().expect("an answer");
            assert_eq!(answer.status, 400);
            assert_eq!(answer.header("x-request-id"), Some(&*format!("wrong-{number}")));
        }
    }
    assert_eq!(upstream.asked(), 50);
    world.end();
}

/// A client that closes its half of a connection looks like one that has gone, and is treated so: endpoints cost money.
#[test]
fn half_closed_clients_have_gone() {
    let upstream = Upstream::new(|line| {
        line.say(STREAM.as_bytes());
        line.say(TOKEN.as_bytes());
        line.wait();
    });
    let world = World::new(&[upstream.address], HASTY);
    let mut client = world.connect();
    client.send(&chat(true));
    world.eventually("it streams", |status| status["permits"] == 1);
    client.hush();
    world.settle();
    client.rest();
    // In the middle of a head, and of a body.
    for bytes in [&chat(true)[..40], &framed("content-length: 100\r\n\r\n{")[..]] {
        let mut client = world.connect();
        client.send(bytes);
        client.hush();
        if let Some(answer) = client.answer() {
            assert_eq!(answer.status, 400, "{answer:?}");
            answer.code();
        }
    }
    let many: Vec<Client> = (0..50).map(|_| world.connect()).collect();
    drop(many);
    world.eventually("no connection is left", |status| status["connections"] == 0);
    world.end();
}

//! Endpoints that answer with anything but an answer.

use std::time::Instant as Moment;

use crate::client::{chat, code};
use crate::upstream::{Line, STREAM, TOKEN, Upstream, WHOLE, whole};
use crate::world::{SOON, World};

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// What a client is told of answers that are none.
const BROKEN: [&str; 3] = ["provider_error", "provider_stream_broken", "provider_unreachable"];

/// Heads that are none.
fn heads() -> Vec<(&'static str, Vec<u8>)> {
    let length = WHOLE.len();
    vec![
        ("garbage", b"\x16\x03\x03\x00\x2a garbage \xfe\xff\r\n\r\n".to_vec()),
        ("nothing", Vec::new()),
        ("half a status line", b"HTTP/1.1 2".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec()),
        ("no number", b"HTTP/1.1 abc OK\r\n\r\n".to_vec()),
        ("status 999", b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("status 000", b"HTTP/1.1 000 What\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("HTTP/0.9", WHOLE.as_bytes().to_vec()),
        ("HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n".to_vec()),
        (
            "a head that is too long",
            format!("{JSON}x: {}\r\n\r\n{WHOLE}", "y".repeat(300 << 10)).into_bytes(),
        ),
        (
            "too many headers",
            format!("{JSON}{}\r\n{WHOLE}", "x: y\r\n".repeat(1_000)).into_bytes(),
        ),
        (
            "two lengths",
            format!("{JSON}content-length: {length}\r\ncontent-length: 3\r\n\r\n{WHOLE}").into_bytes(),
        ),
        (
            "no length",
            format!("{JSON}content-length: many\r\n\r\n{WHOLE}").into_bytes(),
        ),
    ]
}

/// Heads that lead to no answer.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let length = WHOLE.len();
    vec![
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        (
            "204 with a body",
            format!("HTTP/1.1 204 No Content\r\ncontent-length: {length}\r\n\r\n{WHOLE}").into_bytes(),
        ),
        (
            "304 with a body",
            format!("HTTP/1.1 304 Not Modified\r\ncontent-length: {length}\r\n\r\n{WHOLE}").into_bytes(),
        ),
        (
            "a redirect",
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec(),
        ),
        (
            "101",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nbytes".to_vec(),
        ),
        (
            "gzip",
            format!("{JSON}content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\u{8}x").into_bytes(),
        ),
        (
            "a page for people",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_vec(),
        ),
        ("no JSON", format!("{JSON}content-length: 6\r\n\r\nwhat?!").into_bytes()),
        (
            "an empty answer",
            format!("{JSON}content-length: 0\r\n\r\n").into_bytes(),
        ),
        (
            "no text",
            [
                format!("{JSON}content-length: 4\r\n\r\n").as_bytes(),
                b"\xff\xfe\x00\x80",
            ]
            .concat(),
        ),
        (
            "a body of spaces",
            format!("{JSON}content-length: 1000000\r\n\r\n{}", " ".repeat(1_000_000)).into_bytes(),
        ),
        (
            "an endless number",
            format!("{JSON}\r\n{}", "1".repeat(1_000_000)).into_bytes(),
        ),
        (
            "a hundred times 100",
            [
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100).as_slice(),
                b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
            ]
            .concat(),
        ),
    ]
}

/// Streams without an event, and other bodies that lead nowhere.
fn streams() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "a stream that is none",
            format!("{STREAM}what?!\n\ndata: what?!\n\n").into_bytes(),
        ),
        ("a stream without an event", STREAM.as_bytes().to_vec()),
        (
            "a line without end",
            format!("{STREAM}data: {}", "x".repeat(5 << 20)).into_bytes(),
        ),
        (
            "comments without end",
            format!("{STREAM}{}", ": ping\n\n".repeat(100_000)).into_bytes(),
        ),
        (
            "nested for ever",
            format!("{STREAM}data: {}\n\n", "[".repeat(100_000)).into_bytes(),
        ),
        (
            "an event that is no text",
            [
                STREAM.as_bytes(),
                b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n",
            ]
            .concat(),
        ),
        (
            "500 with much to say",
            format!("HTTP/1.1 500 Oh\r\n\r\n{}", "x".repeat(1_000_000)).into_bytes(),
        ),
        (
            "half an error",
            b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n{\"error\":".to_vec(),
        ),
        (
            "chunks that are none",
            format!("{JSON}transfer-encoding: chunked\r\n\r\nzz\r\n{WHOLE}\r\n0\r\n\r\n").into_bytes(),
        ),
    ]
}

/// Answers that are none. Each is tried twice, and then the client is told; one that breaks off after its head is
/// tried again only by routes that say so.
#[test]
fn what_makes_no_sense_is_told_in_form() {
    for (name, bytes) in heads().into_iter().chain(bodies()).chain(streams()) {
        let upstream = Upstream::saying(bytes);
        let world = World::new(&[upstream.address], "");
        for stream in [false, true] {
            let before = upstream.asked();
            let mut client = world.connect();
            client.send(&chat(stream));
            let answer = client.answer().unwrap_or_else(|| panic!("{name}: closed"));
            assert_eq!(answer.status, 502, "{name}: {answer:?}");
            let code = answer.code();
            assert!(BROKEN.contains(&code.as_str()), "{name}: {code}");
            let attempts = if code == "provider_stream_broken" { 1 } else { 2 };
            assert_eq!(upstream.asked() - before, attempts, "{name}: {code}");
        }
        let log = world.access_log(2);
        assert!(log.iter().all(|line| line["status"] == 502), "{name}: {log:?}");
        assert!(
            world.most_memory() < 200 << 20,
            "{name}: {} MiB",
            world.most_memory() >> 20
        );
        world.end();
    }
}

/// What is odd, and is an answer all the same.
#[test]
fn odd_answers_are_answers() {
    let chunked = format!(
        "{JSON}transfer-encoding: chunked\r\n\r\n{:x}\r\n{WHOLE}\r\n0\r\n\r\n",
        WHOLE.len()
    );
    let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".to_vec();
    for (name, bytes) in [
        ("chunks", chunked.into_bytes()),
        ("until it closes", format!("{JSON}\r\n{WHOLE}").into_bytes()),
        (
            "HTTP/1.0",
            format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{WHOLE}").into_bytes(),
        ),
        ("no reason", whole().replacen(" OK", "", 1).into_bytes()),
        ("early hints", [&early, whole().as_bytes()].concat()),
        (
            "more than it says",
            format!("{}HTTP/1.1 200 OK\r\n\r\nsurprise", whole()).into_bytes(),
        ),
        (
            "no content type",
            whole()
                .replacen("content-type: application/json\r\n", "", 1)
                .into_bytes(),
        ),
    ] {
        let upstream = Upstream::saying(bytes);
        let world = World::new(&[upstream.address], "");
        for _ in 0..2 {
            let mut client = world.connect();
            client.send(&chat(false));
            let answer = client.answer().unwrap_or_else(|| panic!("{name}: closed"));
            assert_eq!((answer.status, answer.text().as_str()), (200, WHOLE), "{name}");
        }
        world.end();
    }
}

/// Nothing comes, or nothing that ends: the timeouts of the route say when that is enough.
#[test]
fn silence_is_not_waited_for() {
    type Script = fn(&mut Line);
    let cases: [(&str, Script, &[&str]); 4] = [
        ("nothing", |line| line.wait(), &["provider_timeout"]),
        (
            "half a head",
            |line| {
                line.say(b"HTTP/1.1 200 OK\r\nx: ");
                line.wait();
            },
            &["provider_timeout"],
        ),
        (
            "headers without end",
            |line| {
                line.say(b"HTTP/1.1 200 OK\r\n");
                while line.say(b"x-endless: 0123456789abcdef\r\n") {}
            },
            &["provider_timeout", "provider_error"],
        ),
        (
            "a head and no more",
            |line| {
                line.say(STREAM.as_bytes());
                line.wait();
            },
            &["provider_timeout"],
        ),
    ];
    for (name, script, codes) in cases {
        let upstream = Upstream::new(script);
        let world = World::impatient(&[upstream.address]);
        let began = Moment::now();
        let mut client = world.connect();
        client.send(&chat(true));
        let answer = client.answer().unwrap_or_else(|| panic!("{name}: closed"));
        assert!(codes.contains(&answer.code().as_str()), "{name}: {}", answer.text());
        assert!(began.elapsed() < SOON, "{name}");
        world.end();
    }
}

/// A stream that has begun and does not end as it should ends with an error, and without `[DONE]`.
#[test]
fn streams_that_break_off_say_so() {
    type Script = fn(&mut Line);
    let begin: Script = |line| {
        line.say(STREAM.as_bytes());
        line.say(TOKEN.repeat(3).as_bytes());
    };
    let cases: [(&str, Script); 7] = [
        ("closed", |line| line.close()),
        ("silent", |line| line.wait()),
        ("reset", |line| {
            let socket = socket2::SockRef::from(&line.stream);
            socket.set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
        }),
        ("half an event", |line| {
            line.say(b"data: {\"choices\":[{\"delta\":{\"con");
            line.close();
        }),
        ("garbage", |line| {
            line.say(b"data: what?!\n\n");
            line.wait();
        }),
        ("a line without end", |line| {
            line.say(b"data: ");
            let flood = "x".repeat(64 << 10);
            while line.say(flood.as_bytes()) {}
        }),
        ("an error of its own", |line| {
            line.say(
                b"data: {\"error\":{\"message\":\"oh\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n",
            );
            line.close();
        }),
    ];
    for (name, script) in cases {
        let upstream = Upstream::new(move |line| {
            begin(line);
            script(line);
            // Whoever reset it has only to let go of it.
            line.stream = std::net::TcpStream::connect(dead_end()).expect("somebody listens");
            line.close();
        });
        let world = World::impatient(&[upstream.address]);
        let mut client = world.connect();
        client.send(&chat(true));
        let answer = client.answer().unwrap_or_else(|| panic!("{name}: closed"));
        let text = answer.text();
        assert!(answer.status == 200 && answer.is_whole, "{name}: {answer:?}");
        assert_eq!(text.matches("\"word\"").count(), 3, "{name}: {text}");
        assert!(!text.contains("[DONE]"), "{name}: {text}");
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let last = last.strip_prefix("data: ").unwrap_or_else(|| panic!("{name}: {text}"));
        code(&serde_json::from_str(last).unwrap_or_else(|_| panic!("{name}: {last}")));
        assert_eq!(
            upstream.asked(),
            1,
            "{name}: nothing is tried again once a token was sent"
        );
        assert!(
            world.most_memory() < 200 << 20,
            "{name}: {} MiB",
            world.most_memory() >> 20
        );
        world.end();
    }
}

/// A socket that somebody listens at, for as long as the tests run.
fn dead_end() -> std::net::SocketAddr {
    static LISTENER: std::sync::OnceLock<std::net::TcpListener> = std::sync::OnceLock::new();
    let listener = LISTENER.get_or_init(|| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listener.local_addr().expect("it is bound")
}

/// An answer that comes whole and is shorter than it says is no answer: the client hears of it by how it ends.
#[test]
fn answers_that_break_off_are_not_whole() {
    let upstream = Upstream::new(|line| {
        line.say(format!("{JSON}content-length: 10000\r\n\r\n{}", &WHOLE[..60]).as_bytes());
        line.close();
    });
    let world = World::new(&[upstream.address], "");
    let mut client = world.connect();
    client.send(&chat(false));
    let answer = client.answer();
    assert!(answer.is_none_or(|answer| answer.status == 502 || !answer.is_whole));
    world.end();
}

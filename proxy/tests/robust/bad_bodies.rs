//! Bodies of requests that are wrong, too many or too much.

use std::time::Instant as Moment;

use crate::client::{Client, body, chat, framed, post};
use crate::upstream::{Upstream, whole};
use crate::world::{KEY, PROMPT, World};

/// An endpoint that answers as it should, and a gateway before it.
fn good(more: &str) -> (Upstream, World) {
    let upstream = Upstream::new(|line| {
        line.say(whole().as_bytes());
    });
    let world = World::new(&[upstream.address], more);
    (upstream, world)
}

#[test]
fn wrong_bodies_are_told_apart() {
    let (upstream, world) = good("");
    let nested = |depth: usize| {
        format!(
            r#"{{"model":"m","messages":{}1{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let mut client = world.connect();
    for (wrong, codes) in [
        (String::new(), &["empty_body"][..]),
        ("{".to_owned(), &["invalid_json"]),
        (format!(r#"{{"model":"{PROMPT}""#), &["invalid_json"]),
        (format!(r#"{{"model":"m","messages":[{PROMPT}]}}"#), &["invalid_json"]),
        ("[]".to_owned(), &["invalid_type"]),
        ("nul".to_owned(), &["invalid_json"]),
        ("\u{feff}{}".to_owned(), &["invalid_encoding"]),
        (nested(100), &["invalid_json", "invalid_type", "invalid_value"]),
        (nested(1_000_000), &["invalid_json", "invalid_type", "invalid_value"]),
        ("[".repeat(4 << 20), &["invalid_json", "invalid_type"]),
        (r#"{"a":"#.repeat(1 << 20), &["invalid_json"]),
        (body(true).replace("\"m\"", "7"), &["invalid_type"]),
        (body(true).replace("100", "-1"), &["invalid_value", "invalid_type"]),
        (
            body(true).replace("100", "1e400"),
            &["invalid_value", "invalid_type", "invalid_json"],
        ),
        (
            body(true).replace("100", "99999999999999999999"),
            &["invalid_value", "invalid_type"],
        ),
        (
            body(true).replace("\"m\"", "\"m\",\"model\":\"n\""),
            &["duplicate_parameter"],
        ),
        (r#"{"model":"m"}"#.to_owned(), &["missing_required_parameter"]),
        (r#"{"messages":[]}"#.to_owned(), &["missing_required_parameter"]),
    ] {
        let shown: String = wrong.chars().take(80).collect();
        assert!(client.send(&post(&wrong, "")), "{shown}");
        let answer = client.answer().expect(&shown);
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        assert!(codes.contains(&answer.code().as_str()), "{shown}: {}", answer.text());
        assert!(answer.body.len() < 2_000, "{shown}: an error is short");
    }
    // No bytes at all that are text.
    let mut bytes = framed("content-length: 6\r\n\r\n");
    bytes.extend_from_slice(b"\xff\xfe\x00\x80{}");
    client.send(&bytes);
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_encoding"));
    // The same connection is as good as before.
    client.send(&chat(false));
    assert_eq!(client.answer().expect("an answer").status, 200);
    assert_eq!(upstream.asked(), 1, "nothing wrong goes on");
    // What nobody here reads goes on as it is, however deep.
    let (open, close) = (r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let deep = body(false).replacen('{', &format!(r#"{{"x":{open}1{close},"#), 1);
    client.send(&post(&deep, ""));
    assert_eq!(client.answer().expect("an answer").status, 200);
    world.end();
}

#[test]
fn whoever_asks_for_what_is_not_there_is_told() {
    let (upstream, world) = good("");
    let mut client = world.connect();
    let key = format!("Bearer {KEY}");
    let ask = |body: &str, from: &str, to: &str| {
        let text = String::from_utf8(post(body, "")).expect("text").replacen(from, to, 1);
        text.into_bytes()
    };
    let plain = body(false);
    let unknown = plain.replace("\"m\"", "\"unknown\"");
    for (request, status, code) in [
        (ask(&unknown, "", ""), 404, "model_not_found"),
        (ask(&plain, &key, "Bearer sk-nobody-knows"), 401, "invalid_api_key"),
        (ask(&plain, &key, ""), 401, "invalid_api_key"),
        (ask(&plain, &key, "Basic x"), 401, "invalid_api_key"),
        (ask(&plain, &key, &"Bearer x".repeat(1_000)), 401, "invalid_api_key"),
        (
            ask(&plain, "application/json", "text/plain"),
            415,
            "unsupported_media_type",
        ),
        (
            ask(&plain, "application/json", "application/x-www-form-urlencoded"),
            415,
            "unsupported_media_type",
        ),
        (
            ask(&plain, "application/json", "application/json\r\ncontent-encoding: gzip"),
            415,
            "unsupported_media_type",
        ),
        (
            ask(&plain, "/v1/chat/completions", "/v1/chat/completion"),
            404,
            "not_found",
        ),
        (
            ask(&plain, "/v1/chat/completions", "/v1/../v1/chat/completions"),
            404,
            "not_found",
        ),
        (
            ask(&plain, "/v1/chat/completions", "/v1//chat/completions"),
            404,
            "not_found",
        ),
        (ask(&plain, "POST", "PUT"), 405, "method_not_allowed"),
        (ask(&plain, "POST", "BREW"), 405, "method_not_allowed"),
        (ask(&plain, "POST", "GET"), 405, "method_not_allowed"),
    ] {
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        client.send(&request);
        let Some(answer) = client.answer() else {
            panic!("{shown}: closed");
        };
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{shown}");
        if answer.has("connection: close") {
            client = world.connect();
        }
    }
    assert_eq!(upstream.asked(), 0);
    world.end();
}

#[test]
fn a_body_that_is_too_large_is_not_read() {
    let (_upstream, world) = good("");
    // It is refused as soon as it is announced.
    let mut client = world.connect();
    client.send(&framed("content-length: 104857600\r\n\r\n{"));
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    client.rest();
    // More than any number can say.
    let mut client = world.connect();
    client.send(&framed("content-length: 99999999999999999999999\r\n\r\n{"));
    assert_eq!(client.answer().expect("an answer").status, 400);
    client.rest();
    world.end();
}

#[test]
fn bodies_without_end_are_given_up() {
    let (_upstream, world) = good("");
    let before = world.memory();
    let flood = |count: usize| {
        let began = Moment::now();
        let clients: Vec<_> = (0..count)
            .map(|_| {
                let address = world.address;
                std::thread::spawn(move || {
                    let mut client = Client::connect(address);
                    client.send(&framed("transfer-encoding: chunked\r\n\r\n"));
                    let mut chunk = b"10000\r\n".to_vec();
                    chunk.resize(chunk.len() + (64 << 10), b'x');
                    chunk.extend_from_slice(b"\r\n");
                    // 100 MiB, or as much as is taken.
                    let sent = (0..1_600).take_while(|_| client.send(&chunk)).count();
                    (client.answer(), sent)
                })
            })
            .collect();
        let mut told = 0;
        for client in clients {
            let (answer, sent) = client.join().expect("no panic");
            // A client that goes on writing may lose the answer to the reset that stops it.
            if let Some(answer) = answer {
                assert!([413, 503].contains(&answer.status), "{}", answer.text());
                answer.code();
                told += 1;
            }
            assert!(sent < 1_600, "all of it was taken, in {:?}", began.elapsed());
        }
        told
    };
    flood(8);
    flood(8);
    let most = world.most_memory() - before;
    // 8 MiB each, while a vector grows twice that; nothing like the 800 MiB that were sent.
    assert!(most < 300 << 20, "{} MiB for eight bodies of 8 MiB at most", most >> 20);
    world.end();
}

#[test]
fn bodies_together_are_bounded() {
    let (_upstream, world) = good("[limits]\nmax_body = \"1MiB\"\nmax_buffered = \"4MiB\"\n");
    // Nine clients send most of a body each, and wait.
    let mut clients: Vec<Client> = (0..9).map(|_| world.connect()).collect();
    for client in &mut clients[..4] {
        client.send(&framed("content-length: 1000000\r\n\r\n"));
        client.send(&vec![b' '; 999_000]);
    }
    world.eventually("four bodies are held", |status| status["buffered_bytes"] == 4 * 999_000);
    for client in &mut clients[4..] {
        client.send(&framed("content-length: 1000000\r\n\r\n"));
        client.send(&vec![b' '; 999_000]);
        let answer = client.answer().expect("an answer");
        assert_eq!((answer.status, answer.code().as_str()), (503, "server_is_overloaded"));
    }
    // Those that hold some go on, or go.
    let (first, others) = clients.split_first_mut().expect("there are nine");
    first.send(&vec![b' '; 1_000]);
    let answer = first.answer().expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.text());
    for client in &mut others[..3] {
        client.hush();
    }
    drop(clients);
    world.end();
}

//! Clients that take their time: to ask, and to listen.

use std::time::{Duration, Instant as Moment};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::client::{Client, body, chat, framed};
use crate::soak::two_routes;
use crate::upstream::{DONE, STREAM, TOKEN, Upstream, whole};
use crate::world::{KEY, SOON, World};

#[test]
fn slow_requests_are_given_up() {
    let upstream = Upstream::new(|line| {
        line.say(whole().as_bytes());
    });
    let world = World::new(
        &[upstream.address],
        "[limits]\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"\nidle_timeout = \"300ms\"\n",
    );
    // A byte of the headers at a time, and then of the body.
    let mut slow: Vec<Client> = (0..100).map(|_| world.connect()).collect();
    let head = chat(false);
    let began = Moment::now();
    let mut byte = 0;
    loop {
        let alive = slow
            .iter_mut()
            .filter_map(|client| client.send(&head[byte..=byte]).then_some(()))
            .count();
        byte += 1;
        if alive == 0 || byte == 100 {
            break;
        }
        assert!(began.elapsed() < SOON, "{alive} still send");
        // As long as a slow client waits: what is tested is that nobody waits for it.
        std::thread::park_timeout(Duration::from_millis(10));
    }
    for client in &mut slow {
        assert!(client.answer().is_none(), "a head that does not come is not answered");
    }
    // A body that stops is answered.
    let mut client = world.connect();
    client.send(&framed("content-length: 100\r\n\r\n{"));
    let answer = client.answer().expect("an answer");
    assert_eq!((answer.status, answer.code().as_str()), (408, "request_timeout"));
    // Connections that ask for nothing.
    let mut idle = world.connect();
    idle.send(&chat(false));
    assert_eq!(idle.answer().expect("an answer").status, 200);
    assert!(idle.rest().is_empty());
    assert!(world.connect().rest().is_empty());
    world.eventually("no connection is left", |status| status["connections"] == 0);
    world.end();
}

/// An endpoint that streams for ever.
fn endless() -> Upstream {
    Upstream::new(|line| {
        line.say(STREAM.as_bytes());
        let tokens = TOKEN.repeat(100);
        while line.say(tokens.as_bytes()) {}
    })
}

#[test]
fn a_client_that_stops_reading_is_given_up() {
    let upstream = endless();
    let world = World::new(&[upstream.address], "[limits]\nwrite_timeout = \"500ms\"\n");
    let mut clients: Vec<Client> = (0..4).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.send(&chat(true));
    }
    world.eventually("they all stream", |status| status["permits"] == 4);
    // Nobody reads a byte. The route would allow 20 seconds.
    let began = Moment::now();
    world.settle();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    world.eventually("no connection is left", |status| status["connections"] == 0);
    let log = world.access_log(4);
    assert!(log.iter().all(|line| line["status"] == 499), "{log:?}");
    world.end();
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    let upstream = Upstream::new(|line| {
        line.say(STREAM.as_bytes());
        for _ in 0..400 {
            line.say(TOKEN.repeat(100).as_bytes());
        }
        line.say(DONE.as_bytes());
        line.close();
    });
    let world = World::new(&[upstream.address], "[limits]\nwrite_timeout = \"500ms\"\n");
    let mut client = world.connect();
    client.send(&chat(true));
    let mut taken = 0;
    while taken < 40 {
        assert!(client.more(), "it is cut off after {taken} reads");
        taken += 1;
        // As long as a slow client takes: what is tested is that it is waited for.
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let answer = client.answer().expect("an answer");
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"));
    world.end();
}

/// Over HTTP/2 the window of one stream may be closed, while the connection and the others on it are well.
#[test]
fn a_stream_that_nobody_reads_is_given_up() {
    let endless = endless();
    let plain = Upstream::new(|line| {
        line.say(whole().as_bytes());
    });
    let world = World::with(
        &two_routes(plain.address, endless.address),
        "[limits]\nwrite_timeout = \"500ms\"\n",
    );
    crate::mock::runtime().block_on(async {
        let stream = tokio::net::TcpStream::connect(world.address)
            .await
            .expect("somebody listens");
        let mut http = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        http.initial_stream_window_size(1_000);
        let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await.expect("it speaks HTTP/2");
        tokio::spawn(connection);
        let ask = |body: String| {
            let request = http::Request::post("http://gateway/v1/chat/completions")
                .header("authorization", format!("Bearer {KEY}"))
                .header("content-type", "application/json");
            request.body(Full::<Bytes>::from(body)).expect("a request")
        };
        let unread = sender.send_request(ask(body(true).replace("\"m\"", "\"endless\"")));
        let unread = unread.await.expect("an answer");
        assert_eq!(unread.status(), 200);
        world.settle();
        let answer = sender.send_request(ask(body(false))).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.expect("all of it");
        assert!(unread.into_body().collect().await.is_err(), "it is not the whole");
    });
    world.end();
}

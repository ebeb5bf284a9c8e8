//! What only a connection can do, over sockets of this machine and in real time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tollgate_core::time::{self, Nanos};
use tollgate_mock_llm::clock::SystemClock;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, FaultKind, FaultSpec, Kind};
use tollgate_mock_llm::server::{Fault, MockServer, Stats, WireFault, WireKind};

use crate::world::constant;

/// A server on a port of its own, on a thread of its own.
struct Host {
    server: MockServer,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Host {
    /// With a millisecond to the first token and one to each further.
    fn new() -> Host {
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let api = ApiSpec::new(constant(0.001), constant(0.001));
                let builder = MockServer::builder(BackendSpec::new("alpha", Kind::Api(api)));
                let server = builder.clock(Arc::new(SystemClock::new())).start().expect("in range");
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("bound");
                send.send((server.clone(), address)).expect("somebody waits");
                server.listen(listener).await;
            });
        });
        let (server, address) = receive.recv().expect("it starts");
        Host {
            server,
            address,
            thread: Some(thread),
        }
    }

    fn with(kind: WireKind) -> Host {
        let host = Host::new();
        let fault = WireFault {
            kind,
            share: 1.0,
            at: time::Instant::EPOCH,
            lasts: Nanos::FOREVER,
        };
        host.server.inject(Fault::Wire(fault)).expect("in range");
        host
    }

    /// Sends a request, and what came before it ended.
    fn ask(&self, request: &str) -> Came {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it is taken");
        Came::from(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("somebody listens");
        // Long enough for whatever comes at all, even on a machine that is very busy.
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket");
        stream
    }

    fn wait_for(&self, what: impl Fn(&Stats) -> bool) {
        let began = Instant::now();
        while !what(&self.server.stats()) {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.server.stats());
            std::thread::yield_now();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// The bytes of a connection, and how it ended.
#[derive(Debug)]
struct Came {
    bytes: Vec<u8>,
    end: Option<ErrorKind>,
}

impl Came {
    fn from(stream: &mut TcpStream) -> Came {
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
        Came { bytes, end }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn body(&self) -> Vec<u8> {
        let end = self
            .bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        self.bytes[end + 4..].to_vec()
    }
}

/// A request of `tokens` tokens, after which the connection may be closed.
fn chat(tokens: u32, stream: bool) -> String {
    let body = format!(r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: mock\r\nconnection: close\r\nx-mock-output-tokens: {tokens}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_socket_is_answered() {
    let host = Host::new();
    let came = host.ask(&chat(5, true));
    assert_eq!(came.end, None);
    assert!(came.text().starts_with("HTTP/1.1 200 OK\r\n") && came.text().contains("data: [DONE]\n\n"));
    assert!(
        !came.text().contains("\r\ndate:"),
        "no date, so that the same seed gives the same bytes"
    );
}

#[test]
fn a_reset_comes_before_the_head() {
    let host = Host::with(WireKind::Reset { after: None });
    let came = host.ask(&chat(5, false));
    assert_eq!((came.bytes.len(), came.end), (0, Some(ErrorKind::ConnectionReset)));
    host.wait_for(|stats| stats.requests["POST /v1/chat/completions"]["reset"] == 1 && stats.connections == 0);
    assert!(host.server.stats().attempts.is_empty(), "the backend never heard of it");
}

#[test]
fn a_reset_comes_in_the_middle() {
    let host = Host::with(WireKind::Reset { after: Some(100) });
    for stream in [true, false] {
        let came = host.ask(&chat(50, stream));
        assert_eq!(
            (came.body().len(), came.end),
            (100, Some(ErrorKind::ConnectionReset)),
            "{came:?}"
        );
    }
}

#[test]
fn a_connection_is_closed_in_the_middle() {
    let host = Host::with(WireKind::Truncate { after: 100 });
    for stream in [true, false] {
        let came = host.ask(&chat(50, stream));
        assert_eq!((came.body().len(), came.end), (100, None), "{came:?}");
    }
}

#[test]
fn an_answer_hangs_until_the_client_goes() {
    let host = Host::with(WireKind::Hang { after: 10 });
    let mut stream = host.connect();
    stream.write_all(chat(50, true).as_bytes()).expect("it is taken");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    stream.read_exact(&mut [0; 10]).expect("ten bytes");
    // Whatever the backend says, no further byte comes.
    host.wait_for(|stats| stats.jobs == 0);
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a socket");
    let more = stream.read(&mut byte).expect_err("nothing more");
    assert!(
        matches!(more.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{more}"
    );
    assert_eq!(host.server.stats().connections, 1);
    drop(stream);
    host.wait_for(|stats| stats.connections == 0);
}

#[test]
fn a_body_trickles() {
    let every = Nanos::from_millis(2);
    let host = Host::with(WireKind::SlowBody { bytes: 50, every });
    let began = Instant::now();
    let came = host.ask(&chat(50, false));
    assert_eq!(came.end, None);
    let pieces = u32::try_from(came.body().len() / 50).expect("few");
    assert!(8 <= pieces && Duration::from_millis(2) * (pieces - 1) <= began.elapsed());
}

#[test]
fn what_comes_is_not_http() {
    let host = Host::with(WireKind::Garbage);
    let came = host.ask(&chat(5, false));
    assert_eq!(came.end, None);
    assert!(!came.bytes.is_empty() && !came.bytes.starts_with(b"HTTP"));
    host.wait_for(|stats| stats.requests["POST /v1/chat/completions"]["garbage"] == 1);
}

#[test]
fn headers_never_end() {
    let host = Host::with(WireKind::EndlessHeaders);
    let mut stream = host.connect();
    stream.write_all(chat(5, false).as_bytes()).expect("it is taken");
    let mut bytes = vec![0; 1 << 20];
    stream.read_exact(&mut bytes).expect("a mebibyte of headers");
    let text = String::from_utf8(bytes).expect("text");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\nx-endless: ") && !text.contains("\r\n\r\n"));
    drop(stream);
    host.wait_for(|stats| stats.connections == 0);
}

#[test]
fn a_refusing_backend_resets() {
    let host = Host::new();
    let mut stands = host.connect();
    // The server has taken it once it counts it.
    host.wait_for(|stats| stats.connections == 1);
    let fault = FaultSpec::new(FaultKind::ConnectionRefused, time::Instant::EPOCH, Nanos::FOREVER);
    host.server
        .inject(Fault::Model(fault.expect("in range")))
        .expect("in range");
    stands.write_all(chat(5, false).as_bytes()).expect("it is taken");
    let came = Came::from(&mut stands);
    assert_eq!(
        (came.bytes.len(), came.end),
        (0, Some(ErrorKind::ConnectionReset)),
        "a connection that stood"
    );

    let (spoke, silent) = (host.ask(&chat(5, false)), Came::from(&mut host.connect()));
    for came in [spoke, silent] {
        let reset = (0, Some(ErrorKind::ConnectionReset));
        assert_eq!((came.bytes.len(), came.end), reset, "a new connection");
    }

    // Whoever has ordered it is let in, to end it.
    let clear = "DELETE /mock/faults HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n";
    assert!(host.ask(clear).text().starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(host.ask(&chat(5, false)).end, None);
}

#[test]
fn heads_have_bounds() {
    let host = Host::new();
    let mut many = String::from("GET /health HTTP/1.1\r\nhost: mock\r\n");
    many.extend((0..200).map(|number| format!("x-{number}: y\r\n")));
    let long = format!("GET /health HTTP/1.1\r\nhost: mock\r\nx: {}\r\n", "y".repeat(200 << 10));
    for head in [many, long] {
        let mut stream = host.connect();
        // It may be refused before all of it was sent.
        let _early = stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
        let came = Came::from(&mut stream);
        assert!(
            came.bytes.is_empty() || came.text().starts_with("HTTP/1.1 431 "),
            "{}",
            came.text()
        );
    }
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let came = host.ask(nonsense);
        assert!(came.text().starts_with("HTTP/1.1 400 "), "{}", came.text());
    }
    host.wait_for(|stats| stats.connections == 0);
}

#[test]
fn connections_are_kept_and_faults_are_not() {
    let host = Host::with(WireKind::SlowBody {
        bytes: 1 << 20,
        every: Nanos::from_millis(1),
    });
    let mut stream = host.connect();
    let kept = |text: String| text.replace("connection: close\r\n", "");
    stream.write_all(kept(chat(5, false)).as_bytes()).expect("it is taken");
    let mut first = [0; 15];
    stream.read_exact(&mut first).expect("an answer");
    host.server.clear();
    stream.write_all(chat(5, false).as_bytes()).expect("it is taken");
    let came = Came::from(&mut stream);
    assert_eq!(came.end, None);
    assert!(came.text().contains("HTTP/1.1 200 OK\r\n"), "the second answer");
    assert_eq!(host.server.stats().requests["POST /v1/chat/completions"]["200"], 2);
}

//! The process from outside: what connections may do, what the admin address says, what is answered in form.

mod process;
#[path = "../../tests/skip/mod.rs"]
mod skip;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tollgate_core::time::Nanos;
use tollgate_proxy::settings::{Settings, Tls, Token};

use self::process::{Process, ask, connect, converse, settings};

/// Everything that comes until the other side closes, and how long that took.
fn rest(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout that is not 0");
    let mut text = Vec::new();
    // A reset is an end, too.
    let _reset = stream.read_to_end(&mut text);
    (String::from_utf8_lossy(&text).into_owned(), began.elapsed())
}

/// A connection to `address` that sends `bytes` and waits for the end.
fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("it listens");
    rest(stream).0
}

#[test]
fn a_slow_loris_is_cut_off() {
    let mut settings = settings();
    settings.limits.header_timeout = Nanos::from_millis(300);
    settings.limits.idle_timeout = Nanos::from_secs(20);
    let (process, _runs) = Process::start(settings);
    // It says nothing, it begins, it begins after a whole request.
    let silent = connect(process.address);
    let mut slow = connect(process.address);
    slow.write_all(b"GET /healthz HT").expect("it listens");
    let mut later = connect(process.address);
    later
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("it listens");
    let mut answer = [0; 12];
    later.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
    later.write_all(b"GET /hea").expect("it listens");
    for stream in [silent, slow, later] {
        let (_, took) = rest(stream);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn idle_connections_are_closed() {
    let mut settings = settings();
    settings.limits.header_timeout = Nanos::from_secs(20);
    settings.limits.idle_timeout = Nanos::from_millis(300);
    let (process, _runs) = Process::start(settings);
    let mut idle = connect(process.address);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .expect("it listens");
    let (text, took) = rest(idle);
    assert!(
        text.ends_with("ok\n") && took < Duration::from_secs(10),
        "{text} {took:?}"
    );
}

#[test]
fn what_is_no_http_is_answered_in_form() {
    let (process, _runs) = Process::start(settings());
    let long = "a".repeat(40_000);
    let many = "x: y\r\n".repeat(200);
    for (request, status, code) in [
        ("NONSENSE\r\n\r\n".to_owned(), 400, "malformed_request"),
        (
            "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
            400,
            "malformed_request",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
            431,
            "headers_too_large",
        ),
    ] {
        let answer = send(process.address, request.as_bytes());
        let shown = &request[..request.len().min(40)];
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown:?}: {answer}"
        );
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let json: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{shown:?}: {error}: {answer}"));
        assert_eq!(json["error"]["code"], code);
        assert!(
            answer.contains("\r\nx-request-id: ") && answer.contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
    }
    let status: Value = serde_json::from_str(&ask(process.admin, "/status", "").1).expect("JSON");
    assert_eq!(status["in_flight"], 0);
}

#[test]
fn too_many_connections_are_told_so() {
    let mut settings = settings();
    settings.limits.max_connections = NonZeroU32::new(2).expect("not 0");
    let (process, _runs) = Process::start(settings);
    let healthy = |stream: &mut TcpStream| {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .expect("it listens");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    };
    let mut first = connect(process.address);
    let mut second = connect(process.address);
    healthy(&mut first);
    healthy(&mut second);
    let answer = send(process.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("server_is_overloaded"),
        "{answer}"
    );
    // The watch is kept beside clients.
    assert_eq!(ask(process.admin, "/healthz", "").0, 200);
    drop(first);
    let began = Instant::now();
    while ask(process.address, "/healthz", "").0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "no place comes back");
    }
    let metrics = ask(process.admin, "/metrics", "").1;
    assert!(
        !metrics.contains("tollgate_connections_refused_total{why=\"full\"} 0"),
        "{metrics}"
    );
}

#[test]
fn the_admin_address_shows_what_goes_on() {
    let (process, _runs) = Process::start(settings());
    let (status, answer) = converse(process.address, false).expect("it is answered");
    assert_eq!(status, 200, "{answer}");
    let (code, text) = ask(process.admin, "/status", "");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, 200);
    for zero in ["in_flight", "permits", "reservations", "queue", "buffered_bytes"] {
        assert_eq!(json[zero], 0, "{zero}");
    }
    assert_eq!(json["routes"][0]["completed"], 1);
    assert_eq!(json["endpoints"][0]["circuit"], "closed");
    let page = ask(process.admin, "/", "").1;
    assert!(
        page.contains("<td>alpha</td>") && page.contains("http-equiv=\"refresh\""),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("src="));
    let metrics = ask(process.admin, "/metrics", "").1;
    assert!(
        metrics.contains("tollgate_requests_total{route=\"all\",end=\"completed\"} 1\n"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(ask(process.admin, "/readyz", "").0, 200);
    assert_eq!(ask(process.admin, "/nothing", "").0, 404);
    // Nothing of it is told to clients.
    for path in ["/status", "/metrics", "/"] {
        assert_eq!(ask(process.address, path, "").0, 404, "{path}");
    }
}

#[test]
fn a_token_is_asked_for() {
    let token = "0123456789abcdef";
    let (process, _runs) = Process::start(Settings {
        admin_token: Some(Token(token.to_owned())),
        ..settings()
    });
    for path in ["/", "/status", "/metrics", "/nothing"] {
        assert_eq!(ask(process.admin, path, "").0, 401, "{path}");
        assert_eq!(
            ask(process.admin, path, "authorization: Bearer 0123456789abcdeg\r\n").0,
            401,
            "{path}"
        );
    }
    assert_eq!(
        ask(process.admin, "/status", &format!("authorization: Bearer {token}\r\n")).0,
        200
    );
    assert_eq!(ask(process.admin, "/readyz", "").0, 200);
}

/// Clients are spoken to under the certificate; whoever does not speak TLS is not heard.
#[test]
fn certificates_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
        ])
        .args([file("key.pem"), "-out".into(), file("cert.pem")])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return skip::skip("openssl is not here to make a certificate");
    }
    let mut settings = settings();
    settings.limits.header_timeout = Nanos::from_secs(2);
    settings.tls = Some(Tls {
        cert: file("cert.pem"),
        key: file("key.pem"),
    });
    let (process, _runs) = Process::start(settings);

    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(file("cert.pem")).expect("a certificate");
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, connect(process.address));
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"),
        "{answer}"
    );

    let plain = send(process.address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let metrics = ask(process.admin, "/metrics", "").1;
    assert!(
        metrics.contains("tollgate_connections_refused_total{why=\"handshake\"} 1\n"),
        "{metrics}"
    );
}

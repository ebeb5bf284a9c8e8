//! A gateway that serves at a free port, over a mock backend.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tollgate_core::policy::file;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::Gateway;
use tollgate_proxy::clock::{Clock, SystemClock};
use tollgate_proxy::observe::Observer;
use tollgate_proxy::server::{Ended, Server};
use tollgate_proxy::settings::Settings;

/// A gateway that serves, to the end of the process or until a signal comes.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Settings with ports that nobody else has, and a clock that runs fast.
pub(crate) fn settings() -> Settings {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        listen: vec![any],
        admin: any,
        threads: NonZeroU16::new(2),
        time_scale: 20.0,
        ..Settings::default()
    }
}

impl Process {
    /// A gateway that serves, and the thread that runs it.
    pub(crate) fn start(settings: Settings) -> (Process, JoinHandle<Ended>) {
        let clock = SystemClock::scaled(settings.time_scale).expect("in range");
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let backend = backend(Arc::clone(&clock));
        let text = format!(
            "[[pool]]\nname = \"chat\"\n[[pool.endpoint]]\nname = \"alpha\"\nurl = \"http://{backend}/v1\"\n\
             [[route]]\nname = \"all\"\npools = [\"chat\"]\n"
        );
        let (policy, _) = file::read("policy.toml", &text).expect("a good policy");
        let observer = Observer::with_logs(&policy, &settings, &clock).expect("logs");
        let gateway = Gateway::builder(policy)
            .settings(settings)
            .clock(clock)
            .observer(Arc::new(observer))
            .build()
            .expect("it can serve");
        let server = Server::bind(gateway).expect("free ports");
        let (address, admin) = (server.addresses()[0], server.admin_address());
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            let ready = || sender.send(()).expect("the test waits");
            server.run(ready).expect("nothing is refused")
        });
        receiver.recv().expect("it begins");
        (Process { address, admin }, thread)
    }
}

/// Where a mock backend is.
fn backend(clock: Arc<dyn Clock>) -> SocketAddr {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let api = ApiSpec::profile("gpt-4o-mini").expect("a known name");
            let server = MockServer::builder(BackendSpec::new("alpha", Kind::Api(api))).clock(clock);
            let server = server.start().expect("in range");
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.expect("a free port");
            sender
                .send(listener.local_addr().expect("it is bound"))
                .expect("the test waits");
            server.listen(listener).await;
        });
    });
    receiver.recv().expect("it begins")
}

/// A connection to `address`.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("it listens")
}

/// The status and the body of what is at `path`.
pub(crate) fn ask(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    exchange(connect(address), &request).expect("it is answered")
}

/// A question over a connection of its own.
pub(crate) fn converse(address: SocketAddr, stream: bool) -> std::io::Result<(u16, String)> {
    let body = format!(
        "{{\"model\": \"m\", \"stream\": {stream}, \"max_tokens\": 200, \"messages\": [{{\"role\": \"user\", \"content\": \
         \"Hello\"}}]}}"
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-mock-output-tokens: 200\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(TcpStream::connect(address)?, &request)
}

fn exchange(mut stream: TcpStream, request: &str) -> std::io::Result<(u16, String)> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {answer:?}")))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}

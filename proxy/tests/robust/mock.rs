//! Mock backends on sockets, all on one thread of this process.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant as Moment;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock, SystemClock};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::{Fault, MockServer, WireFault, WireKind};

use crate::world::SOON;

/// A mock backend that can be killed.
pub(crate) struct Mock {
    pub(crate) server: MockServer,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<dyn Clock>,
    serving: Mutex<JoinHandle<()>>,
}

impl Mock {
    /// A backend with `ttft` to the first token and `tpot` from one to the next, in seconds.
    pub(crate) fn new(name: &str, ttft: f64, tpot: f64) -> Mock {
        let constant = |secs| Distribution::constant(secs).expect("in range");
        let spec = BackendSpec::new(name, Kind::Api(ApiSpec::new(constant(ttft), constant(tpot))));
        let _within = runtime().enter();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let server = MockServer::builder(spec).clock(Arc::clone(&clock)).start();
        let server = server.expect("in range");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Mock {
            address: listener.local_addr().expect("it is bound"),
            serving: Mutex::new(listen(&server, listener)),
            server,
            clock,
        }
    }

    /// Closes its socket and all its connections, as the end of a process does.
    pub(crate) fn kill(&self) {
        self.serving.lock().expect("no panic").abort();
    }

    /// Takes connections again, at the same address.
    pub(crate) fn revive(&self) {
        let began = Moment::now();
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(began.elapsed() < SOON, "{error}"),
            }
            std::thread::yield_now();
        };
        let _within = runtime().enter();
        *self.serving.lock().expect("no panic") = listen(&self.server, listener);
    }

    /// From now on all its answers meet this, until it is cleared.
    pub(crate) fn spoil(&self, kind: WireKind) {
        let fault = WireFault {
            kind,
            share: 1.0,
            at: Instant::EPOCH,
            lasts: Nanos::FOREVER,
        };
        self.server.inject(Fault::Wire(fault)).expect("in range");
    }
}

fn listen(server: &MockServer, listener: TcpListener) -> JoinHandle<()> {
    listener.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
    let server = server.clone();
    tokio::spawn(async move { server.listen(listener).await })
}

/// The runtime of all mock backends, on a thread of its own.
pub(crate) fn runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    })
}

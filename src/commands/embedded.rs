//! What `tollgate serve` serves without a policy: the backends of `tollgate mock` in this process, and a shipped policy
//! over them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::net::TcpListener;
use tollgate_core::dice::Dice;
use tollgate_core::policy::Policy;
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::clock::Clock;

use super::{files, mock};
use crate::error::Failure;
use crate::shipped;

/// The policy over the backends.
const POLICY: &str = "demo";

/// The model that the policy calls by name.
const MODEL: &str = "gpt-4o-mini";

/// Backends that run as long as the process does.
pub(crate) struct Embedded {
    backends: Vec<(String, SocketAddr)>,
}

impl Embedded {
    /// Starts the backends, each at a free port of loopback.
    pub(crate) fn start(clock: &Arc<dyn Clock>, seed: Option<u64>) -> Result<Embedded, Failure> {
        let (sender, receiver) = channel();
        let clock = Arc::clone(clock);
        let thread = std::thread::Builder::new().name("mock".to_owned());
        let started = thread.spawn(move || {
            let told = sender.clone();
            if let Err(error) = serve(&clock, seed.unwrap_or(1), &told) {
                // Whoever has gone by now has no use for the backends either.
                let _gone = sender.send(Err(error));
            }
        });
        started.map_err(|error| unstarted(&error))?;
        match receiver.recv() {
            Ok(Ok(backends)) => Ok(Embedded { backends }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(unstarted(&"their thread has ended")),
        }
    }

    /// The shipped policy, with the addresses of the backends.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        let shipped = shipped::POLICIES.iter().find(|shipped| shipped.name == POLICY);
        let mut policy = files::read_policy(&files::shipped(shipped.expect("it is shipped")))?;
        for endpoint in &mut policy.endpoints {
            let backend = self.backends.iter().find(|(name, _)| endpoint.name == *name);
            endpoint.url = backend.map(|(_, address)| format!("http://{address}/v1"));
        }
        Ok(policy)
    }

    /// What to do next, for whoever has just started it.
    pub(crate) fn invitation(&self, address: SocketAddr, is_tls: bool) -> String {
        let scheme = if is_tls { "https" } else { "http" };
        let names: Vec<&str> = self.backends.iter().map(|(name, _)| name.as_str()).collect();
        // Of all addresses of a machine, this one is surely reached.
        let reached = if address.ip().is_unspecified() {
            SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
        } else {
            address
        };
        format!(
            "There is no policy, so the shipped one called `{POLICY}` is served over mock backends in this process: {}.\n\
             Ask it something:\n\n  \
             curl {scheme}://{reached}/v1/chat/completions -H 'content-type: application/json' \\\n    \
             -d '{{\"model\": \"{MODEL}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n\n\
             Any client of an OpenAI-style API will do: OPENAI_BASE_URL={scheme}://{reached}/v1 OPENAI_API_KEY=any",
            names.join(" and ")
        )
    }
}

/// Serves the backends, after telling where.
fn serve(
    clock: &Arc<dyn Clock>,
    seed: u64,
    told: &Sender<Result<Vec<(String, SocketAddr)>, Failure>>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unstarted(&error))?;
    runtime.block_on(async {
        let mut addresses = Vec::new();
        for (number, backend) in (0_u64..).zip(mock::embedded()) {
            let name = backend.name.clone();
            let server = MockServer::builder(backend)
                .clock(Arc::clone(clock))
                .dice(Dice::new(seed.wrapping_add(number)))
                .models(vec![MODEL.to_owned()])
                .start()
                .map_err(|error| unstarted(&error))?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.map_err(|error| unstarted(&error))?;
            addresses.push((name, listener.local_addr().map_err(|error| unstarted(&error))?));
            drop(tokio::spawn(async move { server.listen(listener).await }));
        }
        // Whoever has gone by now has no use for the backends either.
        let _gone = told.send(Ok(addresses));
        std::future::pending::<()>().await;
        Ok(())
    })
}

fn unstarted(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("the mock backends cannot be started: {error}"))
}

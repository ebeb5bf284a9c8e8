//! The proxy's half: clients, the router, and backends that are served, under a clock that moves only when nothing else
//! can happen.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tollgate_core::dice::Dice;
use tollgate_core::lifecycle::Outcome;
use tollgate_core::policy::{Operation, Policy};
use tollgate_core::time::Instant;
use tollgate_mock_llm::clock::{Clock, ManualClock, sleep_until};
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::request::{Estimator, Reading};
use tollgate_proxy::settings::Settings;
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, Watch, router};
use tollgate_sim::scenario::incidents;
use tollgate_sim::workload::{Call, Workload};
use tower::ServiceExt as _;

use crate::Case;

/// Takes down how each request ended.
#[derive(Default)]
struct Ends(Mutex<BTreeMap<u64, Outcome>>);

impl Watch for Ends {
    fn finished(&self, id: &str, outcome: &Outcome) {
        let number = id.parse().expect("requests are called by their numbers");
        let before = self.0.lock().expect("no panic").insert(number, *outcome);
        assert!(before.is_none(), "a request ends once");
    }
}

/// Connections within the process, to the server that has the host's name.
struct InProcess(BTreeMap<String, MockServer>);

impl Connect for InProcess {
    fn connect(&self, address: &Address) -> Connecting {
        let server = self.0.get(&address.host).cloned();
        Box::pin(async move {
            let server = server.ok_or(io::ErrorKind::NotFound)?;
            Ok(Connected {
                wire: Box::new(server.connect()?),
                protocol: Protocol::Http1,
            })
        })
    }
}

/// How each request ends in the proxy.
pub(crate) fn run(case: &Case, seed: u64) -> Vec<Outcome> {
    let clock = ManualClock::new();
    let runtime = clock.runtime().expect("a runtime");
    runtime.block_on(drive(case, seed, clock))
}

async fn drive(case: &Case, seed: u64, clock: ManualClock) -> Vec<Outcome> {
    let scenario = case.scenario();
    let dice = Dice::new(seed).branch(0);
    let time: Arc<dyn Clock> = Arc::new(clock);
    let until = Instant::EPOCH + scenario.run.duration.expect("a scenario that ends");
    let faults = incidents(&scenario.faults, scenario.backends.len(), until, dice);
    let servers = (1..)
        .zip(scenario.backends.iter().zip(faults))
        .map(|(number, (spec, faults))| {
            let mut spec = spec.clone();
            spec.faults.extend(faults);
            let server = MockServer::builder(spec)
                .clock(Arc::clone(&time))
                .dice(dice.branch(number));
            let server = server.start().expect("checked numbers");
            (server.name().to_owned(), server)
        });
    let servers: BTreeMap<_, _> = servers.collect();
    let ends = Arc::new(Ends::default());
    let settings = Settings {
        mock_dice: true,
        ..Settings::default()
    };
    let workload = Workload::open(scenario.workload).expect("a workload");
    let policy = with_keys(case.policy(), &workload);
    let gateway = Gateway::builder(policy)
        .settings(settings)
        .clock(Arc::clone(&time))
        .dice(dice)
        .connect(Arc::new(InProcess(servers)))
        .watch(Arc::clone(&ends) as Arc<dyn Watch>)
        .build()
        .expect("everything is there");
    gateway.begin();
    let router = router(Arc::clone(&gateway));
    let mut arrivals = workload.arrivals(dice).expect("an open workload");
    let mut clients = Vec::new();
    let mut bodies = Bodies::default();
    for number in 0..case.requests {
        let Some(at) = arrivals.next().filter(|at| *at <= until) else {
            break;
        };
        let call = workload.call(dice, number);
        let patience = workload.patience(dice, number).map(|patience| at + patience);
        let tenant = &workload.tenants()[call.tenant as usize].name;
        let request = request(&call, tenant, bodies.of(&call));
        sleep_until(&*time, at).await;
        clients.push(tokio::spawn(client(
            router.clone(),
            request,
            patience,
            Arc::clone(&time),
        )));
    }
    for client in clients {
        client.await.expect("no panic");
    }
    gateway.ended().await;
    let snapshot = gateway.snapshot();
    assert_eq!(gateway.in_flight(), 0);
    assert!(
        snapshot
            .endpoints
            .iter()
            .all(|endpoint| endpoint.in_flight == 0 && !endpoint.awaited)
    );
    assert!(snapshot.waiting.iter().all(|waiting| *waiting == 0));
    assert!(snapshot.reserved.iter().all(|reserved| *reserved == 0));
    let ends = std::mem::take(&mut *ends.0.lock().expect("no panic"));
    ends.into_values().collect()
}

/// Asks once, reads to the end, and leaves when patience ends.
async fn client(router: Router, request: Request<Body>, patience: Option<Instant>, clock: Arc<dyn Clock>) {
    let asked = async {
        let response = router.oneshot(request).await.expect("a router always answers");
        let mut body = response.into_body();
        while let Some(Ok(_frame)) = body.frame().await {}
    };
    match patience {
        None => asked.await,
        Some(patience) => tokio::select! {
            biased;
            () = asked => {}
            () = sleep_until(&*clock, patience) => {}
        },
    }
}

fn request(call: &Call, tenant: &str, body: Bytes) -> Request<Body> {
    Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer key-of-{tenant}"))
        .header("x-request-id", call.number.to_string())
        .header("x-mock-output-tokens", call.output)
        .header("x-mock-prompt-tokens", call.prompt)
        .body(Body::from(body))
        .expect("a request")
}

/// Gives each tenant of `workload` that the policy knows a key.
fn with_keys(mut policy: Policy, workload: &Workload) -> Policy {
    for tenant in workload.tenants() {
        let at = policy.tenant_named(&tenant.name).index();
        assert_eq!(policy.tenants[at].name, tenant.name, "the policy lists every tenant");
        let key = format!("key-of-{}", tenant.name);
        policy.tenants[at]
            .key_hashes
            .push(tollgate_proxy::auth::digest(key.as_bytes()));
    }
    policy.keys = tollgate_core::policy::keys(&policy.tenants);
    policy
}

/// Bodies whose prompts are estimated at so many tokens.
#[derive(Default)]
struct Bodies {
    /// How many characters of content make so many tokens.
    known: BTreeMap<u32, usize>,
}

impl Bodies {
    fn of(&mut self, call: &Call) -> Bytes {
        let estimated = |length: usize| {
            let body = body(call, length);
            let reading = Reading::of(Operation::Chat, &body, &Estimator::default()).expect("a request");
            reading.estimate().input
        };
        let length = *self.known.entry(call.prompt).or_insert_with(|| {
            // Four bytes a token, and something for what is around them.
            let lengths = 0..=4 * call.prompt as usize;
            let lengths: Vec<usize> = lengths.collect();
            let at = lengths.partition_point(|length| estimated(*length) < call.prompt);
            assert_eq!(estimated(at), call.prompt, "a prompt of {} tokens", call.prompt);
            at
        });
        body(call, length)
    }
}

fn body(call: &Call, length: usize) -> Bytes {
    let content = "a".repeat(length);
    let most = call
        .max_tokens
        .map_or(String::new(), |most| format!(r#","max_tokens":{most}"#));
    let stream = call.stream;
    let messages = format!(r#"[{{"role":"user","content":"{content}"}}]"#);
    Bytes::from(format!(
        r#"{{"model":"any","messages":{messages},"stream":{stream}{most}}}"#
    ))
}

//! A mock that nobody has told the calibration about: its parameters are found again in twenty thousand lines that a gateway
//! has written.
//!
//! The gateway and the mock are the real ones, in one process, over HTTP, under a clock that moves only when nothing else
//! can, so that hours of traffic take seconds.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use tollgate_bench::calibrate::{Calibration, Fitted, Quota};
use tollgate_bench::log::Log;
use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::policy;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock, ManualClock, sleep_until};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Count, Kind, QuotaSpec};
use tollgate_mock_llm::server::MockServer;
use tollgate_proxy::observe::Observer;
use tollgate_proxy::settings::{self, Settings};
use tollgate_proxy::upstream::{Address, Connect, Connected, Connecting, Protocol};
use tollgate_proxy::{Gateway, router};
use tower::ServiceExt as _;

const POLICY: &str = r#"
    [[pool]]
    name = "all"
    balance = { kind = "round-robin" }
    health = { kind = "off" }
    [[pool.endpoint]]
    name = "odd"
    url = "http://odd/v1"
    [[pool.endpoint]]
    name = "even"
    url = "http://even/v1"
    [[route]]
    name = "all"
    pools = ["all"]
    timeouts = { connect = "none", ttft = "none", idle = "none", total = "none" }
    retry = { max_attempts = 1 }
"#;

/// Lines in all.
const LINES: u32 = 20_000;
/// Requests a second.
const RATE: f64 = 40.0;

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

fn backends() -> [BackendSpec; 2] {
    let lognormal = |median, sigma| Distribution::lognormal_median_sigma(median, sigma).expect("in range");
    let minute = Nanos::from_secs(60);
    let quota = QuotaSpec::token_bucket(Count::Requests, 777, minute, Some(30)).expect("in range");
    let odd = ApiSpec {
        prefill: 1.3e-4,
        error_share: 0.11,
        ..ApiSpec::new(lognormal(0.83, 0.41), lognormal(0.0137, 0.23))
    };
    let even = ApiSpec {
        slow_share: 0.02,
        slow_factor: lognormal(7.0, 0.4),
        quota: vec![quota],
        ..ApiSpec::new(lognormal(0.37, 0.19), lognormal(0.0071, 0.06))
    };
    [("odd", odd), ("even", even)].map(|(name, api)| BackendSpec::new(name, Kind::Api(api)))
}

async fn write(clock: ManualClock, log: &Path) {
    let dice = Dice::new(4_711).branch(0);
    let time: Arc<dyn Clock> = Arc::new(clock);
    let servers = (1..).zip(backends()).map(|(number, spec)| {
        let builder = MockServer::builder(spec)
            .clock(Arc::clone(&time))
            .dice(dice.branch(number))
            // Only the first and the last token of a stream matter here.
            .lump(Nanos::from_secs(3_600));
        let server = builder.start().expect("in range");
        (server.name().to_owned(), server)
    });
    let servers: BTreeMap<_, _> = servers.collect();
    let (policy, _) = policy::file::read("policy.toml", POLICY).expect("a policy");
    let mut settings = Settings::default();
    settings.log.access = settings::AccessLog::File(log.to_owned());
    let observer = Observer::with_logs(&policy, &settings, &time).expect("a file");
    let gateway = Gateway::builder(policy)
        .settings(settings)
        .clock(Arc::clone(&time))
        .dice(dice)
        .observer(Arc::new(observer))
        .connect(Arc::new(InProcess(servers)))
        .build()
        .expect("everything is there");
    gateway.begin();
    let router = router(Arc::clone(&gateway));
    let prompts = Distribution::lognormal_median_p95(600.0, 4_000.0).expect("in range");
    let mut at = Instant::EPOCH;
    let mut clients = Vec::new();
    for number in 0..LINES {
        let mut rng = dice.request(u64::from(number)).roll(Purpose::Arrival, 0);
        at += Nanos::from_secs_f64(-(1.0 - rng.uniform()).ln() / RATE);
        let request = Request::post("/v1/chat/completions")
            .header("content-type", "application/json")
            .header("x-mock-prompt-tokens", prompts.sample(&mut rng).round().to_string())
            .header("x-mock-output-tokens", (2 + rng.below(400)).to_string())
            .body(Body::from(
                r#"{"model":"any","stream":true,"messages":[{"role":"user","content":"x"}]}"#,
            ))
            .expect("a request");
        sleep_until(&*time, at).await;
        let router = router.clone();
        clients.push(tokio::spawn(async move {
            let response = router.oneshot(request).await.expect("a router always answers");
            let mut body = response.into_body();
            while let Some(Ok(_frame)) = body.frame().await {}
        }));
    }
    for client in clients {
        client.await.expect("no panic");
    }
    gateway.ended().await;
    gateway.observer().close();
}

fn close(what: &str, found: f64, true_value: f64) {
    let error = found / true_value - 1.0;
    assert!(error.abs() <= 0.05, "{what}: {found} is not {true_value}");
}

#[test]
fn the_parameters_of_an_unseen_mock_are_found_within_5_per_cent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.jsonl");
    let clock = ManualClock::new();
    let runtime = clock.runtime().expect("a runtime");
    runtime.block_on(write(clock, &path));

    let mut log = Log::default();
    log.add(&path).expect("it was just written");
    assert_eq!(log.gaps(), Vec::<String>::new());
    assert_eq!(log.lines, u64::from(LINES));
    let found = Calibration::new(&log);
    let of = |name: &str| -> &Fitted {
        let backend = found.backends.iter().find(|backend| backend.name == name);
        backend.expect("it was asked")
    };
    let (odd, even) = (of("odd"), of("even"));
    let usual = |backend: &Fitted| backend.ttft.as_ref().expect("streams").law.usual;
    let tpot = |backend: &Fitted| backend.tpot.as_ref().expect("streams").law.usual;
    close("the median of odd's TTFT", usual(odd).median(), 0.83);
    close("its spread", usual(odd).sigma, 0.41);
    close("what a token of its prompt takes", odd.prefill, 1.3e-4);
    close("the median of its TPOT", tpot(odd).median(), 0.0137);
    close("its spread", tpot(odd).sigma, 0.23);
    close("the share of its errors", odd.error_share(), 0.11);
    close("the median of even's TTFT", usual(even).median(), 0.37);
    close("its spread", usual(even).sigma, 0.19);
    close("the median of its TPOT", tpot(even).median(), 0.0071);
    close("its spread", tpot(even).sigma, 0.06);
    let (_, factor) = even
        .ttft
        .as_ref()
        .and_then(|fit| fit.law.slow)
        .expect("two in a hundred are slow");
    close("how slow they are", factor.median(), 7.0);
    assert!(
        odd.ttft.as_ref().is_some_and(|fit| fit.law.slow.is_none()),
        "{:?}",
        odd.ttft
    );
    assert!(matches!(odd.quota, Quota::Unseen { .. }), "{:?}", odd.quota);
    let Quota::Seen {
        of_tokens: false,
        amount,
        ..
    } = even.quota
    else {
        panic!("{:?}", even.quota);
    };
    close("even's quota", amount, 777.0);
    for backend in [odd, even] {
        for fit in [&backend.ttft, &backend.tpot] {
            let fit = fit.as_ref().expect("streams");
            assert!(fit.distance < 0.02, "{}: {fit:?}", backend.name);
            assert!(
                fit.errors.iter().all(|error| error.abs() < 0.05),
                "{}: {fit:?}",
                backend.name
            );
        }
    }
    let toml = found.toml();
    assert!(
        toml.contains("name = \"odd\"") && toml.contains("slow_share = 0.0"),
        "{toml}"
    );
}

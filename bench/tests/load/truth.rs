//! The load is the simulator's, and what is measured is what happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant as Moment;
use tollgate_bench::load::{Load, run};
use tollgate_core::dice::Dice;
use tollgate_core::lifecycle::End;
use tollgate_core::policy::{Policy, Tenant};
use tollgate_core::time::{Instant, Nanos};
use tollgate_sim::engine::{Engine, Plan};
use tollgate_sim::experiment::Progress;
use tollgate_sim::record::{Quiet, Sample};
use tollgate_sim::scenario::Scenario;
use tollgate_sim::workload::{Answer, Workload};

use crate::server::{self, Server};
use crate::{load, scenario, sent};

/// How late this machine may be, with its cores full of other tests.
const LATE: Nanos = Nanos::from_millis(400);

/// What the simulator makes of the same scenario, where everything is refused at once for want of a route.
fn simulated(scenario: &Scenario) -> Vec<Sample> {
    let workload = Workload::open(scenario.workload.clone()).expect("a workload");
    let policy = Policy {
        tenants: vec![Tenant::default()],
        ..Policy::default()
    };
    let plan = Plan::new(policy, workload, scenario.backends.clone()).expect("a plan");
    let plan = plan
        .seed(scenario.seed)
        .until(scenario.run.duration, scenario.run.requests)
        .samples(100_000);
    Engine::new(&plan, 2, Quiet)
        .run(|_| true)
        .expect("it runs to its end")
        .samples
}

#[test]
fn requests_are_those_of_the_simulator() {
    let server = Server::always(server::whole());
    let scenario = scenario(
        "800ms",
        "arrivals = { process = \"gamma\", rate = 300.0, cv = 2.0 }\nstream = 0.0\ntenants = { count = 5, skew = 1.0 }\n\
         client = { kind = \"fire-and-forget\" }",
    );
    let load = Load {
        replication: 2,
        ..load(&scenario, &server.url)
    };
    let loaded = run(load, &Arc::new(Progress::default())).expect("it is measured");
    let seen = |samples: &[Sample]| -> Vec<(u64, u32, Instant)> {
        samples
            .iter()
            .map(|sample| (sample.number, sample.tenant, sample.outcome.arrived))
            .collect()
    };
    let simulated = simulated(&scenario);
    assert!(100 < simulated.len());
    assert_eq!(seen(&loaded.record.samples), seen(&simulated));
    assert_eq!(loaded.record.counts.completed, simulated.len() as u64);
}

#[test]
fn a_stall_is_charged_to_all_who_came_in_it() {
    const STALL: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1300));
    let began = Arc::new(std::sync::OnceLock::<Moment>::new());
    let server = Server::start(move |mut stream| {
        let began = Arc::clone(&began);
        async move {
            while server::request(&mut stream).await?.is_some() {
                let began = *began.get_or_init(Moment::now);
                let since = began.elapsed();
                if STALL.0 <= since && since < STALL.1 {
                    tokio::time::sleep_until(began + STALL.1).await;
                }
                stream.write_all(&server::whole()).await?;
            }
            Ok(())
        }
    });
    let scenario = scenario(
        "2s",
        "arrivals = { process = \"deterministic\", rate = 200.0 }\nstream = 0.0\nclient = { kind = \"fire-and-forget\" }",
    );
    let mut load = load(&scenario, &server.url);
    // Far fewer connections than requests that wait: who would wait for answers before it asks on would see ten slow ones.
    load.connections = 10;
    let loaded = run(load, &Arc::new(Progress::default())).expect("it is measured");
    let slow = loaded.record.samples.iter();
    let slow = slow
        .filter(|sample| Nanos::from_millis(100) < sample.outcome.e2e())
        .count();
    assert!(150 < slow, "of 200 that came in the stall, {slow} are charged");
    let p99 = loaded.record.latencies.e2e.quantile(0.99).expect("there are some");
    assert!(0.9 < p99, "{p99}");
    assert!(server.taken.load(Ordering::Relaxed) <= 10);
    assert!(0.5 < loaded.client.send_lag.p99.expect("there are some"));
    let told = loaded.notes.iter().any(|note| note.contains("sent late"));
    assert!(
        told && loaded.notes.iter().any(|note| note.contains("--connections")),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn users_think_as_long_as_they_should() {
    const THINK: Nanos = Nanos::from_millis(40);
    let server = Server::always(server::whole());
    let scenario = scenario(
        "1s",
        "arrivals = { process = \"closed\", users = 5, think = \"40ms\" }\nstream = 0.0\nclient = { kind = \"fire-and-forget\" }",
    );
    let loaded = sent(&scenario, &server.url).expect("it is measured");
    let mut users: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for sample in &loaded.record.samples {
        users.entry(sample.number % 5).or_default().push(sample);
    }
    assert_eq!(users.len(), 5);
    for samples in users.values() {
        assert_eq!(samples[0].outcome.arrived, Instant::EPOCH + THINK);
        assert!(2 < samples.len() && samples.len() <= 25, "{}", samples.len());
        for (round, pair) in samples.windows(2).enumerate() {
            assert_eq!(pair[1].number, pair[0].number + 5, "round {round}");
            let thought = pair[1].outcome.arrived.since(pair[0].outcome.finished);
            assert!(THINK <= thought && thought < THINK + LATE, "{thought}");
        }
    }
}

#[test]
fn sdks_ask_again_by_their_rules() {
    let error = "HTTP/1.1 503 Service Unavailable\r\nretry-after-ms: 30\r\ncontent-length: 0\r\n\r\n";
    let server = Server::always(error.as_bytes().to_vec());
    let scenario = scenario(
        "100ms",
        "arrivals = { process = \"deterministic\", rate = 50.0 }\nclient = { kind = \"openai-python\", max_retries = 3 }",
    );
    let loaded = sent(&scenario, &server.url).expect("it is measured");
    let workload = Workload::open(scenario.workload).expect("a workload");
    let dice = Dice::new(7).branch(0);
    let answer = Answer {
        status: Some(503),
        retry_after: Some(Nanos::from_millis(30)),
        should_retry: None,
    };
    let mut calls: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for sample in &loaded.record.samples {
        calls.entry(sample.number).or_default().push(sample);
    }
    assert_eq!((calls.len(), loaded.record.calls), (6, 6));
    for (number, requests) in calls {
        assert_eq!(requests.len(), 4, "call {number}");
        for (retries, pair) in (0..).zip(requests.windows(2)) {
            let wait = workload.retry(dice, number, retries, &answer).expect("it asks again");
            let waited = pair[1].outcome.arrived.since(pair[0].outcome.finished);
            assert!(
                wait <= waited && waited < wait + LATE,
                "call {number}: {waited} for {wait}"
            );
        }
    }
    assert_eq!(loaded.client.failures["HTTP 503"].to_bits(), 24.0_f64.to_bits());
}

#[test]
fn counts_are_whole() {
    let number = AtomicU64::new(0);
    let server = Server::start(move |mut stream| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        async move {
            for round in 0.. {
                if server::request(&mut stream).await?.is_none() {
                    return Ok(());
                }
                match (number + round) % 6 {
                    0 => stream.write_all(&server::whole()).await?,
                    1 => {
                        let failed = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(failed).await?;
                    }
                    2 => {
                        let limited = "HTTP/1.1 429 No\r\nx-tollgate-refusal: limited\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(limited.as_bytes()).await?;
                    }
                    // Its client waits no longer than this.
                    3 => std::future::pending().await,
                    4 => return Ok(()),
                    _ => stream.write_all(b"what?\r\n\r\n").await?,
                }
            }
            Ok(())
        }
    });
    let scenario = scenario(
        "600ms",
        "arrivals = { process = \"poisson\", rate = 300.0 }\nstream = 0.0\n\
         client = { kind = \"openai-python\", max_retries = 1, timeout = \"150ms\" }",
    );
    let loaded = sent(&scenario, &server.url).expect("it is measured");
    let counts = &loaded.record.counts;
    let refused: u64 = counts.refused.iter().sum();
    let all = [counts.completed, counts.failed, counts.abandoned, refused];
    assert_eq!(all.iter().sum::<u64>(), counts.offered);
    assert_eq!(counts.offered, loaded.record.begun);
    assert!(all.iter().all(|count| 0 < *count), "{counts:?}");
    assert!(loaded.record.calls < loaded.record.begun);
    let ends = loaded.record.samples.iter().map(|sample| sample.outcome.end);
    assert!(ends.clone().all(|end| end != End::Open));
    assert_eq!(ends.count() as u64, counts.offered);
}

#[test]
fn a_stream_is_timed_token_by_token() {
    let server = Server::start(move |mut stream| async move {
        if server::request(&mut stream).await?.is_some() {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            for token in ["a", "b", "c"] {
                tokio::time::sleep(Duration::from_millis(60)).await;
                let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{token}\"}}}}]}}\n\n");
                // In two pieces, cut where no line ends.
                stream.write_all(&event.as_bytes()[..20]).await?;
                stream.write_all(&event.as_bytes()[20..]).await?;
            }
            stream.write_all(b"data: [DONE]\n\n").await?;
        }
        Ok(())
    });
    let scenario = scenario(
        "200ms",
        "arrivals = { process = \"deterministic\", rate = 20.0 }\nstream = 1.0\nclient = { kind = \"fire-and-forget\" }",
    );
    let loaded = sent(&scenario, &server.url).expect("it is measured");
    assert_eq!(loaded.record.counts.completed, 5, "{:?}", loaded.client.failures);
    for sample in &loaded.record.samples {
        let ttft = sample.outcome.ttft().expect("a stream");
        assert!(
            Nanos::from_millis(60) <= ttft && ttft < Nanos::from_millis(60) + LATE,
            "{ttft}"
        );
        assert_eq!(sample.outcome.usage.output, 3);
    }
    let itl = loaded.client.itl.p50.expect("there are some");
    assert!((0.04..0.4).contains(&itl), "{itl}");
    assert!(
        loaded
            .notes
            .iter()
            .any(|note| note.contains("did not say what they used"))
    );
}

//! The server and the model under the smallest driver: the same attempts, the same fate.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_core::dice::Dice;
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{
    ApiSpec, BackendSpec, Count, Discipline, FaultKind, FaultSpec, Job, Kind, QueueSpec, QuotaSpec, Servers,
};

use crate::client::{Lab, chat, whole, with};
use crate::world::{Seen, What, World, job};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered {
        opened: Instant,
        tokens: u32,
        ended: Instant,
    },
    Error {
        status: u16,
        at: Instant,
    },
    Broken {
        opened: Option<Instant>,
        tokens: u32,
        at: Instant,
    },
    Refused {
        at: Instant,
    },
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    stream: bool,
    tokens: u32,
}

/// Later than everything that happens.
const END: f64 = 1e6;

fn in_the_model(spec: &BackendSpec, attempts: &[Attempt]) -> Vec<Fate> {
    let mut world = World::new(spec);
    let mut seen: Vec<Seen> = Vec::new();
    for (number, attempt) in (0..).zip(attempts) {
        world.submit(attempt.at, as_job(number, attempt), |it| seen.push(it));
    }
    world.run_to(crate::world::seconds(END), |it| seen.push(it));
    let mut of: BTreeMap<u64, Vec<Seen>> = BTreeMap::new();
    for it in seen {
        of.entry(it.tag).or_default().push(it);
    }
    (0..)
        .zip(attempts)
        .map(|(number, _)| fate(of.get(&number).map_or(&[], Vec::as_slice)))
        .collect()
}

fn fate(seen: &[Seen]) -> Fate {
    let mut opened = None;
    let mut tokens = 0;
    for Seen { at, what, .. } in seen.iter().copied() {
        match what {
            What::Event(AttemptEvent::Open { status: 200, .. }) => opened = Some(at),
            What::Event(AttemptEvent::Open { status, .. }) => return Fate::Error { status, at },
            What::Event(AttemptEvent::FirstToken) => tokens = 1,
            What::Event(AttemptEvent::Finish { usage }) => {
                return Fate::Answered {
                    opened: opened.expect("an answer opens"),
                    tokens: usage.output,
                    ended: at,
                };
            }
            What::Event(AttemptEvent::Fail { fault: Fault::Connect }) => return Fate::Refused { at },
            What::Event(AttemptEvent::Fail { .. }) => return Fate::Broken { opened, tokens, at },
            What::Event(_) => {}
            What::Sent(sent) => tokens = sent.tokens,
        }
    }
    Fate::Silent
}

fn as_job(number: u64, attempt: &Attempt) -> Job {
    Job {
        dice: Dice::new(2).request(number),
        attempt: u32::try_from(number % 3).expect("small"),
        input: 10,
        output: attempt.tokens,
        stream: attempt.stream,
        ..job(number)
    }
}

fn behind_http(spec: &BackendSpec, attempts: &[Attempt]) -> Vec<Fate> {
    let attempts = attempts.to_vec();
    with(
        spec.clone(),
        |builder| builder.dice(Dice::new(1)),
        async |lab| {
            let lab = std::rc::Rc::new(lab);
            let local = tokio::task::LocalSet::new();
            let mut tasks = Vec::new();
            for (number, attempt) in (0..).zip(attempts) {
                let lab = std::rc::Rc::clone(&lab);
                tasks.push(local.spawn_local(async move { live(&lab, number, attempt).await }));
            }
            local
                .run_until(async {
                    let mut fates = Vec::new();
                    for task in tasks {
                        fates.push(task.await.expect("no panic"));
                    }
                    fates
                })
                .await
        },
    )
}

async fn live(lab: &Lab, number: u64, attempt: Attempt) -> Fate {
    lab.until_instant(attempt.at).await;
    let job = as_job(number, &attempt);
    let mut request = if attempt.stream {
        chat(attempt.tokens)
    } else {
        whole(attempt.tokens)
    };
    let headers = request.headers_mut();
    let dice = format!("{:016x}", job.dice.to_bits());
    headers.insert("x-tollgate-dice", http::HeaderValue::try_from(dice).expect("digits"));
    headers.insert("x-tollgate-attempt", job.attempt.into());
    headers.insert("x-mock-prompt-tokens", job.input.into());
    // The head comes now or not at all; nobody hangs up on what is silent before the end of time.
    let heard = tokio::select! {
        heard = lab.send(request) => heard,
        () = lab.until(END) => return Fate::Silent,
    };
    let is_refused = lab.server.connect().is_err();
    match heard {
        None if is_refused => Fate::Refused { at: lab.clock_now() },
        None => Fate::Broken {
            opened: None,
            tokens: 0,
            at: lab.clock_now(),
        },
        Some(heard) if heard.status != 200 => Fate::Error {
            status: heard.status,
            at: heard.opened,
        },
        Some(heard) if attempt.stream => {
            let tokens = u32::try_from(heard.tokens().len()).expect("few");
            if heard.is_whole {
                Fate::Answered {
                    opened: heard.opened,
                    tokens,
                    ended: heard.ended,
                }
            } else {
                Fate::Broken {
                    opened: Some(heard.opened),
                    tokens,
                    at: heard.ended,
                }
            }
        }
        Some(heard) if heard.is_whole => Fate::Answered {
            opened: heard.opened,
            tokens: u32::try_from(heard.json()["usage"]["completion_tokens"].as_u64().expect("a count")).expect("few"),
            ended: heard.ended,
        },
        Some(heard) => Fate::Broken {
            opened: Some(heard.opened),
            tokens: 0,
            at: heard.ended,
        },
    }
}

fn fault() -> impl Strategy<Value = FaultSpec> {
    let share = 0.0..=1.0_f64;
    let length = (1..10_000_u64).prop_map(Nanos::from_millis);
    let kind = prop_oneof![
        Just(FaultKind::ConnectionRefused),
        Just(FaultKind::BlackHole),
        Just(FaultKind::Outage { status: 503 }),
        Just(FaultKind::QuotaExhausted),
        share
            .clone()
            .prop_map(|share| FaultKind::ErrorBurst { share, status: 529 }),
        (1.0..50.0_f64).prop_map(|factor| FaultKind::Brownout { factor }),
        length.clone().prop_map(|ramp| FaultKind::SlowStart { ramp }),
        (share.clone(), length.clone()).prop_map(|(share, pause)| FaultKind::Stall { share, pause }),
        share.prop_map(|share| FaultKind::Truncate { share }),
    ];
    (kind, 0..20_000_u64, length).prop_map(|(kind, at, lasts)| {
        FaultSpec::new(kind, Instant::EPOCH + Nanos::from_millis(at), lasts).expect("in range")
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let api = (0.0..0.2_f64, 0.0..0.1_f64, any::<bool>()).prop_map(|(error_share, hang_share, limited)| {
        let ttft = Distribution::lognormal_median_p95(0.5, 2.0).expect("in range");
        let tpot = Distribution::lognormal_median_sigma(0.01, 0.2).expect("in range");
        let bucket = QuotaSpec::token_bucket(Count::Requests, 60, Nanos::from_secs(60), Some(5)).expect("in range");
        let quota = if limited { vec![bucket] } else { Vec::new() };
        Kind::Api(ApiSpec {
            error_share,
            hang_share,
            quota,
            ..ApiSpec::new(ttft, tpot)
        })
    });
    let queue = (1..4_u32, any::<bool>()).prop_map(|(servers, shared)| {
        let servers = Servers::Bounded(std::num::NonZeroU32::new(servers).expect("some"));
        let discipline = if shared { Discipline::Ps } else { Discipline::Fifo };
        Kind::Queue(QueueSpec {
            discipline,
            capacity: std::num::NonZeroU32::new(6),
            ..QueueSpec::new(servers, Distribution::exponential(1.0).expect("in range"))
        })
    });
    prop_oneof![api, queue]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_server_is_its_model(
        kind in kind(), faults in vec(fault(), 0..4),
        attempts in vec((1..25_000_000_000_u64, any::<bool>(), 1..60_u32), 1..30),
    ) {
        let spec = BackendSpec { faults, ..BackendSpec::new("any", kind) };
        let mut attempts: Vec<Attempt> = attempts
            .into_iter()
            // An odd nanosecond, so that none arrives at the edge of a fault.
            .map(|(at, stream, tokens)| Attempt { at: Instant::from_nanos(at | 1), stream, tokens })
            .collect();
        attempts.sort_by_key(|attempt| attempt.at);
        attempts.dedup_by_key(|attempt| attempt.at);
        prop_assert_eq!(behind_http(&spec, &attempts), in_the_model(&spec, &attempts));
    }
}

//! What holds for every backend, whatever happens to it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_core::dice::Dice;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{
    AnyBackend, ApiSpec, Backend, BackendSpec, Count, Discipline, FaultKind, FaultSpec, Job, JobId, Kind, LoadFactor,
    OnCancel, Output, QueueSpec, QuotaSpec, Servers,
};

use crate::world::{Seen, What, World, job};

#[derive(Clone, Debug)]
enum Step {
    Submit(Job),
    Cancel(usize),
    Poke(usize),
    Look(usize),
}

/// Steps and the time before each, in nanoseconds.
fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let submit = (
        0..3000_u32,
        0..300_u32,
        proptest::option::of(0..300_u32),
        any::<bool>(),
        priority,
    )
        .prop_map(|(input, output, max_output, stream, priority)| {
            Step::Submit(Job {
                input,
                cached: input / 3,
                output,
                max_output,
                stream,
                priority,
                ..job(0)
            })
        });
    let step = prop_oneof![
        4 => submit,
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => any::<usize>().prop_map(Step::Poke),
        2 => any::<usize>().prop_map(Step::Look),
    ];
    vec(
        (prop_oneof![Just(0), 0..1_000_000_u64, 0..3_000_000_000_u64], step),
        0..60,
    )
}

pub(crate) fn fault() -> impl Strategy<Value = FaultSpec> {
    let share = 0.0..=1.0_f64;
    let length = (1..10_000_u64).prop_map(Nanos::from_millis);
    let pause = prop_oneof![Just(Nanos::FOREVER), length.clone()];
    let kind = prop_oneof![
        Just(FaultKind::ConnectionRefused),
        Just(FaultKind::BlackHole),
        Just(FaultKind::Outage { status: 503 }),
        Just(FaultKind::QuotaExhausted),
        (share.clone(), length.clone()).prop_map(|(share, latency)| FaultKind::FailFast { latency, share }),
        share
            .clone()
            .prop_map(|share| FaultKind::ErrorBurst { share, status: 529 }),
        (1.0..50.0_f64).prop_map(|factor| FaultKind::Brownout { factor }),
        length.clone().prop_map(|ramp| FaultKind::SlowStart { ramp }),
        (share.clone(), pause).prop_map(|(share, pause)| FaultKind::Stall { share, pause }),
        share.prop_map(|share| FaultKind::Truncate { share }),
    ];
    (kind, 0..20_000_u64, length).prop_map(|(kind, at, lasts)| {
        FaultSpec::new(kind, Instant::EPOCH + Nanos::from_millis(at), lasts).expect("in range")
    })
}

pub(crate) fn api() -> impl Strategy<Value = Kind> {
    let minute = Nanos::from_secs(60);
    let quota = prop_oneof![
        Just(vec![]),
        Just(vec![
            QuotaSpec::token_bucket(Count::Requests, 60, minute, Some(10)).expect("in range"),
            QuotaSpec::token_bucket(Count::InputAndOutput, 60_000, minute, None).expect("in range"),
            QuotaSpec::fixed_window(Count::Output, 60_000, minute, Nanos::from_secs(1)).expect("in range"),
        ]),
    ];
    (quota, 0.0..0.3_f64, 0.0..0.3_f64).prop_map(|(quota, error_share, hang_share)| {
        let ttft = Distribution::lognormal_median_p95(0.5, 2.0).expect("in range");
        let tpot = Distribution::lognormal_median_sigma(0.01, 0.2).expect("in range");
        let load_factor = Some(LoadFactor {
            sigma: 0.3,
            relaxation: Nanos::from_secs(10),
        });
        Kind::Api(ApiSpec {
            quota,
            error_share,
            hang_share,
            load_factor,
            ..ApiSpec::new(ttft, tpot)
        })
    })
}

fn queue() -> impl Strategy<Value = Kind> {
    let servers = prop_oneof![
        3 => (1..5_u32).prop_map(|servers| Servers::Bounded(NonZeroU32::new(servers).expect("some"))),
        1 => Just(Servers::Unbounded),
    ];
    let discipline = proptest::sample::select(Discipline::NAMES.map(|(_, discipline)| discipline).to_vec());
    let capacity = proptest::option::of((5..9_u32).prop_map(|most| NonZeroU32::new(most).expect("some")));
    (servers, discipline, capacity, any::<bool>()).prop_map(|(servers, discipline, capacity, drop_expired)| {
        let service = Distribution::exponential(1.0).expect("in range");
        Kind::Queue(QueueSpec {
            discipline,
            capacity,
            drop_expired,
            ..QueueSpec::new(servers, service)
        })
    })
}

pub(crate) fn backend() -> impl Strategy<Value = BackendSpec> {
    let on_cancel = prop_oneof![Just(OnCancel::Stop), Just(OnCancel::Finish)];
    (prop_oneof![api(), queue()], on_cancel, vec(fault(), 0..6)).prop_map(|(kind, on_cancel, faults)| BackendSpec {
        on_cancel,
        faults,
        ..BackendSpec::new("any", kind)
    })
}

/// One run, and what came of it.
#[derive(Default)]
struct Run {
    seen: Vec<Seen>,
    submitted: Vec<(Instant, JobId)>,
    cancelled: BTreeMap<u64, Instant>,
    /// Looks at the progress of attempts: who, when, tokens, when the last came.
    looks: Vec<(u64, Instant, u32, Instant)>,
    busy: u128,
    end: Instant,
}

const ENOUGH: Nanos = Nanos::from_secs(100_000);

fn run(spec: &BackendSpec, steps: &[(u64, Step)], poking: bool) -> Run {
    let mut world = World::new(spec);
    let mut run = Run::default();
    let mut busy = 0;
    for (gap, step) in steps {
        let at = world.now + Nanos::from_nanos(*gap);
        world.run_to(at, |seen| run.seen.push(seen));
        match step {
            Step::Submit(job_) => {
                let number = u64::try_from(run.submitted.len()).expect("a count");
                let Job { tag, dice, .. } = job(number);
                let id = world.submit(at, Job { tag, dice, ..*job_ }, |seen| run.seen.push(seen));
                run.submitted.push((at, id));
            }
            Step::Cancel(which) if !run.submitted.is_empty() => {
                let which = which % run.submitted.len();
                world.cancel(at, run.submitted[which].1, |seen| run.seen.push(seen));
                run.cancelled
                    .entry(u64::try_from(which).expect("a count"))
                    .or_insert(at);
            }
            Step::Poke(which) if poking => world.poke(*which, |seen| run.seen.push(seen)),
            Step::Look(which) if !run.submitted.is_empty() => {
                let which = which % run.submitted.len();
                if let Some(sent) = world.backend.progress(at, run.submitted[which].1) {
                    run.looks
                        .push((u64::try_from(which).expect("a count"), at, sent.tokens, sent.last));
                }
            }
            Step::Cancel(_) | Step::Poke(_) | Step::Look(_) => {}
        }
        assert!(busy <= world.backend.busy(at), "time spent is spent");
        busy = world.backend.busy(at);
    }
    world.run_to(world.now + ENOUGH, |seen| run.seen.push(seen));
    for (tag, (_, id)) in (0..).zip(&run.submitted) {
        if world.backend.progress(world.now, *id).is_some() {
            run.cancelled.entry(tag).or_insert(world.now);
        }
        world.cancel(world.now, *id, |seen| run.seen.push(seen));
    }
    assert_eq!(world.backend.jobs(), 0, "nothing is left");
    run.busy = world.backend.busy(world.now);
    run.end = world.now;
    if let Some(servers) = world.backend.capacity() {
        assert!(run.busy <= u128::from(servers) * u128::from(world.now.as_nanos()));
    }
    run
}

fn is_last(what: What) -> bool {
    match what {
        What::Event(AttemptEvent::Finish { .. } | AttemptEvent::Fail { .. }) => true,
        What::Event(AttemptEvent::Open { status, .. }) => status != 200,
        What::Event(
            AttemptEvent::Waiting
            | AttemptEvent::Connecting
            | AttemptEvent::Connected
            | AttemptEvent::FirstToken
            | AttemptEvent::Tokens { .. },
        )
        | What::Sent(_) => false,
    }
}

/// What happened, apart from the order of simultaneous events of different attempts.
pub(crate) fn in_order(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_by_key(|seen| (seen.at, seen.tag));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_job_ends_once(spec in backend(), steps in steps()) {
        let run = run(&spec, &steps, true);
        let mut ended = BTreeMap::new();
        for seen in &run.seen {
            prop_assert!(!ended.contains_key(&seen.tag), "{seen:?} after its end");
            prop_assert!(run.cancelled.get(&seen.tag).is_none_or(|cancelled| seen.at <= *cancelled), "{seen:?} after its cancel");
            if is_last(seen.what) {
                ended.insert(seen.tag, seen.at);
            }
        }
        for tag in (0..).take(run.submitted.len()) {
            prop_assert!(ended.contains_key(&tag) || run.cancelled.contains_key(&tag), "{tag} has no end");
        }
        let silent = spec.faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::BlackHole | FaultKind::Stall { pause: Nanos::FOREVER, .. })
        });
        let hangs = matches!(&spec.kind, Kind::Api(api) if 0.0 < api.hang_share);
        if !silent && !hangs {
            let late = run.end - Nanos::from_secs(1);
            prop_assert!(run.cancelled.values().all(|cancelled| *cancelled < late), "nobody waits for ever");
        }
    }

    #[test]
    fn stale_wakes_change_nothing(spec in backend(), steps in steps()) {
        let (poked, left_alone) = (run(&spec, &steps, true), run(&spec, &steps, false));
        prop_assert_eq!(in_order(poked.seen), in_order(left_alone.seen));
        prop_assert_eq!(poked.busy, left_alone.busy);
        prop_assert_eq!(poked.looks, left_alone.looks);
    }

    #[test]
    fn equal_steps_equal_runs(spec in backend(), steps in steps()) {
        let (one, other) = (run(&spec, &steps, true), run(&spec, &steps, true));
        prop_assert_eq!(one.seen, other.seen);
        prop_assert_eq!(one.busy, other.busy);
    }

    #[test]
    fn progress_only_grows(kind in api(), faults in vec(fault(), 0..6), steps in steps(), times in vec(0..4_000_u64, 1..40)) {
        let spec = BackendSpec { faults, ..BackendSpec::new("any", kind) };
        // Look at everybody often, besides what the steps do.
        let looks = times.iter().enumerate().map(|(number, millis)| (millis * 1_000_000, Step::Look(number)));
        let steps: Vec<_> = steps.into_iter().chain(looks).collect();
        let run = run(&spec, &steps, true);
        let mut latest: BTreeMap<u64, (u32, Instant)> = BTreeMap::new();
        for (tag, at, tokens, last) in &run.looks {
            prop_assert!(run.submitted[usize::try_from(*tag).expect("an index")].0 <= *last && last <= at);
            let before = latest.insert(*tag, (*tokens, *last)).unwrap_or_default();
            prop_assert!(before.0 <= *tokens && before.1 <= *last, "{before:?} and then {tokens} at {last:?}");
        }
        for seen in &run.seen {
            let Some((tokens, last)) = latest.get(&seen.tag) else { continue };
            match seen.what {
                What::Event(AttemptEvent::Finish { usage }) => prop_assert!(*tokens <= usage.output.max(1)),
                What::Sent(sent) => prop_assert!(*tokens <= sent.tokens && *last <= sent.last),
                What::Event(_) => {}
            }
        }
    }

    #[test]
    fn busy_is_the_time_of_running_answers(steps in steps()) {
        let ttft = Distribution::exponential(0.5).expect("in range");
        let spec = BackendSpec::new("any", Kind::Api(ApiSpec::new(ttft.clone(), ttft)));
        let run = run(&spec, &steps, true);
        let mut ends: BTreeMap<u64, Instant> = run.cancelled.clone();
        for seen in run.seen.iter().filter(|seen| is_last(seen.what)) {
            let end = ends.entry(seen.tag).or_insert(seen.at);
            *end = (*end).min(seen.at);
        }
        let spent = run.submitted.iter().zip(0..).map(|((arrived, _), tag)| u128::from(ends[&tag].since(*arrived).as_nanos()));
        prop_assert_eq!(run.busy, spent.sum::<u128>());
    }
}

#[test]
fn a_stale_key_is_silent() {
    let constant = |value| Distribution::constant(value).expect("in range");
    let servers = Servers::Bounded(NonZeroU32::new(1).expect("some"));
    let kinds = [
        Kind::Api(ApiSpec::new(constant(0.5), constant(0.01))),
        Kind::Queue(QueueSpec::new(servers, constant(1.0))),
    ];
    for kind in kinds {
        let mut backend = AnyBackend::new(&BackendSpec::new("any", kind), Dice::new(1)).expect("in range");
        let mut out = Vec::new();
        let mut wish = |backend: &mut AnyBackend, now: Instant, number: u64| {
            let id = backend.submit(now, job(number), &mut out);
            let Some(Output::WakeAt { at, key }) = out.pop() else {
                panic!("it takes time")
            };
            (id, at, key)
        };
        let (id, _, stale) = wish(&mut backend, Instant::EPOCH, 0);
        let mut heard = Vec::new();
        backend.cancel(Instant::EPOCH, id, &mut heard);
        // Another job in the same slot.
        let half = Instant::EPOCH + Nanos::from_millis(250);
        let (_, at, key) = wish(&mut backend, half, 1);
        assert_ne!(stale, key);
        backend.wake(half, stale, &mut heard);
        assert_eq!(heard, [], "an old key");
        backend.wake(half, key, &mut heard);
        assert!(
            matches!(heard[..], [Output::WakeAt { at: again, .. }] if again == at),
            "too early: {heard:?}"
        );
        heard.clear();
        backend.wake(at, key, &mut heard);
        assert_eq!(heard, [], "replaced by what came of the early call");
    }
}

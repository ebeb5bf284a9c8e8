//! The simulator does not deliver what a later event of the same instant implies: here is why it need not.

use tollgate_bench::model;
use tollgate_core::dice::Dice;
use tollgate_core::gate::{Gate, GateInput};
use tollgate_core::id::{AttemptId, RequestId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Effects, Input, Lifecycle, Outcome, Phase, Request};
use tollgate_core::memory::Local;
use tollgate_core::policy::Facts;
use tollgate_core::time::Instant;
use tollgate_core::usage::Usage;

/// What becomes of a request whose first attempt sends all of `events` at once.
fn life(events: &[AttemptEvent], stream: bool) -> (Outcome, Phase, Vec<Effect>) {
    let policy = model::policy();
    let class = policy.classify(0, &Facts::default());
    let gate = Gate::<Local>::new(policy);
    let mut effects = Effects::new();
    gate.handle(Instant::EPOCH, GateInput::Start, &mut effects);
    let request = Request {
        class,
        stream,
        ..Request::default()
    };
    let mut life = Lifecycle::new(RequestId(1), request, Dice::new(7).request(1));
    life.handle(&gate, Instant::from_secs(1), Input::Start, &mut effects);
    effects.clear();
    let now = Instant::from_secs(2);
    for event in events {
        let id = AttemptId(0);
        life.handle(&gate, now, Input::Attempt { id, event: *event }, &mut effects);
    }
    // A wake-up replaces the one before: only the last counts.
    let last = effects.as_slice().iter().rev().find(|effect| is_wake(effect)).copied();
    let others = effects.as_slice().iter().filter(|effect| !is_wake(effect)).copied();
    let told = others.chain(last.filter(|_| life.phase() != Phase::Settled)).collect();
    let seen = (*life.outcome(), life.phase(), told);
    life.handle(&gate, now, Input::Abandon, &mut effects);
    seen
}

fn is_wake(effect: &Effect) -> bool {
    matches!(effect, Effect::WakeAt { .. })
}

#[test]
fn what_is_implied_decides_nothing() {
    let open = |status| AttemptEvent::Open {
        status,
        code: None,
        retry_after: None,
    };
    let finish = AttemptEvent::Finish {
        usage: Usage { input: 3, output: 9 },
    };
    let (connected, first) = (AttemptEvent::Connected, AttemptEvent::FirstToken);
    let told: [(&[AttemptEvent], &[AttemptEvent]); 5] = [
        (&[connected, open(200), first, finish], &[finish]),
        (&[connected, open(200), first], &[first]),
        (&[connected, open(200)], &[open(200)]),
        (&[connected, open(503)], &[open(503)]),
        (&[connected, open(400)], &[open(400)]),
    ];
    for (all, last) in told {
        for stream in [false, true] {
            assert_eq!(life(all, stream), life(last, stream), "{last:?}");
        }
    }
}

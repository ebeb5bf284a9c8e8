//! One whole request, through lifecycle and gate, by either memory; and one of the simulator's rich kernel.

use std::hint::black_box;

use tollgate_core::dice::Dice;
use tollgate_core::gate::Gate;
use tollgate_core::id::{KeyHash, LimitId, RequestId, RouteId};
use tollgate_core::lifecycle::{AttemptEvent, Effect, Effects, Input, Lifecycle, Phase, Request};
use tollgate_core::memory::{Local, Memory, Shared};
use tollgate_core::policy::{Charges, Class};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::{Estimate, Usage};
use tollgate_sim::engine::Engine;
use tollgate_sim::record::Quiet;

use super::Path;
use crate::model;

pub(super) fn paths() -> Vec<Path> {
    vec![
        request::<Local>("a request, whole lifecycle, Local"),
        request::<Shared>("a request, whole lifecycle, Shared"),
        Path::new("ten requests of the simulator's rich kernel", |rounds| {
            let requests = 10 * u64::from(rounds);
            let plan = model::plan(7, requests);
            let record = Engine::new(&plan, 0, Quiet).run(|_| true).expect("nobody stops it");
            assert_eq!(record.counts.offered, requests);
        }),
    ]
}

/// Admitted by a limit, sent to one of eight endpoints, and answered at once.
fn request<M: Memory>(name: &str) -> Path
where
    Gate<M>: 'static,
{
    let gate = Gate::<M>::new(model::policy());
    let mut effects = Effects::new();
    let mut charges = Charges::default();
    charges.push(LimitId(0), KeyHash(7));
    let request = Request {
        class: Class {
            route: Some(RouteId(0)),
            charges,
            ..Class::default()
        },
        estimate: Estimate {
            input: 100,
            output: Some(10),
            more: 0,
        },
        ..Request::default()
    };
    let (mut now, mut number) = (Instant::EPOCH, 0);
    Path::new(name, move |rounds| {
        let gate = black_box(&gate);
        for _ in 0..rounds {
            number += 1;
            now += Nanos::from_millis(1);
            let dice = Dice::new(7).request(number);
            let mut life = Lifecycle::new(RequestId(number), request, dice);
            life.handle(gate, now, Input::Start, &mut effects);
            let mut launched = None;
            for effect in effects.drain() {
                if let Effect::Launch { attempt, .. } = black_box(effect) {
                    launched = Some(attempt);
                }
            }
            let id = launched.expect("it is admitted");
            let usage = Usage { input: 100, output: 10 };
            for event in [
                AttemptEvent::Connected,
                AttemptEvent::FirstToken,
                AttemptEvent::Finish { usage },
            ] {
                life.handle(gate, now, Input::Attempt { id, event }, &mut effects);
                effects.drain().for_each(|effect| {
                    black_box(effect);
                });
            }
            assert_eq!(life.phase(), Phase::Settled);
        }
    })
}

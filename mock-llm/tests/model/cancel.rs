//! What becomes of work when the gateway hangs up.

use std::num::NonZeroU32;

use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::time::Instant;
use tollgate_mock_llm::model::{Backend, BackendSpec, JobId, Kind, OnCancel, QueueSpec, Servers};

use crate::api::plain;
use crate::world::{What, World, constant, job, seconds};

#[test]
fn a_cancelled_job_says_nothing() {
    for on_cancel in [OnCancel::Stop, OnCancel::Finish] {
        let mut world = World::new(&BackendSpec {
            on_cancel,
            ..BackendSpec::new("alone", Kind::Api(plain()))
        });
        let mut seen = Vec::new();
        let id = world.submit(Instant::EPOCH, job(0), |it| seen.push(it));
        world.cancel(seconds(1.0), id, |it| seen.push(it));
        assert_eq!(world.backend.progress(seconds(1.0), id), None);
        assert_eq!(seen.len(), 3, "its beginning");
        world.cancel(seconds(1.1), id, |it| seen.push(it));
        world.run_to(seconds(9.0), |it| seen.push(it));
        assert_eq!(seen.len(), 3);
        assert_eq!(world.backend.jobs(), 0);
        let busy = if on_cancel == OnCancel::Stop {
            1_000_000_000
        } else {
            1_500_000_000
        };
        assert_eq!(world.backend.busy(world.now), busy, "{on_cancel:?}");
    }
}

/// One server, one second of service; the first of three is served, the others wait.
fn three_in_a_queue(on_cancel: OnCancel, drop_expired: bool) -> (World, [JobId; 3]) {
    let servers = Servers::Bounded(NonZeroU32::new(1).expect("some"));
    let spec = QueueSpec {
        drop_expired,
        ..QueueSpec::new(servers, constant(1.0))
    };
    let mut world = World::new(&BackendSpec {
        on_cancel,
        ..BackendSpec::new("queue", Kind::Queue(spec))
    });
    let ids = [0, 1, 2].map(|number| world.submit(Instant::EPOCH, job(number), |_| {}));
    (world, ids)
}

#[test]
fn what_becomes_of_cancelled_work() {
    let last_finish = |on_cancel: OnCancel, drop_expired: bool, cancelled: usize| {
        let (mut world, ids) = three_in_a_queue(on_cancel, drop_expired);
        let mut end = None;
        world.cancel(seconds(0.5), ids[cancelled], |_| {});
        world.run_to(seconds(9.0), |seen| {
            if matches!(seen.what, What::Event(AttemptEvent::Finish { .. })) && seen.tag == 2 {
                end = Some(seen.at.as_secs_f64());
            }
        });
        assert_eq!(world.backend.jobs(), 0);
        end.expect("the last one finishes")
    };
    // The served one: its server is free at once, or at the end of its work.
    assert_eq!(last_finish(OnCancel::Stop, false, 0), 2.5);
    assert_eq!(last_finish(OnCancel::Finish, false, 0), 3.0);
    // One that waits: it leaves, is skipped when its turn comes, or is served for nobody.
    assert_eq!(last_finish(OnCancel::Stop, false, 1), 2.0);
    assert_eq!(last_finish(OnCancel::Finish, true, 1), 2.0);
    assert_eq!(last_finish(OnCancel::Finish, false, 1), 3.0);
}

//! Timers ring in order, never early, and what is set anew forgets what was set before.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tokio::task::{LocalSet, yield_now};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock, ManualClock, SystemClock, sleep_until};

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

proptest! {
    /// Whatever is waited for, in whatever order: a task sees exactly its instant, and all see them in order.
    #[test]
    fn manual_timers_ring_in_order(instants in prop::collection::vec(0_u64..20, 1..40)) {
        let clock = ManualClock::new();
        let rung = Rc::new(RefCell::new(Vec::new()));
        let local = LocalSet::new();
        for (number, nanos) in instants.iter().copied().enumerate() {
            let (clock, rung) = (clock.clone(), Rc::clone(&rung));
            local.spawn_local(async move {
                sleep_until(&clock, at(nanos)).await;
                assert_eq!(clock.now(), at(nanos));
                // However often others run, time stands still.
                yield_now().await;
                assert_eq!(clock.now(), at(nanos));
                rung.borrow_mut().push((nanos, number));
            });
        }
        clock.runtime().expect("a runtime").block_on(local);
        let mut expected: Vec<_> = instants.into_iter().zip(0..).collect();
        expected.sort_unstable();
        prop_assert_eq!(&*rung.borrow(), &expected);
    }
}

#[test]
fn what_one_timer_sets_going_ends_before_the_next_rings() {
    let clock = ManualClock::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let local = LocalSet::new();
    let (send, mut receive) = tokio::sync::mpsc::channel(1);
    let (one, first) = (clock.clone(), Rc::clone(&seen));
    local.spawn_local(async move {
        sleep_until(&one, at(5)).await;
        first.borrow_mut().push("first");
        send.send(()).await.expect("somebody listens");
    });
    let (other, second) = (clock.clone(), Rc::clone(&seen));
    local.spawn_local(async move {
        sleep_until(&other, at(5)).await;
        second.borrow_mut().push("second");
    });
    let consequence = Rc::clone(&seen);
    local.spawn_local(async move {
        receive.recv().await.expect("it is sent");
        consequence.borrow_mut().push("consequence of the first");
    });
    clock.runtime().expect("a runtime").block_on(local);
    assert_eq!(*seen.borrow(), ["first", "consequence of the first", "second"]);
}

#[test]
fn setting_again_replaces() {
    let clock = ManualClock::new();
    clock.runtime().expect("a runtime").block_on(async {
        let mut timer = clock.timer();
        let mut other = clock.timer();
        timer.set(at(100));
        other.set(at(60));
        poll_fn(|cx| {
            assert!(timer.poll(cx).is_pending());
            timer.set(at(50));
            assert!(timer.poll(cx).is_pending());
            timer.set(at(70));
            assert!(timer.poll(cx).is_pending());
            other.poll(cx)
        })
        .await;
        assert_eq!(clock.now(), at(60), "not 50");
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(clock.now(), at(70));
        timer.set(Instant::FAR);
        other.set(at(200));
        poll_fn(|cx| {
            assert!(timer.poll(cx).is_pending());
            other.poll(cx)
        })
        .await;
        assert_eq!(clock.now(), at(200), "not 100");
    });
}

#[test]
fn what_has_rung_has_rung() {
    let clock = ManualClock::new();
    clock.runtime().expect("a runtime").block_on(async {
        let mut timer = clock.timer();
        poll_fn(|cx| {
            assert!(timer.poll(cx).is_pending(), "it is not set");
            Poll::Ready(())
        })
        .await;
        timer.set(at(10));
        for _ in 0..3 {
            poll_fn(|cx| timer.poll(cx)).await;
            assert_eq!(clock.now(), at(10));
        }
        timer.set(at(4));
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(clock.now(), at(10), "the past rings now");
    });
}

#[test]
fn dropped_timers_are_forgotten() {
    let clock = ManualClock::new();
    clock.runtime().expect("a runtime").block_on(async {
        tokio::select! {
            biased;
            () = sleep_until(&clock, at(1_000)) => unreachable!("the other comes first"),
            () = sleep_until(&clock, at(10)) => {}
        }
        assert_eq!(clock.now(), at(10));
    });
    assert!(!clock.advance(), "nothing is left");
    assert_eq!(clock.now(), at(10));
    assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_nanos(10));
}

#[tokio::test]
async fn system_timers_are_never_early() {
    for clock in [SystemClock::new(), SystemClock::scaled(20.0).expect("in range")] {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let mut earlier = clock.now();
        for micros in [0, 1, 300, 1_000, 1_999, 20_000] {
            let at = clock.now() + Nanos::from_micros(micros);
            sleep_until(&*clock, at).await;
            let now = clock.now();
            assert!(at <= now && earlier <= now);
            earlier = now;
        }
    }
}

#[tokio::test]
async fn system_timers_can_be_set_again() {
    let clock = SystemClock::scaled(50.0).expect("in range");
    let mut timer = clock.timer();
    timer.set(Instant::FAR);
    poll_fn(|cx| {
        assert!(timer.poll(cx).is_pending());
        timer.set(Instant::from_secs(1_000_000_000));
        assert!(timer.poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let soon = clock.now() + Nanos::from_millis(50);
    timer.set(soon);
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(soon <= clock.now() && clock.now() < Instant::from_secs(3600));
}

/// The least lag of many, for a machine may be busy with others at any of them.
#[tokio::test]
async fn precise_timers_are_close() {
    let clock = SystemClock::scaled(20.0).expect("in range").precise();
    let mut least = Nanos::FOREVER;
    for _ in 0..50 {
        // 3.3 ms of the machine: through tokio's timer first, which alone would be half a millisecond late or more.
        let at = clock.now() + Nanos::from_micros(66_000);
        sleep_until(&clock, at).await;
        assert!(at <= clock.now());
        least = least.min(clock.now().since(at));
    }
    // Twenty times 400 microseconds.
    assert!(!cfg!(target_os = "linux") || least < Nanos::from_millis(8), "{least}");
}

#[tokio::test]
async fn precise_timers_can_be_set_again() {
    let clock = SystemClock::new().precise();
    let mut timer = clock.timer();
    for micros in [1_500, 300, 5_000, 0, 700] {
        let at = clock.now() + Nanos::from_micros(micros);
        timer.set(clock.now() + Nanos::from_secs(60));
        poll_fn(|cx| {
            assert!(timer.poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        timer.set(at);
        poll_fn(|cx| timer.poll(cx)).await;
        assert!(at <= clock.now());
        poll_fn(|cx| timer.poll(cx)).await;
    }
}

#[test]
fn clocks_that_begin_together_agree() {
    let wall = SystemClock::new().wall();
    let past = wall - Duration::from_secs(100);
    let clocks = [1.0, 10.0].map(|scale| SystemClock::scaled(scale).expect("in range").beginning(past));
    let (one, ten) = (clocks[0].now(), clocks[1].now());
    assert!(
        Instant::from_secs(100) <= one && Instant::from_secs(1_000) <= ten,
        "{one:?} {ten:?}"
    );
    assert!(ten < Instant::from_secs(1_100), "{ten:?}");
    let future = SystemClock::new().beginning(wall + Duration::from_secs(3_600));
    assert_eq!(future.now(), Instant::EPOCH, "it stands still until it begins");
}

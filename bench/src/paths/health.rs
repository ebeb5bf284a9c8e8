//! Breakers of an endpoint that is well: one attempt is admitted, and answered.

use std::hint::black_box;
use std::num::NonZeroU32;

use tollgate_core::health::{Admission, Breaker, Report};
use tollgate_core::policy::{BreakerKind, Window};
use tollgate_core::time::{Instant, Nanos};

use super::Path;

pub(super) fn paths() -> Vec<Path> {
    let five = NonZeroU32::new(5).expect("not zero");
    let open = Nanos::from_secs(30);
    vec![
        breaker(
            "consecutive failures",
            &BreakerKind::Consecutive {
                failures: five,
                open,
                probes: five,
            },
        ),
        breaker(
            "error rate of 100 attempts",
            &BreakerKind::ErrorRate {
                share: 0.5,
                window: Window::Count(NonZeroU32::new(100).expect("not zero")),
                min_requests: five,
                open,
                probes: five,
            },
        ),
        breaker(
            "max-fails",
            &BreakerKind::MaxFails {
                max_fails: five,
                fail_timeout: open,
            },
        ),
    ]
}

fn breaker(name: &str, kind: &BreakerKind) -> Path {
    let breaker = Breaker::new(kind);
    let mut health = breaker.fresh();
    let mut now = Instant::EPOCH;
    Path::new(format!("breaker, {name}"), move |rounds| {
        let (breaker, health) = (black_box(&breaker), black_box(&mut health));
        let latency = Nanos::from_millis(60);
        for _ in 0..rounds {
            now += Nanos::from_millis(1);
            assert_eq!(breaker.admit(health, now), Admission::Yes);
            assert_eq!(breaker.record(health, now, Report::Success { latency }, None), None);
        }
    })
}

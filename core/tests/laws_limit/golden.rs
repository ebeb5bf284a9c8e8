//! Known answers: decisions worked out by hand, and what theory says of Poisson arrivals.

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::limit::{Decision, FixedWindow, Gcra, Limiter, TokenBucket, Window};
use tollgate_core::math;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

use crate::subject::quota;

/// Milliseconds, units, and by how many milliseconds it is too early: zero if it is allowed.
type Row = (u64, Cost, u64);

fn decides<L: Limiter>(limiter: &L, rows: &[Row]) {
    let mut state = L::State::default();
    for (index, (at, cost, early)) in rows.iter().enumerate() {
        let now = Instant::EPOCH + Nanos::from_millis(*at);
        let expected = if *early == 0 {
            Decision::Allow { at: now }
        } else {
            Decision::Wait {
                until: now + Nanos::from_millis(*early),
            }
        };
        assert_eq!(limiter.take(&mut state, now, *cost), expected, "row {index}");
    }
}

/// dev-golden-gcra-0 and -0-ra: 10 a second, burst 3.
const SINGLE: [Row; 14] = [
    (0, 1, 0),
    (0, 1, 0),
    (0, 1, 0),
    (0, 1, 100),
    (100, 1, 0),
    (100, 1, 100),
    (350, 1, 0),
    (500, 1, 0),
    (2000, 1, 0),
    (2000, 1, 0),
    (2000, 1, 0),
    (2000, 1, 100),
    (2000, 1, 100),
    (2000, 1, 100),
];

/// dev-golden-gcra-1 and -1-ra: 50 a second, burst 60.
const LUMPS: [Row; 5] = [(0, 30, 0), (0, 30, 0), (500, 30, 100), (1000, 60, 200), (1600, 20, 0)];

/// dev-golden-fixed: 4 in each second.
const WINDOWS: [Row; 18] = [
    (50, 1, 0),
    (100, 1, 0),
    (200, 1, 0),
    (500, 1, 0),
    (900, 1, 100),
    (950, 1, 50),
    (1000, 1, 0),
    (1100, 1, 0),
    (1300, 1, 0),
    (1500, 1, 0),
    (1700, 1, 300),
    (1900, 1, 100),
    (1950, 1, 50),
    (2050, 1, 0),
    (2500, 1, 0),
    (2900, 1, 0),
    (5100, 1, 0),
    (5200, 1, 0),
];

const SECOND: Nanos = Nanos::from_secs(1);

#[test]
fn golden_gcra() {
    let (ten, fifty) = (quota(10, SECOND, 3), quota(50, SECOND, 60));
    decides(&Gcra::new(ten, Nanos::ZERO), &SINGLE);
    decides(&Gcra::new(fifty, Nanos::ZERO), &LUMPS);
    decides(&TokenBucket::new(ten, Nanos::ZERO), &SINGLE);
    decides(&TokenBucket::new(fifty, Nanos::ZERO), &LUMPS);
}

#[test]
fn golden_fixed() {
    decides(&FixedWindow::new(quota(4, SECOND, 1)), &WINDOWS);
}

/// What a client gets that asks every millisecond from 0 to `until`, both included.
fn saturated<L: Limiter>(limiter: &L, until: Nanos) -> u64 {
    let mut state = L::State::default();
    let mut admitted = 0;
    for millis in 0..=until.as_nanos() / 1_000_000 {
        while limiter
            .take(&mut state, Instant::EPOCH + Nanos::from_millis(millis), 1)
            .is_allowed()
        {
            admitted += 1;
        }
    }
    admitted
}

#[test]
fn saturated_buckets_admit_burst_and_rate() {
    // dev-bucket-0-max, dev-bucket-1-max
    for (amount, burst, secs, expected) in [(10, 3, 2, 23), (100, 20, 60, 6020)] {
        let quota = quota(amount, SECOND, burst);
        let until = Nanos::from_secs(secs);
        assert_eq!(saturated(&Gcra::new(quota, Nanos::ZERO), until), expected);
        assert_eq!(saturated(&TokenBucket::new(quota, Nanos::ZERO), until), expected);
    }
}

#[test]
fn windows_admit_twice_around_a_boundary() {
    // dev-fixedwin-burst-0, dev-fixedwin-burst-1
    for (limit, expected) in [(3, 6), (20, 40)] {
        let limiter = FixedWindow::new(quota(limit, SECOND, 1));
        let mut state = Window::default();
        let mut admitted = 0;
        for nanos in [1_999_999_999, 2_000_000_000] {
            while limiter.take(&mut state, Instant::from_nanos(nanos), 1).is_allowed() {
                admitted += 1;
            }
        }
        assert_eq!(admitted, expected);
    }
}

const ARRIVALS: u64 = 4_000_000;

/// The share of Poisson arrivals that is refused.
fn refused<L: Limiter>(limiter: &L, arrivals_a_second: f64) -> f64 {
    let dice = Dice::new(20_260_101);
    let mut state = L::State::default();
    let mut now = 0.0;
    let mut n_refused = 0_u32;
    for number in 0..ARRIVALS {
        now -= math::ln(dice.request(number).roll(Purpose::Arrival, 0).uniform()) / arrivals_a_second;
        let at = Instant::EPOCH + Nanos::from_secs_f64(now);
        n_refused += u32::from(!limiter.take(&mut state, at, 1).is_allowed());
    }
    f64::from(n_refused) / f64::from(u32::try_from(ARRIVALS).expect("a few million"))
}

fn near(measured: f64, expected: f64, tolerance: f64) {
    let error = (measured / expected - 1.0).abs();
    assert!(error <= tolerance, "{measured} instead of {expected}, {error} off");
}

/// A bucket before Poisson arrivals is an M/D/1 queue whose work is capped.
#[test]
fn poisson_arrivals_at_a_bucket() {
    // dev-gcra-0-rej, dev-gcra-1-rej, dev-gcra-2-rej
    for (arrivals, amount, burst, expected, tolerance) in [
        (12.0, 10, 5, 0.199_146_69, 0.007),
        (8.0, 10, 5, 0.035_290_396, 0.016),
        (95.0, 100, 20, 0.008_068_649_6, 0.119),
    ] {
        let quota = quota(amount, SECOND, burst);
        near(refused(&Gcra::new(quota, Nanos::ZERO), arrivals), expected, tolerance);
        near(
            refused(&TokenBucket::new(quota, Nanos::ZERO), arrivals),
            expected,
            tolerance,
        );
    }
}

#[test]
fn poisson_arrivals_at_a_window() {
    // dev-fixedwin-0-rej, dev-fixedwin-1-rej
    for (arrivals, limit, expected, tolerance) in [(10.0, 10, 0.125_110_04, 0.01), (90.0, 100, 0.008_331_918_3, 0.079)]
    {
        near(
            refused(&FixedWindow::new(quota(limit, SECOND, 1)), arrivals),
            expected,
            tolerance,
        );
    }
}

//! Known answers: decisions worked out by hand, and what theory says of Poisson arrivals.

use core::num::NonZeroU32;

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::laws::limit::quota;
use tollgate_core::limit::{
    Decision, FixedWindow, Gcra, LeakyBucket, Limiter, SegmentedWindow, SlidingLog, SlidingWindow, Tat, TokenBucket,
    TwoWindows, Window,
};
use tollgate_core::math;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Cost;

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

/// dev-golden-slidecounter: 4 in a second, as estimated.
const ESTIMATED: [Row; 18] = [
    (50, 1, 0),
    (100, 1, 0),
    (200, 1, 0),
    (500, 1, 0),
    (900, 1, 101),
    (950, 1, 51),
    (1000, 1, 1),
    (1100, 1, 0),
    (1300, 1, 0),
    (1500, 1, 1),
    (1700, 1, 0),
    (1900, 1, 0),
    (1950, 1, 51),
    (2050, 1, 0),
    (2500, 1, 0),
    (2900, 1, 0),
    (5100, 1, 0),
    (5200, 1, 0),
];

/// dev-golden-slidelog: 4 in any second.
const LOGGED: [Row; 18] = [
    (50, 1, 0),
    (100, 1, 0),
    (200, 1, 0),
    (500, 1, 0),
    (900, 1, 150),
    (950, 1, 100),
    (1000, 1, 50),
    (1100, 1, 0),
    (1300, 1, 0),
    (1500, 1, 0),
    (1700, 1, 0),
    (1900, 1, 200),
    (1950, 1, 150),
    (2050, 1, 50),
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

#[test]
fn golden_slidelog() {
    decides(&SlidingLog::new(quota(4, SECOND, 1)), &LOGGED);
    // As many segments as there are hundredths are exact for what comes at hundredths.
    let segments = NonZeroU32::new(100).expect("not zero");
    decides(&SegmentedWindow::new(quota(4, SECOND, 1), segments), &LOGGED);
    decides(&SegmentedWindow::new(quota(4, SECOND, 1), NonZeroU32::MIN), &WINDOWS);
}

/// The estimate falls below 4 a nanosecond after it is 4: the rows say milliseconds, so allowances are looked at here,
/// and promises by the law `wait_is_tight`.
#[test]
fn golden_slidecounter() {
    let limiter = SlidingWindow::new(quota(4, SECOND, 1));
    let mut state = TwoWindows::default();
    for (index, (at, cost, early)) in ESTIMATED.iter().enumerate() {
        let now = Instant::EPOCH + Nanos::from_millis(*at);
        let is_allowed = limiter.take(&mut state, now, *cost).is_allowed();
        assert_eq!(is_allowed, *early == 0, "row {index}");
    }
}

/// dev-slidecounter-0-worst: ten at the end of a window, then as many as it lets through; 19 within a period, which
/// is what `(1 + f) · limit` says at `f` = 0.9.
#[test]
fn windows_as_estimated_admit_nearly_twice() {
    let limiter = SlidingWindow::new(quota(10, SECOND, 1));
    let mut state = TwoWindows::default();
    let mut taken = Vec::new();
    for millis in 999..1_900 {
        let now = Instant::EPOCH + Nanos::from_millis(millis);
        while limiter.take(&mut state, now, 1).is_allowed() {
            taken.push(millis);
        }
    }
    assert_eq!(taken.len(), 19, "{taken:?}");
}

/// nginx's `limit_req` as its documentation and source have it: an excess that drains, asked before the request counts.
#[test]
fn leaky_buckets_are_those_of_nginx() {
    let (rate, burst) = (10_u64, 5_u64);
    let units = quota(rate, SECOND, burst + 1);
    let meter = LeakyBucket::meter(units);
    let shaper = LeakyBucket::shaper(units, Nanos::FOREVER);
    let (mut metered, mut shaped) = (Tat::default(), Tat::default());
    // Thousandths of a request, at a rate of one a hundred milliseconds.
    let mut excess: Option<(u64, u64)> = None;
    for millis in [
        0, 0, 0, 0, 0, 0, 0, 3, 99, 100, 101, 250, 251, 900, 2_000, 2_000, 2_000, 2_090,
    ] {
        let after = match excess {
            None => 0,
            Some((level, last)) => (level + 1_000).saturating_sub((millis - last) * rate),
        };
        let now = Instant::EPOCH + Nanos::from_millis(millis);
        let delay = Nanos::from_millis(after / rate);
        let (by_meter, by_shaper) = (meter.take(&mut metered, now, 1), shaper.take(&mut shaped, now, 1));
        if after <= burst * 1_000 {
            excess = Some((after, millis));
            assert_eq!(by_meter, Decision::Allow { at: now }, "at {millis}");
            assert_eq!(by_shaper, Decision::Allow { at: now + delay }, "at {millis}");
        } else {
            let until = now + Nanos::from_millis((after - burst * 1_000) / rate);
            assert_eq!(by_meter, Decision::Wait { until }, "at {millis}");
            assert_eq!(by_shaper, Decision::Wait { until }, "at {millis}");
        }
    }
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

/// Each unit that a log takes holds a place for a period: Erlang's loss formula.
#[test]
fn poisson_arrivals_at_a_log() {
    // dev-slidelog-0-rej, dev-slidelog-1-rej
    for (arrivals, limit, expected, tolerance) in [(10.0, 10, 0.214_582_34, 0.005), (90.0, 100, 0.026_957_38, 0.037)] {
        near(
            refused(&SlidingLog::new(quota(limit, SECOND, 1)), arrivals),
            expected,
            tolerance,
        );
    }
}

#[test]
fn poisson_arrivals_at_two_windows() {
    // dev-slidecounter-0-rej: between the fixed window and the log.
    let limiter = SlidingWindow::new(quota(10, SECOND, 1));
    near(refused(&limiter, 10.0), 0.165_172_97, 0.01);
}

/// How far the estimate is off, `f` into a window of unlimited Poisson arrivals.
#[test]
fn estimates_err_as_theory_says() {
    // dev-slidecounter-0-err-f0.25, dev-slidecounter-0-err-f0.5
    const MOST: u64 = 1_000_000;
    for (f, expected) in [(250, 1.369_306_4_f64), (500, 1.581_138_8)] {
        let limiter = SlidingWindow::new(quota(MOST, SECOND, 1));
        let dice = Dice::new(20_260_102);
        let mut state = TwoWindows::default();
        let (mut now, mut window, mut number) = (0.0, 0_u32, 0_u64);
        let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
        let mut arrivals = Vec::new();
        while number < 1_000_000 {
            now -= math::ln(dice.request(number).roll(Purpose::Arrival, 0).uniform()) / 10.0;
            number += 1;
            // Looked at once a window, whenever an arrival has passed the place.
            let look = f64::from(window) + f64::from(f) / 1_000.0;
            if look < now {
                let at = Instant::EPOCH + Nanos::from_secs_f64(look);
                let estimated = f64::from(u32::try_from(MOST - limiter.standing(&state, at).remaining).expect("small"));
                let truth = arrivals.iter().filter(|arrival| look - 1.0 < **arrival).count();
                // The estimate's whole part is shown: half a unit less on average, evenly spread.
                let error =
                    estimated + shown_less(f, &arrivals, window) - f64::from(u32::try_from(truth).expect("few"));
                (sum, squares, n) = (sum + error, squares + error * error, n + 1.0);
                window += 1;
                arrivals.retain(|arrival| look - 2.0 < *arrival);
            }
            arrivals.push(now);
            let _ = limiter.take(&mut state, Instant::EPOCH + Nanos::from_secs_f64(now), 1);
        }
        let deviation = math::sqrt(squares / n - (sum / n) * (sum / n));
        near(deviation, expected, 0.02);
        assert!(
            (sum / n).abs() < 4.0 * deviation / math::sqrt(n),
            "a bias of {}",
            sum / n
        );
    }
}

/// What the whole part of the estimate leaves out, `f` thousandths into `window`.
fn shown_less(f: u32, arrivals: &[f64], window: u32) -> f64 {
    let start = f64::from(window);
    let before = arrivals
        .iter()
        .filter(|arrival| (start - 1.0..start).contains(*arrival))
        .count();
    let weighed = u32::try_from(before).expect("few") * (1_000 - f);
    f64::from(weighed % 1_000) / 1_000.0
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

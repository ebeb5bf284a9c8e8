//! The laws of `tollgate_core::retry`.

use proptest::prelude::*;
use tollgate_core::dice::Rng;
use tollgate_core::policy::{self, Jitter};
use tollgate_core::retry::{Active, Backoff, Balance, ConcurrencyBudget, RetryBudget};
use tollgate_core::time::{Instant, Nanos};

const TTL: Nanos = Nanos::from_secs(10);
const SLOT: Nanos = Nanos::from_secs(1);

fn budget(ratio: f64, floor_per_sec: f64) -> RetryBudget {
    RetryBudget::new(&policy::RetryBudget {
        ratio,
        floor_per_sec,
        ttl: TTL,
    })
}

fn backoff(base: Nanos, max: Nanos, jitter: Jitter) -> Backoff {
    Backoff::new(&policy::Backoff { base, max, jitter })
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Deposit,
    Withdraw,
    Refund,
}

fn steps() -> impl Strategy<Value = Vec<(Nanos, Step)>> {
    let gap = prop_oneof![
        20 => 0u64..300_000_000,
        1 => 0u64..30_000_000_000,
    ];
    let step = prop_oneof![
        6 => Just(Step::Deposit),
        6 => Just(Step::Withdraw),
        1 => Just(Step::Refund),
    ];
    prop::collection::vec((gap.prop_map(Nanos::from_nanos), step), 0..600)
}

fn n_withdrawals(budget: &RetryBudget, balance: &mut Balance, now: Instant) -> u32 {
    let mut n = 0;
    while budget.withdraw(balance, now) {
        n += 1;
    }
    n
}

proptest! {
    /// For every stretch of a run, from its first step to each later one; refunds count against withdrawals.
    #[test]
    fn budget_bounds_amplification(steps in steps(), percent in 1u32..300, floor in 0u32..20) {
        let (ratio, floor) = (f64::from(percent) / 100.0, f64::from(floor) / 4.0);
        let budget = budget(ratio, floor);
        let mut balance = Balance::default();
        let mut now = Instant::from_secs(5);
        let mut began = None;
        let (mut deposits, mut out) = (0u32, 0u32);
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Deposit => {
                    budget.deposit(&mut balance, now);
                    deposits += 1;
                }
                Step::Withdraw => out += u32::from(budget.withdraw(&mut balance, now)),
                Step::Refund if 0 < out => {
                    budget.refund(&mut balance, now);
                    out -= 1;
                }
                Step::Refund => {}
            }
            let elapsed = now.since(*began.get_or_insert(now));
            let bound = ratio * f64::from(deposits) + floor * (elapsed + TTL + SLOT).as_secs_f64();
            prop_assert!(f64::from(out) <= bound + 1e-6, "{out} withdrawals exceed {bound}");
        }
    }

    #[test]
    fn ratios_are_exact(percent in 1u32..=100, rounds in 1u32..20) {
        let budget = budget(f64::from(percent) / 100.0, 0.0);
        let mut balance = Balance::default();
        for _ in 0..100 * rounds {
            budget.deposit(&mut balance, Instant::EPOCH);
        }
        prop_assert_eq!(n_withdrawals(&budget, &mut balance, Instant::EPOCH), percent * rounds);
    }

    #[test]
    fn refund_restores(steps in steps(), n in 1usize..20) {
        let budget = budget(0.25, 3.0);
        let mut balance = Balance::default();
        let mut now = Instant::EPOCH;
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Deposit => budget.deposit(&mut balance, now),
                Step::Withdraw | Step::Refund => { let _ = budget.withdraw(&mut balance, now); }
            }
        }
        // Turned to now by a withdrawal that is given back, so that only the books can differ.
        if budget.withdraw(&mut balance, now) {
            budget.refund(&mut balance, now);
        }
        let before = balance;
        let withdrawn = (0..n).filter(|_| budget.withdraw(&mut balance, now)).count();
        for _ in 0..withdrawn {
            budget.refund(&mut balance, now);
        }
        prop_assert_eq!(balance, before);
    }

    /// Two requests make one retry, if the first still counts when the second comes. Withdrawals in between fail.
    #[test]
    fn deposits_expire(
        at in 0u64..100_000_000_000,
        elapsed in 0u64..20_000_000_000,
        mut between in prop::collection::vec(0u64..20_000_000_000, 0..20),
    ) {
        let budget = budget(0.5, 0.0);
        let mut balance = Balance::default();
        let (at, elapsed) = (Instant::from_nanos(at), Nanos::from_nanos(elapsed));
        budget.deposit(&mut balance, at);
        between.sort_unstable();
        for later in between.into_iter().map(Nanos::from_nanos).filter(|later| *later < elapsed) {
            prop_assert!(!budget.withdraw(&mut balance, at + later));
        }
        budget.deposit(&mut balance, at + elapsed);
        let is_there = budget.withdraw(&mut balance, at + elapsed);
        if elapsed < TTL - SLOT {
            prop_assert!(is_there);
        }
        if TTL <= elapsed {
            prop_assert!(!is_there);
        }
    }

    #[test]
    fn balance_is_what_can_be_withdrawn(steps in steps(), elapsed in 0u64..12_000_000_000) {
        let budget = budget(0.5, 1.0);
        let mut balance = Balance::default();
        let mut now = Instant::EPOCH;
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Deposit => budget.deposit(&mut balance, now),
                Step::Withdraw | Step::Refund => { let _ = budget.withdraw(&mut balance, now); }
            }
        }
        let later = now + Nanos::from_nanos(elapsed);
        let before = balance;
        let told = budget.balance(&balance, later);
        prop_assert_eq!(balance, before);
        let n = f64::from(n_withdrawals(&budget, &mut balance, later));
        prop_assert!(n <= told.max(0.0) && told < n + 1.0, "{told} told, {n} withdrawn");
    }

    /// A call with a late `now` is the same as one with the latest.
    #[test]
    fn late_now_never_admits_more(steps in steps(), late in 0u64..20_000_000_000) {
        let budget = budget(0.3, 0.5);
        let (mut balance, mut clamped) = (Balance::default(), Balance::default());
        let mut now = Instant::EPOCH;
        for (n, (gap, step)) in steps.into_iter().enumerate() {
            now += gap;
            // Both have seen `now`; then one is called late.
            for balance in [&mut balance, &mut clamped] {
                budget.deposit(balance, now);
            }
            let seen = if n % 2 == 0 { now } else { now - Nanos::from_nanos(late) };
            match step {
                Step::Deposit => {
                    budget.deposit(&mut balance, seen);
                    budget.deposit(&mut clamped, now);
                }
                Step::Withdraw => {
                    prop_assert_eq!(budget.withdraw(&mut balance, seen), budget.withdraw(&mut clamped, now));
                }
                Step::Refund => {
                    budget.refund(&mut balance, seen);
                    budget.refund(&mut clamped, now);
                }
            }
            prop_assert_eq!(balance, clamped);
        }
    }

    #[test]
    fn never_above_max(base in any::<u64>(), max in any::<u64>(), retry: u32, seed: u64) {
        let max = Nanos::from_nanos(max);
        for jitter in [Jitter::Full, Jitter::Decorrelated, Jitter::None] {
            let delay = backoff(Nanos::from_nanos(base), max, jitter).delay(retry, None, &mut Rng::new(seed));
            prop_assert!(delay <= max);
        }
    }

    #[test]
    fn doubles_until_max(base in 1u64..1 << 40, max in any::<u64>(), retry in 0u32..200) {
        let (base, max) = (Nanos::from_nanos(base), Nanos::from_nanos(max));
        let backoff = backoff(base, max, Jitter::None);
        let delay = |retry| backoff.delay(retry, None, &mut Rng::new(0));
        prop_assert_eq!(delay(0), base.min(max));
        prop_assert_eq!(delay(retry + 1), (delay(retry) * 2).min(max));
    }

    /// One request's delays, all from the same draw, as its lifecycle asks for them.
    #[test]
    fn decorrelated_follows_the_last(base in 1u64..1 << 40, times in 0u64..1 << 20, seed: u64) {
        let (base, max) = (Nanos::from_nanos(base), Nanos::from_nanos(base) * times);
        let backoff = backoff(base, max, Jitter::Decorrelated);
        let mut last = base;
        for retry in 0..16 {
            prop_assert_eq!(backoff.draw(retry), 0);
            let delay = backoff.delay(retry, None, &mut Rng::new(seed));
            prop_assert!(base.min(max) <= delay && delay <= (last * 3).max(base).min(max), "{delay} after {last}");
            last = delay;
        }
    }

    #[test]
    fn retry_after_is_a_minimum(base in any::<u64>(), retry: u32, after in any::<u64>(), seed: u64) {
        let (base, after) = (Nanos::from_nanos(base), Nanos::from_nanos(after));
        for jitter in [Jitter::Full, Jitter::Decorrelated, Jitter::None] {
            let backoff = backoff(base, Nanos::from_secs(10), jitter);
            let own = backoff.delay(retry, None, &mut Rng::new(seed));
            let delay = backoff.delay(retry, Some(after), &mut Rng::new(seed));
            prop_assert_eq!(delay, own.max(after));
        }
    }
}

/// A budget by concurrency whose ratio is so many hundredths.
fn concurrency(percent: u32, floor: u32) -> ConcurrencyBudget {
    ConcurrencyBudget::new(&policy::RetryConcurrency {
        ratio: f64::from(percent) / 100.0,
        floor,
    })
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Begin,
    End,
    Withdraw,
    GiveBack,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        5 => Just(Event::Begin),
        3 => Just(Event::End),
        6 => Just(Event::Withdraw),
        2 => Just(Event::GiveBack),
    ];
    prop::collection::vec(event, 0..400)
}

/// What is active after `event`, and whether it was a retry that may be made.
fn after(budget: &ConcurrencyBudget, active: &mut Active, event: Event) -> bool {
    match event {
        Event::Begin => active.begin(),
        Event::End if 0 < active.requests => active.end(),
        Event::GiveBack if 0 < active.retries => active.give_back(),
        Event::Withdraw => return budget.withdraw(active),
        Event::End | Event::GiveBack => {}
    }
    false
}

proptest! {
    /// Against the same books in whole numbers: `100 · retries <= percent · active`, or the floor.
    #[test]
    fn never_more_retries_in_flight_than_allowed(events in events(), percent in 1u32..=100, floor in 0u32..5) {
        let budget = concurrency(percent, floor);
        let mut active = Active::default();
        let (mut requests, mut retries) = (0u32, 0u32);
        for event in events {
            let may = retries < floor || 100 * (retries + 1) <= percent * requests;
            let made = after(&budget, &mut active, event);
            match event {
                Event::Begin => requests += 1,
                Event::End => requests = requests.saturating_sub(1),
                Event::GiveBack => retries = retries.saturating_sub(1),
                Event::Withdraw => {
                    prop_assert_eq!(made, may, "{} out beside {}", retries, requests);
                    retries += u32::from(made);
                }
            }
            prop_assert_eq!(active, Active { requests, retries });
        }
    }

    #[test]
    fn the_floor_is_always_allowed(events in events(), percent in 1u32..=100, floor in 1u32..8) {
        let budget = concurrency(percent, floor);
        let mut active = Active::default();
        for event in events {
            let out = active.retries;
            let made = after(&budget, &mut active, event);
            if matches!(event, Event::Withdraw) && out < floor {
                prop_assert!(made, "{out} of a floor of {floor}");
            }
        }
    }

    #[test]
    fn a_retry_that_ended_makes_room_for_one(percent in 1u32..=100, floor in 0u32..5, requests in 0u32..100_000) {
        let budget = concurrency(percent, floor);
        let mut active = Active { requests, retries: 0 };
        while budget.withdraw(&mut active) {}
        let full = active;
        prop_assert_eq!(budget.balance(full).to_bits(), 0f64.to_bits());
        if 0 < full.retries {
            active.give_back();
            prop_assert!(budget.withdraw(&mut active));
        }
        prop_assert!(!budget.withdraw(&mut active));
        prop_assert_eq!(active, full);
    }

    #[test]
    fn shares_are_exact_and_rounded_down(percent in 1u32..=100, requests: u32) {
        let allowed = concurrency(percent, 0).allowed(Active { requests, retries: 0 });
        let expected = u64::from(requests) * u64::from(percent) / 100;
        prop_assert_eq!(u64::from(allowed), expected);
    }
}

/// `dev-retrybudget-0` of the reference values: 1000 requests a second, all of them fail, and are retried for as
/// long as the budget allows.
#[test]
fn steady_state_is_ratio_and_floor() {
    let budget = budget(0.2, 10.0);
    let mut balance = Balance::default();
    let mut retries = 0u32;
    for millis in 0..70_000 {
        let now = Instant::EPOCH + Nanos::from_millis(millis);
        budget.deposit(&mut balance, now);
        let n = n_withdrawals(&budget, &mut balance, now);
        if 20_000 <= millis {
            retries += n;
        }
    }
    let per_sec = f64::from(retries) / 50.0;
    assert!((per_sec - 210.0).abs() <= 0.5, "{per_sec} retries a second");
}

/// `dev-backoff-0-full` and `dev-backoff-0-max`: six retries, 100 ms doubled up to ten seconds.
#[test]
fn full_jitter_halves_the_mean() {
    let (base, max) = (Nanos::from_millis(100), Nanos::from_secs(10));
    let mut rng = Rng::new(30);
    let mut total = |jitter| {
        let backoff = backoff(base, max, jitter);
        (0..6).fold(Nanos::ZERO, |sum, retry| sum + backoff.delay(retry, None, &mut rng))
    };
    assert_eq!(total(Jitter::None), Nanos::from_millis(6300));
    let n = 200_000;
    let sum: f64 = (0..n).map(|_| total(Jitter::Full).as_secs_f64()).sum();
    let mean = sum / f64::from(n);
    assert!((mean / 3.15 - 1.0).abs() < 0.005, "a mean of {mean} s");
}

/// Uniform from 100 to 300 ms, so 200 on average; then from 100 to three times that, so 350.
#[test]
fn decorrelated_jitter_has_the_published_means() {
    let backoff = backoff(Nanos::from_millis(100), Nanos::from_secs(10), Jitter::Decorrelated);
    let n = 100_000_u32;
    for (retry, expected) in [(0, 0.2), (1, 0.35)] {
        let delays = (0..n).map(|seed| backoff.delay(retry, None, &mut Rng::new(u64::from(seed))).as_secs_f64());
        let mean = delays.sum::<f64>() / f64::from(n);
        assert!((mean / expected - 1.0).abs() < 0.005, "a mean of {mean} s");
    }
}

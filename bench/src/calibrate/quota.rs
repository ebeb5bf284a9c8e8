//! What a provider lets through, as far as its 429s tell.
//!
//! While a provider refuses for want of quota, it lets through what its quota refills. So in minutes with refusals the units
//! that it let through are the quota, and of requests and tokens the one that varies less is the one that is counted.

use crate::twin::count;

/// An attempt at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Try {
    /// When, in seconds.
    pub at: f64,
    /// Whether it was refused for want of quota.
    pub refused: bool,
    /// Tokens of its prompt, and the most of its answer.
    pub tokens: f64,
}

/// What is known of a quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quota {
    /// Nothing was refused: it is at least so many requests in a minute.
    Unseen {
        /// Most requests that were let through within a minute.
        at_least: f64,
    },
    /// Too few minutes saw refusals for more than a guess.
    Glimpsed {
        /// Refusals.
        refusals: usize,
        /// Most requests that were let through within a minute.
        at_least: f64,
    },
    /// So many units a minute.
    Seen {
        /// Whether tokens are counted, and not requests.
        of_tokens: bool,
        /// How many a minute.
        amount: f64,
        /// One standard error of that.
        error: f64,
        /// Refusals.
        refusals: usize,
    },
}

/// How long a window is, in seconds.
const WINDOW: f64 = 10.0;
/// Windows with refusals on both sides, and within, that are needed.
const LEAST_WINDOWS: usize = 5;

/// What `tries`, in any order, tell.
#[must_use]
pub fn find(mut tries: Vec<Try>) -> Quota {
    tries.sort_by(|one, other| one.at.total_cmp(&other.at));
    let refusals = tries.iter().filter(|one| one.refused).count();
    let at_least = busiest(&tries);
    let (Some(first), Some(last)) = (tries.first(), tries.last()) else {
        return Quota::Unseen { at_least };
    };
    if refusals == 0 {
        return Quota::Unseen { at_least };
    }
    // Each window: refusals, requests and tokens that were let through.
    let mut windows = vec![(0_usize, 0.0, 0.0); index((last.at - first.at) / WINDOW) + 1];
    for one in &tries {
        let window = &mut windows[index((one.at - first.at) / WINDOW)];
        if one.refused {
            window.0 += 1;
        } else {
            window.1 += 1.0;
            window.2 += one.tokens;
        }
    }
    // Between two others that refuse, a window has no burst that was saved before, and no time in which none was needed.
    let dry = windows
        .windows(3)
        .filter(|three| three.iter().all(|window| 0 < window.0));
    let dry: Vec<(f64, f64)> = dry.map(|three| (three[1].1, three[1].2)).collect();
    if dry.len() < LEAST_WINDOWS {
        return Quota::Glimpsed { refusals, at_least };
    }
    let spread = |values: &[f64]| {
        let n = count(values.len());
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance.sqrt(), (variance / n).sqrt())
    };
    let requests: Vec<f64> = dry.iter().map(|window| window.0).collect();
    let tokens: Vec<f64> = dry.iter().map(|window| window.1).collect();
    let (of_requests, of_tokens) = (spread(&requests), spread(&tokens));
    let varies = |(mean, deviation, _): (f64, f64, f64)| if 0.0 < mean { deviation / mean } else { f64::INFINITY };
    let is_tokens = varies(of_tokens) < varies(of_requests);
    let (mean, _, error) = if is_tokens { of_tokens } else { of_requests };
    // What is left over at either end of a window is up to one unit: that much is never known better.
    let whole = if is_tokens {
        0.0
    } else {
        1.0 / 12_f64.sqrt() / count(dry.len()).sqrt()
    };
    Quota::Seen {
        of_tokens: is_tokens,
        amount: mean * 60.0 / WINDOW,
        error: error.hypot(whole) * 60.0 / WINDOW,
        refusals,
    }
}

/// Most requests that were let through within a minute. `tries` are in order.
fn busiest(tries: &[Try]) -> f64 {
    let passed: Vec<f64> = tries.iter().filter(|one| !one.refused).map(|one| one.at).collect();
    let within = |(at, first): (usize, &f64)| passed[at..].partition_point(|other| *other < first + 60.0);
    passed.iter().enumerate().map(within).map(count).fold(0.0, f64::max)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "windows from the first on, as many as a log has"
)]
fn index(window: f64) -> usize {
    window as usize
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::Rng;

    use super::*;

    /// Ten requests a second for ten minutes, through a bucket of `amount` units a minute and as many at once.
    fn limited(amount: f64, of_tokens: bool) -> Vec<Try> {
        let mut rng = Rng::new(3);
        let (mut at, mut level) = (0.0, amount);
        let mut tries = Vec::new();
        while at < 600.0 {
            let gap = -0.1 * (1.0 - rng.uniform()).ln();
            let tokens = 100.0 + 1_000.0 * rng.uniform();
            at += gap;
            level = (level + gap * amount / 60.0).min(amount);
            let cost = if of_tokens { tokens } else { 1.0 };
            let refused = level < cost;
            level -= if refused { 0.0 } else { cost };
            tries.push(Try { at, refused, tokens });
        }
        tries
    }

    #[test]
    fn a_quota_that_refuses_is_found() {
        for (amount, tokens) in [(300.0, false), (120.0, false), (100_000.0, true)] {
            let found = find(limited(amount, tokens));
            let Quota::Seen {
                of_tokens,
                amount: seen,
                error,
                ..
            } = found
            else {
                panic!("{found:?}");
            };
            assert_eq!(of_tokens, tokens, "{found:?}");
            assert!(
                (seen - amount).abs() <= (4.0 * error).max(0.05 * amount),
                "{found:?} is not {amount}"
            );
        }
    }

    #[test]
    fn a_quota_that_never_refuses_is_unknown() {
        let found = find(limited(10_000.0, false));
        let Quota::Unseen { at_least } = found else {
            panic!("{found:?}");
        };
        assert!((500.0..800.0).contains(&at_least), "{at_least}");
        assert_eq!(find(Vec::new()), Quota::Unseen { at_least: 0.0 });
        let once = [(0.0, true), (1.0, false), (2.0, false)];
        let once = once.map(|(at, refused)| Try {
            at,
            refused,
            tokens: 1.0,
        });
        assert_eq!(
            find(once.to_vec()),
            Quota::Glimpsed {
                refusals: 1,
                at_least: 2.0
            }
        );
    }
}

//! The passive health check of nginx: `max_fails` and `fail_timeout`.

use crate::time::{Instant, Nanos};

/// Leaves an endpoint alone for `timeout` once `most` attempts have failed, then lets one attempt try it.
///
/// Exactly what `ngx_http_upstream_round_robin.c` does (nginx 1.31, `get_peer` and `free_round_robin_peer`), with
/// its three words: how many have *failed*, when the last one did (`accessed`), and when the endpoint was last
/// *checked*. Two things surprise those who know only the manual:
///
/// - Failures are not counted in a window. The count is forgotten by the first answer after an attempt was launched
///   later than `timeout` after the last failure; until then failures add up, however far apart they are.
/// - While the endpoint is out, any answer forgets the count once a try has been launched, also that of an attempt
///   which was launched long before. And every further failure, of such an attempt too, leaves the endpoint alone for
///   another `timeout`.
///
/// What tells nothing of the endpoint (a 429, a client's mistake, an attempt that was called off) neither counts nor
/// forgives, and lets the next attempt try; nginx takes it for an answer.
/// nginx counts whole seconds and lets the try pass one second later; instants are exact here.
/// It never ejects the only server of a group; here the pool's panic threshold decides that, for all kinds alike.
///
/// **Where it is wrong:** on endpoints that fail in part, where one failure (the default) takes all traffic away; and
/// for slow failures, of which `most` have to end before anything happens.
///
/// ```
/// use tollgate_core::health::{Fails, MaxFails};
/// use tollgate_core::time::{Instant, Nanos};
///
/// let at = Instant::from_secs;
/// let law = MaxFails::new(2, Nanos::from_secs(10));
/// let mut fails = Fails::default();
/// law.fail(&mut fails, at(1));
/// assert_eq!(law.out_until(&fails), None);
/// law.fail(&mut fails, at(2));
/// assert_eq!(law.out_until(&fails), Some(at(12)));
///
/// law.launch(&mut fails, at(12));
/// assert_eq!(law.out_until(&fails), Some(at(22)), "one tries it, the others wait");
/// law.pass(&mut fails);
/// assert_eq!(law.out_until(&fails), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxFails {
    most: u32,
    timeout: Nanos,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fails {
    count: u32,
    /// When the last attempt failed.
    failed: Instant,
    /// When the last attempt failed, or the first since was launched after the timeout.
    checked: Instant,
}

impl MaxFails {
    /// Out for `timeout` after `most` failures, of which there is at least one.
    #[must_use]
    pub const fn new(most: u32, timeout: Nanos) -> MaxFails {
        MaxFails { most, timeout }
    }

    /// What is known of an endpoint that is to be left alone until `until`.
    pub(super) fn out(&self, until: Instant) -> Fails {
        let failed = until - self.timeout;
        Fails {
            count: self.most,
            failed,
            checked: failed,
        }
    }

    /// What is known under this law of an endpoint that is not out, and of which another has known `fails`.
    pub(super) fn carry(&self, fails: &Fails) -> Fails {
        Fails {
            count: fails.count.min(self.most - 1),
            ..*fails
        }
    }

    /// Until when the endpoint is left alone; in the past if it may be tried. None if it is not out.
    #[must_use]
    pub fn out_until(&self, fails: &Fails) -> Option<Instant> {
        (self.most <= fails.count).then(|| fails.checked + self.timeout)
    }

    /// An attempt is launched at the endpoint: if its time is over, the next has to wait for as long again.
    pub fn launch(&self, fails: &mut Fails, now: Instant) {
        if fails.is_suspected() && fails.checked + self.timeout <= now {
            fails.checked = now;
        }
    }

    /// An attempt has failed.
    pub fn fail(&self, fails: &mut Fails, now: Instant) {
        fails.count = fails.count.saturating_add(1);
        fails.failed = now;
        fails.checked = now;
    }

    /// An attempt has been answered: if one was launched after the timeout, everything is forgiven.
    pub fn pass(&self, fails: &mut Fails) {
        if fails.is_tried() {
            *fails = Fails::default();
        }
    }

    /// A try was called off, so it tells nothing: the next attempt may try.
    pub fn call_off(&self, fails: &mut Fails, now: Instant) {
        if fails.is_tried() {
            fails.checked = fails.failed;
            // The timeout has passed since; at most `now` is when the next may try.
            debug_assert!(fails.checked + self.timeout <= now, "a try begins after the timeout");
        }
    }
}

impl Fails {
    /// How many have failed and are not forgiven.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether launches matter: there is something to forgive.
    #[must_use]
    pub const fn is_suspected(&self) -> bool {
        0 < self.count
    }

    /// Whether an attempt has been launched since the timeout after the last failure.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.failed < self.checked
    }
}

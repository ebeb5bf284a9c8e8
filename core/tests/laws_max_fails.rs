//! The laws of max-fails, against nginx's own three words.

use core::num::NonZeroU32;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tollgate_core::health::{Admission, Breaker, Circuit, Fails, Health, MaxFails, ProbeSlot, Report};
use tollgate_core::policy::BreakerKind;
use tollgate_core::time::{Instant, Nanos};

const TIMEOUT: u64 = 10;
const GOOD: Report = Report::Success { latency: Nanos::ZERO };

/// What happens, and how many seconds after the step before; numbers choose among the attempts that are out.
#[derive(Clone, Copy, Debug)]
enum Step {
    Launch,
    Fail(usize),
    Pass(usize),
    CallOff(usize),
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        4 => Just(Step::Launch),
        3 => any::<usize>().prop_map(Step::Fail),
        2 => any::<usize>().prop_map(Step::Pass),
        1 => any::<usize>().prop_map(Step::CallOff),
    ];
    prop::collection::vec((prop_oneof![4 => 0u64..4, 1 => 4u64..25], step), 0..300)
}

/// Whatever is asked whether an attempt may be launched, and told how it ended.
trait Law {
    /// Whether an attempt may be launched, which it then is.
    fn launch(&mut self, now: u64) -> Admission;
    fn end(&mut self, now: u64, step: Step, slot: Option<ProbeSlot>);
}

/// `ngx_http_upstream_rr_peer_t`, as far as it matters, with `accessed` and `checked` in seconds.
struct Nginx {
    max_fails: u32,
    fails: u32,
    accessed: u64,
    checked: u64,
}

impl Law for Nginx {
    fn launch(&mut self, now: u64) -> Admission {
        if self.max_fails <= self.fails && now - self.checked < TIMEOUT {
            return AWAY;
        }
        if TIMEOUT <= now - self.checked {
            self.checked = now;
        }
        Admission::Yes
    }

    fn end(&mut self, now: u64, step: Step, _: Option<ProbeSlot>) {
        match step {
            Step::Fail(_) => {
                self.fails += 1;
                (self.accessed, self.checked) = (now, now);
            }
            Step::Pass(_) if self.accessed < self.checked => self.fails = 0,
            Step::Launch | Step::Pass(_) | Step::CallOff(_) => {}
        }
    }
}

struct Ours {
    breaker: Breaker,
    health: Health,
}

impl Ours {
    fn new(max_fails: u32) -> Ours {
        let breaker = Breaker::new(&BreakerKind::MaxFails {
            max_fails: NonZeroU32::new(max_fails).expect("not zero"),
            fail_timeout: Nanos::from_secs(TIMEOUT),
        });
        Ours {
            health: breaker.fresh(),
            breaker,
        }
    }
}

impl Law for Ours {
    fn launch(&mut self, now: u64) -> Admission {
        self.breaker.admit(&mut self.health, Instant::from_secs(now))
    }

    fn end(&mut self, now: u64, step: Step, slot: Option<ProbeSlot>) {
        let now = Instant::from_secs(now);
        match step {
            Step::Launch => {}
            Step::Fail(_) => drop(self.breaker.record(&mut self.health, now, Report::Failure, slot)),
            Step::Pass(_) => drop(self.breaker.record(&mut self.health, now, GOOD, slot)),
            Step::CallOff(_) => self.breaker.release(&mut self.health, slot),
        }
    }
}

const AWAY: Admission = Admission::No { until: Instant::FAR };

/// What an attempt that may be launched is launched with.
fn slot(admission: Admission) -> Result<Option<ProbeSlot>, ()> {
    match admission {
        Admission::Yes => Ok(None),
        Admission::Probe(slot) => Ok(Some(slot)),
        Admission::No { .. } => Err(()),
    }
}

/// Runs both over `steps`, and says where they differ. Nothing is called off: nginx has no such thing.
fn differ(max_fails: u32, steps: &[(u64, Step)], mut ours: impl Law) -> Result<(), String> {
    let mut nginx = Nginx {
        max_fails,
        fails: 0,
        accessed: 0,
        checked: 0,
    };
    let mut out = Vec::new();
    // nginx's clock does not begin at its epoch.
    let mut now = 1_000;
    for (nth, (gap, step)) in steps.iter().enumerate() {
        now += gap;
        match *step {
            Step::Launch => {
                let theirs = nginx.launch(now) == Admission::Yes;
                let own = slot(ours.launch(now));
                if theirs != own.is_ok() {
                    return Err(format!("step {nth}: nginx says {theirs}"));
                }
                out.extend(own);
            }
            Step::Fail(which) | Step::Pass(which) if !out.is_empty() => {
                let slot = out.swap_remove(which % out.len());
                nginx.end(now, *step, slot);
                ours.end(now, *step, slot);
            }
            Step::Fail(_) | Step::Pass(_) | Step::CallOff(_) => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn max_fails_is_nginx(max_fails in 1u32..5, steps in steps()) {
        differ(max_fails, &steps, Ours::new(max_fails)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn one_tries_it_at_a_time(max_fails in 1u32..5, steps in steps()) {
        let mut ours = Ours::new(max_fails);
        let mut out = Vec::new();
        let mut now = 0;
        let mut tried: Option<u64> = None;
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Launch => {
                    let Ok(slot) = slot(ours.launch(now)) else { continue };
                    if slot.is_some() {
                        prop_assert!(tried.is_none_or(|at| at + TIMEOUT <= now), "two tries within the timeout");
                        tried = Some(now);
                    }
                    out.push(slot);
                }
                Step::Fail(which) | Step::Pass(which) | Step::CallOff(which) if !out.is_empty() => {
                    let slot = out.swap_remove(which % out.len());
                    ours.end(now, step, slot);
                    if matches!(step, Step::CallOff(_)) || ours.breaker.circuit(&ours.health) == Circuit::Closed {
                        tried = None;
                    }
                }
                Step::Fail(_) | Step::Pass(_) | Step::CallOff(_) => {}
            }
        }
    }
}

/// The law with one flaw: the oracle finds each.
struct Broken {
    law: MaxFails,
    fails: Fails,
    flaw: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// An answer forgives although nobody has tried.
    ForgivesAtOnce,
    /// A try does not send the others away.
    TriesAll,
    /// A straggler's failure does not prolong the ejection.
    ForgetsStragglers,
}

impl Law for Broken {
    fn launch(&mut self, now: u64) -> Admission {
        let now = Instant::from_secs(now);
        if self.law.out_until(&self.fails).is_some_and(|until| now < until) {
            return AWAY;
        }
        if self.flaw != Flaw::TriesAll {
            self.law.launch(&mut self.fails, now);
        }
        Admission::Yes
    }

    fn end(&mut self, now: u64, step: Step, _: Option<ProbeSlot>) {
        let now = Instant::from_secs(now);
        let is_out = self.law.out_until(&self.fails).is_some();
        match step {
            Step::Fail(_) if is_out && !self.fails.is_tried() && self.flaw == Flaw::ForgetsStragglers => {}
            Step::Fail(_) => self.law.fail(&mut self.fails, now),
            Step::Pass(_) if self.flaw == Flaw::ForgivesAtOnce => self.fails = Fails::default(),
            Step::Pass(_) => self.law.pass(&mut self.fails),
            Step::Launch | Step::CallOff(_) => {}
        }
    }
}

#[test]
fn the_oracle_finds_flaws() {
    for flaw in [Flaw::ForgivesAtOnce, Flaw::TriesAll, Flaw::ForgetsStragglers] {
        let mut runner = TestRunner::deterministic();
        let found = (0..256).any(|_| {
            let case = (1u32..5, steps()).new_tree(&mut runner).expect("a case").current();
            let law = MaxFails::new(case.0, Nanos::from_secs(TIMEOUT));
            let fails = Fails::default();
            differ(case.0, &case.1, Broken { law, fails, flaw }).is_err()
        });
        assert!(found, "{flaw:?} is not found");
    }
}

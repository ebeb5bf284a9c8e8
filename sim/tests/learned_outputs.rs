//! What learned estimates are for: the same quota, nobody names a maximum, and fewer are refused than where the worst is
//! assumed of everybody.

use tollgate_core::lifecycle::Outcome;
use tollgate_core::policy::file;
use tollgate_core::time::Instant;
use tollgate_sim::engine::Engine;
use tollgate_sim::experiment::prepare;
use tollgate_sim::record::{Observer, Record};
use tollgate_sim::scenario::{self, Folder};
use tollgate_sim::workload::{Call, Workload};

/// Tokens a second of the quota, and at once.
const RATE: u64 = 13_000;
const BURST: u64 = 20_000;

const SECOND: i128 = 1_000_000_000;

/// A bucket of the quota that is charged what was used, once it was: in tokens, each in as many parts as a second has
/// nanoseconds.
#[derive(Debug)]
struct Bucket {
    level: i128,
    at: Instant,
    /// Tokens that were missing, at worst.
    debt: i128,
    longest: i128,
}

impl Default for Bucket {
    fn default() -> Bucket {
        Bucket {
            level: i128::from(BURST) * SECOND,
            at: Instant::EPOCH,
            debt: 0,
            longest: 0,
        }
    }
}

impl Observer for Bucket {
    fn finished(&mut self, _call: &Call, outcome: &Outcome, _in_system: u32) {
        let gained = i128::from(RATE) * i128::from(outcome.finished.since(self.at).as_nanos());
        let used = i128::from(outcome.usage.total());
        self.level = (self.level + gained).min(i128::from(BURST) * SECOND) - used * SECOND;
        self.at = outcome.finished;
        self.debt = self.debt.max(-self.level / SECOND);
        self.longest = self.longest.max(used);
    }
}

/// Forty requests a second for what they need on average, under `estimate`.
fn run(estimate: &str) -> Record<Bucket> {
    let policy = format!(
        "[[limit]]\nname = \"tokens\"\nunit = \"tokens\"\nquota = {{ amount = {RATE}, period = \"1s\", burst = {BURST} }}\n\
         estimate = {estimate}\n[[pool]]\nname = \"all\"\nhealth = {{ kind = \"off\" }}\n[[pool.endpoint]]\nname = \"one\"\n\
         [[route]]\nname = \"all\"\npools = [\"all\"]\nretry = {{ max_attempts = 1 }}\n"
    );
    let world = "name = \"open\"\nseed = 3\n[run]\nrequests = 20_000\nwarmup = \"20s\"\n[workload]\n\
         arrivals = { process = \"poisson\", rate = 40.0 }\nprompt_tokens = { distribution = \"constant\", value = 100 }\n\
         output_tokens = { distribution = \"lognormal\", median = 150, p95 = 600 }\nmax_tokens = \"none\"\n\
         client = { kind = \"fire-and-forget\", timeout = \"none\" }\n\
         [[backend]]\nname = \"one\"\nkind = \"api\"\nttft = \"300ms\"\ntpot = \"10ms\"\n";
    let (policy, _) = file::read("policy.toml", &policy).unwrap_or_else(|problems| panic!("{problems}"));
    let (scenario, _) =
        scenario::read("world.toml", world, &Folder::nowhere()).unwrap_or_else(|problems| panic!("{problems}"));
    let workload = Workload::open(scenario.workload.clone()).expect("the workload was checked");
    let strategies = prepare(&scenario, &workload, vec![("one".to_owned(), policy)], 0).expect("it is bound");
    let engine = Engine::new(&strategies[0].plan, 0, Bucket::default());
    engine.run(|_| true).expect("nobody stops it")
}

fn refused(record: &Record<Bucket>) -> u64 {
    record.counts.refused.iter().sum()
}

#[test]
fn who_learns_refuses_less() {
    let worst = run("{ output_default = 4_096 }");
    let learned = run("{ output_default = 4_096, learn = true }");
    let nothing = run("{ output_default = 1 }");
    let (most, few) = (refused(&worst), refused(&learned));
    assert!(
        5 * few < most,
        "{few} refused of those who were learned from, {most} at the worst"
    );
    // Who assumes nothing refuses less still, and goes into debt for it.
    let (debt, deep) = (&learned.observer, &nothing.observer);
    assert!(refused(&nothing) < few);
    assert!(debt.debt <= debt.longest && debt.debt < deep.debt, "{debt:?}, {deep:?}");
}

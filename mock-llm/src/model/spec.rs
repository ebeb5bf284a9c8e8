//! What a scenario says about a backend.
//!
//! The fields are public and plain, so that whoever reads a file can fill and override them one by one.
//! [`BackendSpec::check`] finds the first number that a backend cannot have; no backend is built without it.

use std::num::NonZeroU32;

use tollgate_core::policy::Price;
use tollgate_core::time::Nanos;

use super::fault::FaultSpec;
use super::quota::QuotaSpec;
use crate::draw::{Distribution, OutOfRange, within};

/// A backend of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendSpec {
    /// What the scenario calls it.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// Where it stands, for faults that hit a region.
    pub region: Option<String>,
    /// What it charges, where the policy names no price.
    pub price: Option<Price>,
    /// Whether work goes on when the gateway hangs up.
    pub on_cancel: OnCancel,
    /// What goes wrong with it, and when; windows may overlap.
    pub faults: Vec<FaultSpec>,
}

impl BackendSpec {
    /// A backend without faults that stops work when the gateway hangs up.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> BackendSpec {
        BackendSpec {
            name: name.to_owned(),
            kind,
            region: None,
            price: None,
            on_cancel: OnCancel::Stop,
            faults: Vec::new(),
        }
    }

    /// Finds the first number that a backend cannot have.
    ///
    /// # Errors
    ///
    /// The field and what it must be.
    pub fn check(&self) -> Result<(), OutOfRange> {
        match &self.kind {
            Kind::Api(api) => api.check()?,
            Kind::Queue(queue) => queue.check()?,
        }
        self.faults.iter().try_for_each(FaultSpec::check)
    }
}

/// The kinds of backends.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// An LLM service seen from outside.
    Api(ApiSpec),
    /// Servers and a queue, as in queueing theory.
    Queue(QueueSpec),
}

/// Whether work goes on when the gateway hangs up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// It stops at once; a waiting job leaves.
    #[default]
    Stop,
    /// It goes on to its end, which nobody hears of.
    Finish,
}

/// An LLM service seen from outside: latency is drawn for each attempt, quotas are enforced, load is invisible but for
/// a common factor.
///
/// `TTFT = ttft · F(t) [· slow_factor] + prefill · uncached prompt tokens`, and each further token takes `tpot · √F(t)`.
///
/// ```
/// use tollgate_mock_llm::model::ApiSpec;
///
/// let mut spec = ApiSpec::profile("gpt-4o-mini").expect("a known name");
/// spec.error_share = 0.01;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ApiSpec {
    /// Seconds to the first token of an empty prompt.
    pub ttft: Distribution,
    /// Share of attempts whose TTFT is multiplied by `slow_factor`.
    pub slow_share: f64,
    /// What TTFT is multiplied by for those.
    pub slow_factor: Distribution,
    /// Seconds of TTFT for each prompt token that is not cached.
    pub prefill: f64,
    /// Seconds for each token after the first, one draw an attempt.
    pub tpot: Distribution,
    /// What all attempts have in common; none: nothing.
    pub load_factor: Option<LoadFactor>,
    /// Share of attempts answered with status 500 for no visible reason.
    pub error_share: f64,
    /// Share of attempts that are never answered.
    pub hang_share: f64,
    /// What it limits.
    pub quota: Vec<QuotaSpec>,
}

impl ApiSpec {
    /// A service of these latencies and no other trait: no tail, no errors, no quotas.
    ///
    /// # Panics
    ///
    /// Never: the constant it starts from is in range.
    #[must_use]
    pub fn new(ttft: Distribution, tpot: Distribution) -> ApiSpec {
        ApiSpec {
            ttft,
            slow_share: 0.0,
            slow_factor: Distribution::constant(1.0).expect("1 is a number of at least 0"),
            prefill: 0.0,
            tpot,
            load_factor: None,
            error_share: 0.0,
            hang_share: 0.0,
            quota: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), OutOfRange> {
        share("slow_share", self.slow_share)?;
        share("error_share", self.error_share)?;
        share("hang_share", self.hang_share)?;
        share("error_share", self.error_share + self.hang_share)?;
        within(
            "prefill",
            self.prefill,
            0.0,
            3600.0,
            "between 0 and 3600 seconds a token",
        )?;
        self.load_factor.as_ref().map_or(Ok(()), LoadFactor::check)
    }
}

/// The common load factor `F(t)` of a provider: the logarithm is a stationary first-order autoregression on a fixed time
/// grid, so that it is the same process whoever looks at it, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadFactor {
    /// Standard deviation of `ln F`.
    pub sigma: f64,
    /// After so long the correlation has fallen to `1/e`.
    pub relaxation: Nanos,
}

impl LoadFactor {
    fn check(&self) -> Result<(), OutOfRange> {
        within("load_factor.sigma", self.sigma, 0.0, 3.0, "between 0 and 3")?;
        let secs = self.relaxation.as_secs_f64();
        within("load_factor.relaxation", secs, 0.1, 1e7, "between 100ms and 115 days")
    }
}

/// Servers and a queue. The first token comes at completion, and the whole answer with it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSpec {
    /// How many jobs are served at once.
    pub servers: Servers,
    /// Who is served next.
    pub discipline: Discipline,
    /// Most jobs in the system, waiting and served; the next is answered with status 503. None: unbounded.
    pub capacity: Option<NonZeroU32>,
    /// Seconds of service.
    pub service: Distribution,
    /// Whether waiting work whose client has gone is skipped when its turn comes. Matters where
    /// [`OnCancel::Finish`] lets it wait on.
    pub drop_expired: bool,
}

impl QueueSpec {
    /// First come, first served; unbounded.
    #[must_use]
    pub fn new(servers: Servers, service: Distribution) -> QueueSpec {
        QueueSpec {
            servers,
            discipline: Discipline::Fifo,
            capacity: None,
            service,
            drop_expired: false,
        }
    }

    fn check(&self) -> Result<(), OutOfRange> {
        if let (Servers::Bounded(servers), Some(capacity)) = (self.servers, self.capacity)
            && capacity < servers
        {
            return Err(OutOfRange {
                field: "capacity",
                must_be: "at least the number of servers",
            });
        }
        Ok(())
    }
}

/// How many jobs are served at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// So many.
    Bounded(NonZeroU32),
    /// All of them.
    Unbounded,
}

/// Who is served next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Who came first.
    Fifo,
    /// Who came last; nobody is interrupted.
    Lifo,
    /// Everybody, in equal parts, nobody faster than one server.
    Ps,
    /// The most urgent, then who came first; nobody is interrupted.
    Priority,
}

impl Discipline {
    /// Every discipline and its word in a scenario.
    pub const NAMES: [(&'static str, Discipline); 4] = [
        ("fifo", Discipline::Fifo),
        ("lifo", Discipline::Lifo),
        ("ps", Discipline::Ps),
        ("priority", Discipline::Priority),
    ];
}

pub(super) fn share(field: &'static str, value: f64) -> Result<(), OutOfRange> {
    within(field, value, 0.0, 1.0, "a share between 0 and 1")
}

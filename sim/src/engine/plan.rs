//! What one strategy is to be run on: policy, workload, backends, network.

use std::fmt;

use tollgate_core::dice::{Dice, Purpose, RequestDice};
use tollgate_core::id::{RouteId, TenantId};
use tollgate_core::policy::{Class, Facts, Header, Parameters, Policy, Price, Priority, Slo};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::{Distribution, OutOfRange};
use tollgate_mock_llm::model::{AnyBackend, BackendSpec, FaultSpec};

use crate::scenario::{FaultPlan, incidents};
use crate::workload::{Call, Workload};

/// One strategy on one scenario; shared by its replications.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The root of all randomness.
    pub(crate) seed: u64,
    /// No call begins later.
    pub(crate) duration: Option<Nanos>,
    /// No further call begins after so many.
    pub(crate) requests: Option<u64>,
    /// What arrives earlier is not counted.
    pub(crate) warmup: Nanos,
    pub(crate) policy: Policy,
    pub(crate) workload: Workload,
    pub(crate) backends: Vec<BackendSpec>,
    pub(crate) faults: Vec<FaultPlan>,
    pub(crate) network: Network,
    /// The backend of each endpoint.
    pub(crate) backend_of: Vec<u16>,
    /// What each endpoint charges.
    pub(crate) prices: Vec<Option<Price>>,
    /// What is known of the requests of each tenant and model, models of one tenant side by side.
    classes: Vec<Classified>,
    models: usize,
    /// Whether any route adjusts requests.
    adjusts: bool,
    /// Requests to keep whole, per replication.
    pub(crate) samples: usize,
}

/// What is known of the requests of a tenant for a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classified {
    pub(crate) class: Class,
    pub(crate) priority: Priority,
    /// As the policy knows it; all whom it does not know are one.
    pub(crate) tenant: TenantId,
}

/// How long things are under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Between client and gateway, each way.
    pub client_to_gateway: Delay,
    /// Between gateway and backend, each way.
    pub gateway_to_backend: Delay,
    /// What the gateway itself takes before an attempt leaves.
    pub gateway_overhead: Delay,
    /// Between gateway and the store of shared limits, each way.
    pub gateway_to_store: Delay,
}

/// A length of time, constant or drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Delay {
    /// None.
    #[default]
    Zero,
    /// Always the same.
    Constant(Nanos),
    /// Drawn, in seconds.
    Drawn(Distribution),
}

impl From<&Distribution> for Delay {
    /// What is drawn in seconds, as cheap as it can be had.
    fn from(seconds: &Distribution) -> Delay {
        match seconds.as_constant() {
            Some(0.0) => Delay::Zero,
            Some(value) => Delay::Constant(Nanos::from_secs_f64(value)),
            None => Delay::Drawn(seconds.clone()),
        }
    }
}

impl Delay {
    /// The delay of draw `number` of a request.
    #[inline]
    pub(crate) fn draw(&self, dice: RequestDice, number: u32) -> Nanos {
        match self {
            Delay::Zero => Nanos::ZERO,
            Delay::Constant(length) => *length,
            Delay::Drawn(distribution) => distribution.sample_secs(&mut dice.roll(Purpose::Network, number)),
        }
    }
}

/// Why a policy cannot be run on a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// A backend has a number that it cannot have.
    OutOfRange {
        /// The backend.
        backend: String,
        /// What is wrong.
        cause: OutOfRange,
    },
    /// An endpoint has no backend of its name.
    NoBackend {
        /// The endpoint.
        endpoint: String,
        /// What backends there are.
        backends: Vec<String>,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::OutOfRange { backend, cause } => write!(f, "backend `{backend}`: {cause}"),
            PlanError::NoBackend { endpoint, backends } => write!(
                f,
                "endpoint `{endpoint}` has no backend of that name in the scenario; there are: {}",
                backends.join(", ")
            ),
        }
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// `policy` on this workload and these backends.
    ///
    /// # Errors
    ///
    /// If an endpoint of the policy has no backend, or a backend has an impossible number.
    ///
    /// # Panics
    ///
    /// With more than 65,536 backends, which a scenario that was read rules out.
    pub fn new(policy: Policy, workload: Workload, backends: Vec<BackendSpec>) -> Result<Plan, PlanError> {
        for backend in &backends {
            backend.check().map_err(|cause| PlanError::OutOfRange {
                backend: backend.name.clone(),
                cause,
            })?;
        }
        let find = |name: &str| backends.iter().position(|backend| backend.name == name);
        let mut backend_of = Vec::new();
        let mut prices = Vec::new();
        for endpoint in &policy.endpoints {
            let at = find(&endpoint.name).ok_or_else(|| PlanError::NoBackend {
                endpoint: endpoint.name.clone(),
                backends: backends.iter().map(|backend| backend.name.clone()).collect(),
            })?;
            backend_of.push(u16::try_from(at).expect("a scenario has fewer than 65,536 backends"));
            prices.push(endpoint.price.or(backends[at].price));
        }
        let models = workload.models().len();
        let classes = classify(&policy, &workload);
        let adjusts = policy.routes.iter().any(|route| !route.request.is_none());
        Ok(Plan {
            seed: 0,
            duration: None,
            requests: None,
            warmup: Nanos::ZERO,
            policy,
            workload,
            backends,
            faults: Vec::new(),
            network: Network::default(),
            backend_of,
            prices,
            classes,
            models,
            adjusts,
            samples: 0,
        })
    }

    /// `workload` as somebody meets it who sees nothing behind the gateway: no endpoint of `policy` is known.
    ///
    /// # Panics
    ///
    /// Never: what is not there has no impossible numbers.
    #[must_use]
    pub fn outside(policy: Policy, workload: Workload) -> Plan {
        let policy = Policy {
            endpoints: Vec::new(),
            ..policy
        };
        Plan::new(policy, workload, Vec::new()).expect("there is no endpoint that could miss its backend")
    }

    /// Draws everything from `seed`.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Plan {
        self.seed = seed;
        self
    }

    /// Calls stop to begin after `duration`, or after so many.
    #[must_use]
    pub fn until(mut self, duration: Option<Nanos>, requests: Option<u64>) -> Plan {
        self.duration = duration;
        self.requests = requests;
        self
    }

    /// Leaves out of every count what arrives before `warmup`.
    #[must_use]
    pub fn warmup(mut self, warmup: Nanos) -> Plan {
        self.warmup = warmup;
        self
    }

    /// Lets these things go wrong, beside what the backends bring along.
    #[must_use]
    pub fn faults(mut self, faults: Vec<FaultPlan>) -> Plan {
        self.faults = faults;
        self
    }

    /// Puts this network between the parties.
    #[must_use]
    pub fn network(mut self, network: Network) -> Plan {
        self.network = network;
        self
    }

    /// Keeps so many requests whole.
    #[must_use]
    pub fn samples(mut self, samples: usize) -> Plan {
        self.samples = samples;
        self
    }

    /// The root of all randomness.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.seed
    }

    /// After how long, and after how many, no further call begins.
    #[must_use]
    pub fn bounds(&self) -> (Option<Nanos>, Option<u64>) {
        (self.duration, self.requests)
    }

    /// What is left out of every count.
    #[must_use]
    pub fn left_out(&self) -> Nanos {
        self.warmup
    }

    /// The workload that is run.
    #[must_use]
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// The targets of a call; none if no route matches it.
    #[must_use]
    pub fn slo(&self, call: &Call) -> Option<Slo> {
        self.class(call).class.route.map(|route| self.policy.route(route).slo)
    }

    /// The policy that is run.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn build_backends(&self, dice: Dice) -> Vec<AnyBackend> {
        let until = Instant::EPOCH + self.duration.unwrap_or(Nanos::ZERO);
        let incidents = incidents(&self.faults, self.backends.len(), until, dice);
        let build = |(number, (spec, incidents)): (u64, (&BackendSpec, Vec<FaultSpec>))| {
            let mut spec = spec.clone();
            spec.faults.extend(incidents);
            AnyBackend::new(&spec, dice.branch(number)).expect("a plan holds checked backends")
        };
        (1..).zip(self.backends.iter().zip(incidents)).map(build).collect()
    }

    /// The most tokens that an answer may have, as `route` adjusts what the client says.
    #[inline]
    pub(crate) fn max_tokens(&self, route: Option<RouteId>, asked: Option<u32>) -> Option<u32> {
        match route {
            Some(route) if self.adjusts => {
                let asked = Parameters {
                    max_tokens: asked,
                    ..Parameters::default()
                };
                self.policy.route(route).request.apply(asked).max_tokens
            }
            Some(_) | None => asked,
        }
    }

    #[inline]
    pub(crate) fn class(&self, call: &Call) -> &Classified {
        let model = call.model.map_or(0, |model| usize::from(model.0) + 1);
        &self.classes[call.tenant as usize * (self.models + 1) + model]
    }
}

/// Every combination of tenant and model, once: what a proxy does for each request.
fn classify(policy: &Policy, workload: &Workload) -> Vec<Classified> {
    let models: Vec<&str> = std::iter::once("")
        .chain(workload.models().iter().map(String::as_str))
        .collect();
    let mut classes = Vec::new();
    for tenant in workload.tenants() {
        let id = policy.tenant_named(&tenant.name);
        let known = &policy.tenants[id.index()];
        let is_known = known.name == tenant.name;
        let (role, region, priority) = if is_known {
            (&known.role, &known.region, known.priority)
        } else {
            (&tenant.role, &tenant.region, tenant.priority)
        };
        let headers: Vec<Header<'_>> = tenant
            .headers
            .iter()
            .map(|(name, value)| Header { name, value })
            .collect();
        for model in &models {
            let model = if model.is_empty() { &tenant.model } else { *model };
            let facts = Facts {
                path: "/v1/chat/completions",
                model,
                tenant: &tenant.name,
                role,
                region,
                key: &tenant.name,
                client_ip: &tenant.name,
                headers: &headers,
            };
            classes.push(Classified {
                class: policy.classify(0, &facts),
                priority,
                tenant: id,
            });
        }
    }
    classes
}

//! From a scenario file to a [`Scenario`], or to everything that is wrong with it.
//!
//! A scenario says what the world is like: who asks for what, which backends answer, what goes wrong and when, how far
//! apart things are, and which policies are compared. Its keys are read as those of a policy are
//! ([`tollgate_core::file`]): what is unknown is an error, what is not built yet is an error that says so.
//!
//! | Left out | Means |
//! |---|---|
//! | `seed` | 7 |
//! | `[run]` | ten minutes, five replications, the first tenth of each left out of every count |
//! | `run.duration` beside `run.requests` | as long as that takes |
//! | `prompt_tokens`, `output_tokens` | lognormal: median 600 and 95 % below 4,000; median 150 and 95 % below 600 |
//! | `max_tokens`, `stream`, `tenants`, `client` | `"output"`; half of the calls; a single one; `openai-python` as it comes |
//! | `[network]` | 1 ms from the gateway to a backend and to a store, nothing elsewhere |
//! | `[[strategy]]` | none: the command line names policies |
//!
//! ```
//! use tollgate_sim::scenario::{self, Folder};
//!
//! let text = r#"
//!     name = "one-queue"
//!     [run]
//!     duration = "1m"
//!     [workload]
//!     arrivals = { process = "poisson", rate = 4.0 }
//!     [[backend]]
//!     name = "alpha"
//!     kind = "queue"
//!     servers = 1
//!     service = { distribution = "exponential", mean = "100ms" }
//! "#;
//! let (scenario, _) = scenario::read("one-queue.toml", text, &Folder::nowhere())?;
//! assert_eq!(scenario.backends[0].name, "alpha");
//! # Ok::<(), tollgate_core::file::Problems>(())
//! ```

mod backend;
mod bind;
mod distribution;
mod fault;
mod folder;
mod run;
mod workload;

use std::collections::BTreeMap;

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{self, At, ContentHash, Problems, Report, Section, Value};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::BackendSpec;

use crate::workload::{ArrivalSpec, WorkloadSpec};

pub use bind::Unbound;
pub use fault::{FaultPlan, When};
pub use folder::Folder;
pub use run::{RunSpec, Warmup};

use distribution::Measure;

/// Most backends.
pub const BACKENDS: usize = 1_024;
/// Most faults.
pub const FAULTS: usize = 1_024;
/// Most strategies.
pub const STRATEGIES: usize = 64;

/// What the world is like, and what is compared in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, which can be that of a folder.
    pub name: String,
    /// The question that it answers.
    pub description: String,
    /// The root of all chance.
    pub seed: u64,
    /// For how long, and how often.
    pub run: RunSpec,
    /// Who asks for what, and when.
    pub workload: WorkloadSpec,
    /// Who answers; without faults, which [`Scenario::incidents`] draws.
    pub backends: Vec<BackendSpec>,
    /// What goes wrong.
    pub faults: Vec<FaultPlan>,
    /// How far apart things are.
    pub network: NetworkSpec,
    /// What is compared; may be empty, where the command line names policies.
    pub strategies: Vec<Strategy>,
    /// A name for the content of the file.
    pub hash: ContentHash,
}

/// How far apart things are: seconds, one way.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// From a client to the gateway, and back.
    pub client_to_gateway: Distribution,
    /// From the gateway to a backend, and back.
    pub gateway_to_backend: Distribution,
    /// From the gateway to the store of shared limits, and back.
    pub gateway_to_store: Distribution,
    /// What the gateway itself takes for a request.
    pub gateway_overhead: Distribution,
}

/// One of the policies that are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// What reports call it.
    pub name: String,
    /// The policy file, as the scenario names it.
    pub policy: String,
    /// What that file says.
    pub text: String,
}

/// The scenario that `text`, the file called `name`, says, and its warnings. Files that it names are looked for in
/// `folder`.
///
/// # Errors
///
/// Everything that is wrong with it, if one thing is an error.
pub fn read(name: &str, text: &str, folder: &Folder<'_>) -> Result<(Scenario, Problems), Problems> {
    file::read(name, text, |root| scenario(root, folder))
}

fn scenario(root: &mut Section<'_>, folder: &Folder<'_>) -> Scenario {
    let run = run::read(&root.table_or_empty("run"));
    let backends = backends(root, folder);
    let faults = root.tables("fault", FAULTS);
    let faults = faults
        .iter()
        .filter_map(|section| fault::read(section, &backends, &run, folder));
    let faults: Vec<_> = faults.collect();
    if !root.has("workload") {
        root.missing("workload");
    }
    let workload = root.table_or_empty("workload");
    let workload = if root.has("workload") {
        workload::read(&workload, folder)
    } else {
        workload::unread(&workload)
    };
    if run.warmup == Warmup::Auto && (!faults.is_empty() || changes(&workload.arrivals)) {
        let message = "a warm-up can only be found where nothing changes on purpose";
        let help = Some("say how long: warmup = \"1m\"");
        let label = "there are faults, or arrivals that change";
        root.report().error(root.place("run.warmup"), message, label, help);
    }
    Scenario {
        name: root
            .required("name", file_name)
            .map_or(String::new(), |name| name.value),
        description: root.or("description", kind::text, String::new()),
        seed: root.or("seed", kind::integer(0_u64, u64::MAX), 7),
        run,
        workload,
        backends: backends.into_iter().map(|backend| backend.value).collect(),
        faults,
        network: network(&root.table_or_empty("network"), folder),
        strategies: strategies(root, folder),
        hash: root.hash(),
    }
}

/// Whether the rate of `arrivals` changes on purpose, or may.
fn changes(arrivals: &ArrivalSpec) -> bool {
    match arrivals {
        ArrivalSpec::Schedule { .. } | ArrivalSpec::Diurnal { .. } | ArrivalSpec::Trace(_) => true,
        ArrivalSpec::Deterministic { .. }
        | ArrivalSpec::Poisson { .. }
        | ArrivalSpec::Gamma { .. }
        | ArrivalSpec::Weibull { .. }
        | ArrivalSpec::Mmpp { .. }
        | ArrivalSpec::Hawkes { .. }
        | ArrivalSpec::Closed(_) => false,
    }
}

fn backends(root: &Section<'_>, folder: &Folder<'_>) -> Vec<At<BackendSpec>> {
    if !root.has("backend") {
        root.missing("backend");
    }
    let mut sections = root.tables("backend", BACKENDS);
    let backends: Vec<_> = sections
        .iter_mut()
        .map(|section| backend::read(section, folder))
        .collect();
    let names = backends
        .iter()
        .map(|backend| (backend.value.name.as_str(), backend.span));
    unique("backend", names, root.report());
    backends
}

fn network(table: &Section<'_>, folder: &Folder<'_>) -> NetworkSpec {
    let delay = |key, millis: f64| {
        let read = table
            .value(key)
            .and_then(|value| distribution::read(&value, Measure::Time, folder));
        read.unwrap_or_else(|| distribution::constant(millis / 1e3))
    };
    NetworkSpec {
        client_to_gateway: delay("client_to_gateway", 0.0),
        gateway_to_backend: delay("gateway_to_backend", 1.0),
        gateway_to_store: delay("gateway_to_store", 1.0),
        gateway_overhead: delay("gateway_overhead", 0.0),
    }
}

fn strategies(root: &Section<'_>, folder: &Folder<'_>) -> Vec<Strategy> {
    let mut places = Vec::new();
    let mut strategies = Vec::new();
    for section in root.tables("strategy", STRATEGIES) {
        let name = section.required("name", file_name);
        let policy = section.required("policy", kind::name);
        let text = policy.as_ref().and_then(|policy| {
            let read = folder.text(&policy.value);
            read.map_err(|error| refuse_file(&policy.value, policy.span, &error, section.report()))
                .ok()
        });
        if let Some(name) = &name {
            places.push((name.value.clone(), name.span));
        }
        if let (Some(name), Some(policy), Some(text)) = (name, policy, text) {
            strategies.push(Strategy {
                name: name.value,
                policy: policy.value,
                text,
            });
        }
    }
    unique(
        "strategy",
        places.iter().map(|(name, span)| (name.as_str(), *span)),
        root.report(),
    );
    strategies
}

/// Every name is the name of one thing of its kind.
fn unique<'n>(what: &str, names: impl Iterator<Item = (&'n str, file::Span)>, report: &Report) {
    let mut seen = BTreeMap::new();
    for (name, span) in names.filter(|(name, _)| !name.is_empty()) {
        if seen.insert(name, span).is_some() {
            let message = format!("this {what} has the name of another, `{name}`");
            report.error(span, message, "used before", Some("names must differ"));
        }
    }
}

fn refuse_file(name: &str, span: file::Span, error: &std::io::Error, report: &Report) {
    let help = "paths are relative to this file; `tollgate scenarios` lists what is shipped";
    report.error(
        span,
        format!("`{name}` cannot be read: {error}"),
        "cannot be read",
        Some(help),
    );
}

/// A name that can be that of a folder.
fn file_name(value: &Value<'_>) -> Result<String, Wrong> {
    let name = kind::name(value)?;
    let is_plain = !name.contains(['/', '\\']) && !name.starts_with('.');
    if is_plain {
        Ok(name)
    } else {
        Err(Wrong::expected(
            "a name without `/` and `\\` that does not begin with `.`",
        ))
    }
}

//! `[workload]`

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{Section, Value};
use tollgate_core::policy::Priority;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;

use super::Folder;
use super::distribution::{self, Measure};
use crate::trace::Format;
use crate::workload::{
    ArrivalSpec, BackoffSpec, Cause, ClientKind, ClientSpec, ClosedSpec, MAX_TOKENS, MaxTokens, Noise, Patience,
    TenantSpec, TenantsSpec, TraceSpec, WorkloadError, WorkloadSpec,
};

/// Most states, steps and tenants that are written out.
const STATES: usize = 64;
const STEPS: usize = 100_000;
const TENANTS: usize = 100_000;

/// What stands for a workload after an error.
pub(super) fn unread(table: &Section<'_>) -> WorkloadSpec {
    // Its keys are not missing one by one.
    let _: Vec<_> = table.entries();
    WorkloadSpec {
        arrivals: NOTHING,
        prompt_tokens: distribution::constant(1.0),
        output_tokens: distribution::constant(1.0),
        max_tokens: MaxTokens::Output,
        tenants: TenantsSpec::default(),
        stream: 0.5,
        client: ClientSpec::default(),
    }
}

const NOTHING: ArrivalSpec = ArrivalSpec::Poisson { rate: 1.0 };

pub(super) fn read(table: &Section<'_>, folder: &Folder<'_>) -> WorkloadSpec {
    let arrivals = if table.has("arrivals") {
        table
            .table("arrivals")
            .and_then(|mut table| arrivals(&mut table, folder))
    } else {
        table.missing("arrivals");
        None
    };
    let is_read = arrivals.is_some();
    let lengths = |key, median, p95| {
        let read = distribution::optional(table, key, Measure::Number, folder);
        let default = || Distribution::lognormal_median_p95(median, p95).expect("constants in range");
        read.unwrap_or_else(default)
    };
    let workload = WorkloadSpec {
        arrivals: arrivals.unwrap_or(NOTHING),
        prompt_tokens: lengths("prompt_tokens", 600.0, 4_000.0),
        output_tokens: lengths("output_tokens", 150.0, 600.0),
        max_tokens: table.or("max_tokens", max_tokens, MaxTokens::Output),
        tenants: table
            .value("tenants")
            .map_or_else(TenantsSpec::default, |value| tenants(&value)),
        stream: table.or("stream", kind::share, 0.5),
        client: table
            .table("client")
            .map_or_else(ClientSpec::default, |mut table| client(&mut table, folder)),
    };
    if let Err(errors) = workload.check() {
        let is_news = |error: &&WorkloadError| {
            let is_told = error.cause == Cause::Empty && error.field.starts_with("tenants[");
            !is_told && (is_read || !error.field.starts_with("arrivals"))
        };
        for error in errors.as_slice().iter().filter(is_news) {
            let place = table.place(&error.field);
            table
                .report()
                .error(place, error.to_string(), "not possible", Some(error.help()));
        }
    }
    workload
}

#[derive(Clone, Copy)]
enum Process {
    Deterministic,
    Poisson,
    Gamma,
    Weibull,
    Mmpp,
    Hawkes,
    Schedule,
    Diurnal,
    Closed,
    Trace,
}

const PROCESSES: &[(&str, Process)] = &[
    ("deterministic", Process::Deterministic),
    ("poisson", Process::Poisson),
    ("gamma", Process::Gamma),
    ("weibull", Process::Weibull),
    ("mmpp", Process::Mmpp),
    ("hawkes", Process::Hawkes),
    ("schedule", Process::Schedule),
    ("diurnal", Process::Diurnal),
    ("closed", Process::Closed),
    ("trace", Process::Trace),
];

/// Numbers are checked for being numbers here, and for being possible by [`WorkloadSpec::check`].
fn arrivals(table: &mut Section<'_>, folder: &Folder<'_>) -> Option<ArrivalSpec> {
    let process = table.variant("process", kind::one_of(PROCESSES, &[]), None)?;
    let number = |key| table.required(key, kind::number).map(|at| at.value);
    match process {
        Process::Deterministic => Some(ArrivalSpec::Deterministic { rate: number("rate")? }),
        Process::Poisson => Some(ArrivalSpec::Poisson { rate: number("rate")? }),
        Process::Gamma => {
            let (rate, cv) = (number("rate"), number("cv"));
            Some(ArrivalSpec::Gamma { rate: rate?, cv: cv? })
        }
        Process::Weibull => {
            let (rate, cv) = (number("rate"), number("cv"));
            Some(ArrivalSpec::Weibull { rate: rate?, cv: cv? })
        }
        Process::Mmpp => mmpp(table),
        Process::Hawkes => {
            let (rate, branching, decay) = (number("rate"), number("branching"), number("decay"));
            Some(ArrivalSpec::Hawkes {
                rate: rate?,
                branching: branching?,
                decay: decay?,
            })
        }
        Process::Schedule => schedule(table),
        Process::Diurnal => {
            let (mean, peak_over_mean) = (number("mean"), number("peak_over_mean"));
            let period = table.required("period", kind::length);
            Some(ArrivalSpec::Diurnal {
                mean: mean?,
                peak_over_mean: peak_over_mean?,
                period: period?.value,
            })
        }
        Process::Closed => {
            let users = table.required("users", kind::integer(1_u32, u32::MAX));
            let think = distribution::required(table, "think", Measure::Time, folder);
            Some(ArrivalSpec::Closed(ClosedSpec {
                users: users?.value,
                think,
            }))
        }
        Process::Trace => trace(table, folder),
    }
}

fn mmpp(table: &Section<'_>) -> Option<ArrivalSpec> {
    for key in ["rates", "holds"].into_iter().filter(|key| !table.has(key)) {
        table.missing(key);
    }
    let rates = table.list("rates", STATES, kind::number);
    let holds = table.list("holds", STATES, kind::length);
    Some(ArrivalSpec::Mmpp {
        rates: rates?.into_iter().map(|at| at.value).collect(),
        holds: holds?.into_iter().map(|at| at.value).collect(),
    })
}

fn schedule(table: &Section<'_>) -> Option<ArrivalSpec> {
    let words = &[("poisson", Noise::Poisson), ("none", Noise::None)];
    let noise = table.or("noise", kind::one_of(words, &[]), Noise::Poisson);
    let ramp = table.or("ramp", kind::boolean, false);
    if !table.has("steps") {
        table.missing("steps");
    }
    let steps = table.value("steps")?.list(STEPS)?;
    let steps = steps.iter().filter_map(step).collect();
    Some(ArrivalSpec::Schedule { steps, ramp, noise })
}

fn step(value: &Value<'_>) -> Option<(Nanos, f64)> {
    let pair = value.list(2)?;
    let [at, rate] = pair.as_slice() else {
        value.refuse(Wrong::expected("a time and a rate, as in [\"2m\", 400.0]"));
        return None;
    };
    let (at, rate) = (at.read(kind::duration), rate.read(kind::number));
    Some((at?.value, rate?.value))
}

fn trace(table: &Section<'_>, folder: &Folder<'_>) -> Option<ArrivalSpec> {
    let file = table.required("file", kind::name);
    let format = table.or(
        "format",
        |value: &Value<'_>| {
            let text = kind::text(value)?;
            let words = "\"auto\", \"azure\", \"mooncake\", \"burstgpt\", \"servegen\", \"tollgate\" or \"access-log\"";
            Format::named(&text).ok_or_else(|| Wrong::expected(words))
        },
        Format::Auto,
    );
    let speedup = table.or("speedup", kind::number, 1.0);
    let file = file?;
    let Some(path) = folder.file(&file.value) else {
        let help = Some("paths are relative to this file");
        table.report().error(
            file.span,
            format!("there is no file `{}`", file.value),
            "not found",
            help,
        );
        return None;
    };
    Some(ArrivalSpec::Trace(TraceSpec {
        file: path,
        format,
        speedup,
    }))
}

fn max_tokens(value: &Value<'_>) -> Result<MaxTokens, Wrong> {
    match value.toml().as_str() {
        Some("output") => return Ok(MaxTokens::Output),
        Some("none") => return Ok(MaxTokens::None),
        Some(_) | None => {}
    }
    let number = kind::integer(1_u32, MAX_TOKENS)(value).map(MaxTokens::Number);
    number.map_err(|_| Wrong::expected(format!("\"output\", \"none\", or a number from 1 to {MAX_TOKENS}")))
}

/// `{ count, skew }`, or a list of tenants.
fn tenants(value: &Value<'_>) -> TenantsSpec {
    if value.toml().is_array() {
        let list = value.list(TENANTS).unwrap_or_default();
        let tables = list.iter().filter_map(|value| value.table("`tenants`".into()));
        return TenantsSpec::List(tables.map(|table| tenant(&table)).collect());
    }
    let Some(table) = value.table("`tenants`".into()) else {
        return TenantsSpec::default();
    };
    let count = table.required("count", kind::integer(1_u32, u32::MAX));
    TenantsSpec::Zipf {
        count: count.map_or(1, |count| count.value),
        skew: table.or("skew", kind::number, 0.0),
    }
}

fn tenant(table: &Section<'_>) -> TenantSpec {
    TenantSpec {
        name: table
            .required("name", kind::name)
            .map_or(String::new(), |name| name.value),
        share: table.or("share", kind::number, 1.0),
        role: table.or("role", kind::text, String::new()),
        region: table.or("region", kind::text, String::new()),
        priority: table.or("priority", kind::one_of(&Priority::NAMES, &[]), Priority::Normal),
        model: table.or("model", kind::text, String::new()),
        headers: headers(table),
    }
}

/// `headers = { x-device = "mobile" }`
fn headers(table: &Section<'_>) -> Vec<(String, String)> {
    let Some(headers) = table.table("headers") else {
        return Vec::new();
    };
    let entries = headers.entries();
    if MOST_HEADERS < entries.len() {
        let message = format!("{} headers; at most {MOST_HEADERS} are allowed", entries.len());
        headers
            .report()
            .error(headers.span(), message, "too many", None::<&str>);
        return Vec::new();
    }
    let read = entries.into_iter().filter_map(|(name, value)| {
        let text = value.read(kind::text)?;
        Some((name.value.to_ascii_lowercase(), text.value))
    });
    read.collect()
}

/// Most headers of a tenant's calls.
const MOST_HEADERS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sdk {
    FireAndForget,
    Python,
    Node,
    Custom,
}

fn client(table: &mut Section<'_>, folder: &Folder<'_>) -> ClientSpec {
    let words = &[
        ("fire-and-forget", Sdk::FireAndForget),
        ("openai-python", Sdk::Python),
        ("openai-node", Sdk::Node),
        ("custom", Sdk::Custom),
    ];
    let sdk = table.variant("kind", kind::one_of(words, &[]), Some(Sdk::Python));
    let kind = match sdk {
        Some(Sdk::FireAndForget) => ClientKind::FireAndForget,
        Some(Sdk::Python) | None => ClientKind::OpenaiPython,
        Some(Sdk::Node) => ClientKind::OpenaiNode,
        Some(Sdk::Custom) => ClientKind::Custom {
            backoff: backoff(&table.table_or_empty("backoff")),
            honours_retry_after: table.or("honours_retry_after", kind::boolean, true),
        },
    };
    let retries = match sdk {
        Some(Sdk::FireAndForget) => None,
        Some(Sdk::Python | Sdk::Node | Sdk::Custom) | None => {
            table.optional("max_retries", kind::integer(0_u32, u32::MAX))
        }
    };
    let patience = table.value("patience").and_then(|value| match value.toml().as_str() {
        Some("none") => None,
        Some(_) | None => distribution::read(&value, Measure::Time, folder),
    });
    ClientSpec {
        kind,
        timeout: table
            .optional("timeout", kind::length_or_none)
            .map(|timeout| timeout.value),
        max_retries: retries.map(|retries| retries.value),
        patience: patience.map_or(Patience::None, Patience::Within),
    }
}

fn backoff(table: &Section<'_>) -> BackoffSpec {
    BackoffSpec {
        base: table.or("base", kind::duration, BackoffSpec::SDK.base),
        max: table.or("max", kind::duration, BackoffSpec::SDK.max),
        jitter: table.or("jitter", kind::share, BackoffSpec::SDK.jitter),
    }
}

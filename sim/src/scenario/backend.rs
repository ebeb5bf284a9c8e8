//! `[[backend]]`

use std::num::NonZeroU32;

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{At, Nearest, Section, Value, nearest};
use tollgate_core::policy;
use tollgate_core::usage::Unit;
use tollgate_mock_llm::model::{
    ApiSpec, BackendSpec, Count, Discipline, Kind, LoadFactor, OnCancel, Profile, QueueSpec, QuotaProfile, QuotaSpec,
    Servers,
};

use super::Folder;
use super::distribution::{self, Measure};

/// Most quotas of a backend.
const QUOTAS: usize = 16;

/// The backend, and where its name stands.
pub(super) fn read(section: &mut Section<'_>, folder: &Folder<'_>) -> At<BackendSpec> {
    let name = section.required("name", kind::name);
    let name = name.unwrap_or(At {
        value: String::new(),
        span: section.span(),
    });
    let is_api = section.variant(
        "kind",
        kind::one_of(&[("api", true), ("queue", false)], &["batch"]),
        None,
    );
    let kind = match is_api {
        Some(true) => Kind::Api(api(section, folder)),
        Some(false) => Kind::Queue(queue(section, folder)),
        None => Kind::Queue(QueueSpec::new(Servers::Unbounded, distribution::constant(0.0))),
    };
    let cancels = &[("stop", OnCancel::Stop), ("finish", OnCancel::Finish)];
    let spec = BackendSpec {
        region: section.optional("region", kind::name).map(|region| region.value),
        price: section.table("price").map(|table| policy::file::price(&table)),
        on_cancel: section.or("on_cancel", kind::one_of(cancels, &[]), OnCancel::Stop),
        ..BackendSpec::new(&name.value, kind)
    };
    if is_api.is_some()
        && let Err(error) = spec.check()
    {
        distribution::out_of_range(section, &error);
    }
    At {
        value: spec,
        span: name.span,
    }
}

fn api(section: &Section<'_>, folder: &Folder<'_>) -> ApiSpec {
    let time = |key| distribution::optional(section, key, Measure::Time, folder);
    let profile = section.optional("profile", profile).map(|profile| profile.value.spec());
    if !section.has("profile") {
        for key in ["ttft", "tpot"].into_iter().filter(|key| !section.has(key)) {
            section.missing(key);
        }
    }
    let blank = || ApiSpec::new(distribution::constant(0.0), distribution::constant(0.0));
    let mut api = profile.unwrap_or_else(blank);
    api.ttft = time("ttft").unwrap_or(api.ttft);
    api.tpot = time("tpot").unwrap_or(api.tpot);
    api.prefill = section
        .optional("prefill", kind::duration)
        .map_or(api.prefill, |at| at.value.as_secs_f64());
    api.slow_share = section.or("slow_share", kind::share, api.slow_share);
    api.error_share = section.or("error_share", kind::share, api.error_share);
    api.hang_share = section.or("hang_share", kind::share, api.hang_share);
    let factor = distribution::optional(section, "slow_factor", Measure::Number, folder);
    api.slow_factor = factor.unwrap_or(api.slow_factor);
    if let Some(value) = section.value("load_factor") {
        api.load_factor = match value.toml().as_str() {
            Some("none") => None,
            Some(_) | None => value
                .table("`load_factor`".into())
                .and_then(|table| load_factor(&table)),
        };
    }
    if let Some(value) = section.value("quota") {
        api.quota = quota(&value);
    }
    api
}

fn profile(value: &Value<'_>) -> Result<&'static Profile, Wrong> {
    let text = kind::text(value)?;
    let names = || Profile::ALL.iter().map(|profile| profile.name);
    Profile::named(&text).ok_or_else(|| unknown("the name of a profile", &text, names()))
}

fn unknown<'n>(what: &str, text: &str, names: impl Iterator<Item = &'n str>) -> Wrong {
    let meant = nearest(text, names);
    let wrong = Wrong::expected(what);
    match meant {
        Nearest::Nothing => wrong,
        Nearest::Word(_) | Nearest::Words(_) => wrong.help(meant.help("profile").unwrap_or_default()),
    }
}

fn load_factor(table: &Section<'_>) -> Option<LoadFactor> {
    let sigma = table.required("sigma", kind::not_negative(3.0));
    let relaxation = table.required("relaxation", kind::length);
    Some(LoadFactor {
        sigma: sigma?.value,
        relaxation: relaxation?.value,
    })
}

/// The name of a kind of account, or a list of quotas.
fn quota(value: &Value<'_>) -> Vec<QuotaSpec> {
    if value.toml().is_str() {
        let names = || QuotaProfile::ALL.iter().map(|profile| profile.name);
        let profile = value.read(|value| {
            let text = kind::text(value)?;
            QuotaProfile::named(&text)
                .ok_or_else(|| unknown("a list of quotas, or the name of a kind of account", &text, names()))
        });
        return profile.map_or(Vec::new(), |profile| profile.value.quota());
    }
    let list = value.list(QUOTAS).unwrap_or_default();
    let tables = list.iter().filter_map(|value| value.table("`quota`".into()));
    tables.filter_map(|mut table| one_quota(&mut table)).collect()
}

fn one_quota(table: &mut Section<'_>) -> Option<QuotaSpec> {
    let algorithms = &[("token-bucket", true), ("fixed-window", false)];
    let is_bucket = table.variant("algorithm", kind::one_of(algorithms, &[]), Some(true));
    let units = &[
        ("requests", Unit::Requests),
        ("tokens", Unit::Tokens),
        ("input-tokens", Unit::InputTokens),
        ("output-tokens", Unit::OutputTokens),
    ];
    let unit = table.required("unit", kind::one_of(units, &["micro-usd"]));
    let amount = table.required("amount", kind::integer(1_u64, u64::MAX));
    let period = table.required("period", kind::length);
    let count = table.optional("count", kind::one_of(&Count::NAMES, &[]));
    let burst = table
        .optional("burst", kind::integer(1_u64, u64::MAX))
        .filter(|_| is_bucket != Some(false));
    let slice = if is_bucket == Some(false) {
        table.optional("slice", kind::length)
    } else {
        None
    };
    let (unit, amount, period) = (unit?.value, amount?.value, period?.value);
    if let Some(count) = &count
        && count.value.unit() != unit
    {
        let words = Count::NAMES
            .iter()
            .filter(|(_, count)| count.unit() == unit)
            .map(|(word, _)| *word);
        let help = Some(format!("for this unit: {}", words.collect::<Vec<_>>().join(", ")));
        table.report().error(
            count.span,
            "`count` counts another unit than `unit`",
            "another unit",
            help,
        );
    }
    let count = count.map(|count| count.value).or(Count::of(unit))?;
    let made = if is_bucket? {
        QuotaSpec::token_bucket(count, amount, period, burst.map(|burst| burst.value))
    } else {
        QuotaSpec::fixed_window(count, amount, period, slice.map_or(period, |slice| slice.value))
    };
    made.map_err(|error| distribution::out_of_range(table, &error)).ok()
}

fn queue(section: &Section<'_>, folder: &Folder<'_>) -> QueueSpec {
    let servers = section.required("servers", |value: &Value<'_>| {
        let wrong = || Wrong::expected("a number of servers of at least 1, or \"unbounded\"");
        let servers = bounded(value, "unbounded").map_err(|()| wrong())?;
        Ok(servers.map_or(Servers::Unbounded, Servers::Bounded))
    });
    let capacity = section.optional("capacity", |value: &Value<'_>| {
        bounded(value, "none").map_err(|()| Wrong::expected("a number of jobs of at least 1, or \"none\""))
    });
    let discipline = section.or("discipline", kind::one_of(&Discipline::NAMES, &[]), Discipline::Fifo);
    let service = distribution::required(section, "service", Measure::Time, folder);
    QueueSpec {
        discipline,
        capacity: capacity.and_then(|capacity| capacity.value),
        drop_expired: section.or("drop_expired", kind::boolean, false),
        ..QueueSpec::new(servers.map_or(Servers::Unbounded, |servers| servers.value), service)
    }
}

/// A number above 0, or none where `value` is `word`.
fn bounded(value: &Value<'_>, word: &str) -> Result<Option<NonZeroU32>, ()> {
    if value.toml().as_str() == Some(word) {
        return Ok(None);
    }
    let number = kind::integer(1_u32, u32::MAX)(value).ok();
    number.and_then(NonZeroU32::new).map(Some).ok_or(())
}

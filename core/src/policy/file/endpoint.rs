//! `[[pool.endpoint]]`

use alloc::string::String;
use core::num::NonZeroU32;

use super::raw;
use super::tenant::named;
use crate::file::kind::{self, Wrong};
use crate::file::{At, Section, Value};
use crate::id::{PoolId, ScopeId};
use crate::policy::{Capability, Endpoint, Operation, Operations, Price};

pub(super) fn read(section: &Section<'_>) -> raw::Endpoint {
    let name = named(section);
    let weight = section.optional("weight", kind::integer(1_u32, Endpoint::MOST_WEIGHT));
    let keys = section.list("api_key_env", super::WORDS, variable).unwrap_or_default();
    let in_flight = section.optional("max_in_flight", kind::integer(1_u32, u32::MAX));
    twice(section, &keys);
    let scope = section.optional("quota_scope", kind::name).map(|scope| scope.value);
    let checked = Endpoint {
        name: name.value,
        pool: PoolId(0),
        url: section.optional("url", url).map(|url| url.value),
        provider: section.or("provider", provider, String::from("openai")),
        model: section.optional("model", kind::name).map(|model| model.value),
        api_key_env: keys.into_iter().map(|key| key.value).collect(),
        region: None,
        weight: weight
            .as_ref()
            .and_then(|at| NonZeroU32::new(at.value))
            .unwrap_or(NonZeroU32::MIN),
        tier: section.or("tier", kind::integer(0_u8, 255), 0),
        max_in_flight: in_flight.and_then(|most| NonZeroU32::new(most.value)),
        price: section.table("price").as_ref().map(price),
        can: section.table("can").as_ref().map_or(Capability::default(), can),
        scope: ScopeId(0),
        shares_quota: scope.is_some(),
    };
    raw::Endpoint {
        checked,
        name: name.span,
        weight: weight.map(|at| at.span),
        region: section.optional("region", kind::name).map(|region| region.value),
        scope,
    }
}

/// A key that is named twice would be used twice as often, and cool in two places.
fn twice(section: &Section<'_>, keys: &[At<String>]) {
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].iter().any(|other| other.value == key.value) {
            let message = alloc::format!("the variable `{}` is named twice", key.value);
            let help = Some("one variable a key");
            section.report().error(key.span, message, "named before", help);
        }
    }
}

fn url(value: &Value<'_>) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a URL that begins with \"https://\" or \"http://\" and names a host");
    let text = kind::text(value).map_err(|_| wrong())?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    let is_clean = !text.chars().any(|char| char.is_whitespace() || char.is_control());
    if host.is_empty() || host.contains('@') || !is_clean {
        return Err(wrong());
    }
    Ok(text)
}

fn provider(value: &Value<'_>) -> Result<String, Wrong> {
    let words = &[("openai", "openai"), ("anthropic", "anthropic")];
    let provider = kind::one_of(words, &[])(value);
    provider.map(String::from).map_err(|wrong| {
        let is_text = value.toml().is_str();
        if is_text {
            wrong.help("the dialect it speaks: OpenAI-compatible servers are \"openai\"")
        } else {
            wrong
        }
    })
}

fn variable(value: &Value<'_>) -> Result<String, Wrong> {
    let text = kind::name(value)?;
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let is_variable = text.chars().all(is_word) && !text.starts_with(|char: char| char.is_ascii_digit());
    if is_variable {
        Ok(text)
    } else {
        Err(Wrong::expected("the name of an environment variable")
            .help("letters, digits and `_`, as in \"OPENAI_API_KEY\""))
    }
}

/// `{ input, cached_input, output }` in USD per million tokens; cached input costs what input does unless it is said.
#[must_use]
pub fn price(table: &Section<'_>) -> Price {
    let price = kind::not_negative(1e6);
    let input = table.required("input", &price).map_or(0.0, |at| at.value);
    Price {
        input,
        cached_input: table.or("cached_input", &price, input),
        output: table.required("output", &price).map_or(0.0, |at| at.value),
    }
}

fn can(table: &Section<'_>) -> Capability {
    let all = Capability::default();
    let words = &[
        ("chat", Operation::Chat),
        ("completions", Operation::Completions),
        ("embeddings", Operation::Embeddings),
    ];
    let operations = table.list("operations", super::WORDS, kind::one_of(words, &[]));
    let operations = operations.map(|operations| {
        let mut set = Operations::NONE;
        for operation in operations {
            set = set.with(operation.value);
        }
        set
    });
    Capability {
        operations: operations.unwrap_or(all.operations),
        context: table.or("context", kind::integer(1_u32, u32::MAX), all.context),
        max_output: table.or("max_output", kind::integer(1_u32, u32::MAX), all.max_output),
        tools: table.or("tools", kind::boolean, all.tools),
        vision: table.or("vision", kind::boolean, all.vision),
        json: table.or("json", kind::boolean, all.json),
    }
}

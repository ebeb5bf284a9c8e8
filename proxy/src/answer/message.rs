//! What a client is told in words: which limit binds, what it can hold, and when to come back.
//!
//! Nothing of a key or a prompt is ever in a message.

use tollgate_core::fault::Fault;
use tollgate_core::gate::Gate;
use tollgate_core::id::LimitId;
use tollgate_core::lifecycle::{Advice, Refusal};
use tollgate_core::memory::Memory;
use tollgate_core::policy::{Algorithm, Limit, Policy};
use tollgate_core::usage::{Estimate, Unit};

use super::table::Unserved;
use super::{About, go};

/// Why core refuses.
pub(super) fn refusal<M: Memory>(gate: &Gate<M>, refusal: Refusal, about: &About<'_>, advice: Advice) -> String {
    let policy = gate.policy();
    let when = when(advice);
    match refusal {
        Refusal::Limited { limit, overflow, .. } => limited(limit_of(policy, limit), overflow, &when),
        Refusal::QueueFull => format!("Every endpoint is busy, and the queue for them is full.{when}"),
        Refusal::QueueTimeout => format!("No endpoint became free in time.{when}"),
        Refusal::Shed => format!("The gateway is overloaded, and gave this request up.{when}"),
        Refusal::NoEndpoint { .. } => format!("No endpoint can serve this now.{when}"),
        Refusal::NoRoute => format!("The model `{}` does not exist here, or not for this key.", about.model),
        Refusal::OutOfAttempts { fault, .. } => failed(fault, about, &when),
        Refusal::Deadline => format!("The time for this request has passed.{when}"),
        Refusal::TooLarge { limit: Some(limit) } => too_large(limit_of(policy, limit), about.estimate),
        Refusal::TooLarge { limit: None } => incapable(about),
        Refusal::Unauthorized => "The API key is missing or unknown: send `Authorization: Bearer KEY`.".to_owned(),
    }
}

/// Why nobody has read the request.
pub(super) fn unserved(unserved: Unserved) -> String {
    match unserved {
        Unserved::Path => "Nothing is at this path: it is /v1/chat/completions, /v1/completions, /v1/embeddings or \
                           /v1/models."
            .to_owned(),
        Unserved::Method { allow } => format!("This path is there for {allow} alone."),
        Unserved::BodyTimeout { after } => format!("The body did not come within {}.", go::duration(after)),
        Unserved::BodyTooLarge { most } => format!("The body is longer than {most} bytes, the most that is read."),
        Unserved::MediaType => {
            "The body must be plain JSON: `Content-Type: application/json`, and no `Content-Encoding`.".to_owned()
        }
        Unserved::Malformed => "This is no HTTP request. Is it TLS, at a port that does not speak it?".to_owned(),
        Unserved::UriTooLong => "The path is longer than is read.".to_owned(),
        Unserved::HeadersTooLarge { most } => {
            format!("There are too many headers, or they are longer than {most} bytes, the most that is read.")
        }
        Unserved::BuffersFull => "The gateway has no memory left for another body. Try again soon.".to_owned(),
        Unserved::ConnectionsFull => "The gateway has as many connections as it may. Try again soon.".to_owned(),
        Unserved::Stopping => "This gateway is about to stop. Try again: another may answer.".to_owned(),
    }
}

/// When to come back, as the end of a message.
fn when(advice: Advice) -> String {
    match advice.retry_after {
        Some(length) => format!(" Try again in {}.", go::duration(length)),
        None => String::new(),
    }
}

fn limit_of(policy: &Policy, limit: LimitId) -> &Limit {
    &policy.limits[limit.index()]
}

fn limited(limit: &Limit, overflow: bool, when: &str) -> String {
    let name = &limit.name;
    let units = units(limit.unit);
    let grants = match limit.algorithm {
        Algorithm::Gcra(quota) | Algorithm::TokenBucket(quota) | Algorithm::LeakyBucket(quota) => format!(
            "{} {units} per {}, at most {} at once",
            quota.amount, quota.period, quota.burst
        ),
        Algorithm::FixedWindow(quota)
        | Algorithm::SegmentedWindow { quota, .. }
        | Algorithm::SlidingLog(quota)
        | Algorithm::SlidingWindow(quota) => format!("{} {units} per {}", quota.amount, quota.period),
        Algorithm::Permits(most) if limit.unit == Unit::InFlight => format!("{most} {units}"),
        Algorithm::Permits(most) => format!("{most} {units} in flight"),
        Algorithm::Own(own) => format!("at most {} {units} at once", own.most()),
        Algorithm::Adaptive(_, bounds) => format!(
            "as many {units} as are answered without delay, {} to {}",
            bounds.min, bounds.max
        ),
    };
    let shared = if overflow {
        format!(
            " It has more than {} keys, its `max_keys`: this one shares its quota with others.",
            limit.max_keys
        )
    } else {
        String::new()
    };
    format!("Limit `{name}` is used up: it grants {grants}.{shared}{when}")
}

fn units(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "requests",
        Unit::Tokens => "tokens",
        Unit::InputTokens => "tokens of prompts",
        Unit::OutputTokens => "tokens of answers",
        Unit::MicroUsd => "millionths of a dollar",
        Unit::InFlight => "requests in flight",
    }
}

fn too_large(limit: &Limit, estimate: Estimate) -> String {
    let cost = limit.unit.cost(estimate.or(0), &[]);
    let most = limit.algorithm.most();
    let (name, units) = (&limit.name, units(limit.unit));
    let parts = match (limit.unit, estimate.output) {
        (Unit::Tokens, Some(output)) => format!(" ({} of the prompt, up to {output} of the answer)", estimate.input),
        (Unit::Tokens, None) => format!(" ({} of the prompt alone)", estimate.input),
        (Unit::MicroUsd, _) => {
            return format!(
                "This may cost more than limit `{name}` ever holds, which is {most} {units}. Send a shorter prompt, or a smaller `max_tokens`."
            );
        }
        (Unit::Requests | Unit::InputTokens | Unit::OutputTokens | Unit::InFlight, _) => String::new(),
    };
    let way_out = match limit.unit {
        Unit::Tokens | Unit::MicroUsd => "Send a shorter prompt, or a smaller `max_tokens`.",
        Unit::InputTokens => "Send a shorter prompt.",
        Unit::OutputTokens => "Send a smaller `max_tokens`.",
        Unit::Requests | Unit::InFlight => "It can never be served.",
    };
    format!("This is estimated at {cost} {units}{parts}; limit `{name}` never holds more than {most}. {way_out}")
}

fn incapable(about: &About<'_>) -> String {
    let needs = &about.needs;
    let mut asked = vec![format!("about {} tokens of prompt", needs.input)];
    if 0 < needs.output {
        asked.push(format!("up to {} of answer", needs.output));
    }
    let kinds = [
        (needs.tools, "tools"),
        (needs.vision, "pictures"),
        (needs.json, "JSON by construction"),
        (needs.region.is_some(), "one region"),
    ];
    asked.extend(
        kinds
            .iter()
            .filter(|(is_asked, _)| *is_asked)
            .map(|(_, kind)| (*kind).to_owned()),
    );
    format!(
        "No endpoint for the model `{}` can serve this: {}.",
        about.model,
        asked.join(", ")
    )
}

fn failed(fault: Fault, about: &About<'_>, when: &str) -> String {
    let what = match fault {
        Fault::Connect => "The provider cannot be reached.",
        Fault::NoConnection => "Every connection to the provider is in use.",
        Fault::Timeout => "The provider took too long.",
        Fault::RateLimited => "A quota at the provider is used up.",
        Fault::Overloaded => "The provider is overloaded.",
        Fault::Server => "The provider failed.",
        Fault::Client => match about.rejection {
            Some(rejection) => return format!("The provider refused the request with status {}.", rejection.status),
            None => "The provider refused the request.",
        },
        Fault::Stream => "The provider's answer broke off.",
        Fault::QuotaExhausted => "A quota at the provider is exhausted.",
        Fault::Credential => "The provider does not accept the gateway's key.",
    };
    format!("{what}{when}")
}

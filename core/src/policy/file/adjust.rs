//! `request` and `headers` of a route.

use alloc::format;
use alloc::string::String;

use super::matching::is_header_name;
use crate::file::kind::{self, Wrong};
use crate::file::{Section, Value};
use crate::policy::{Adjustment, HeaderStage, HeaderStages, Parameters};

/// `request = { defaults, caps }`
pub(super) fn adjustment(route: &Section<'_>) -> Adjustment {
    let table = route.table_or_empty("request");
    let defaults = parameters(&table.table_or_empty("defaults"));
    let caps_at = table.table_or_empty("caps");
    let caps = parameters(&caps_at);
    let adjustment = Adjustment { defaults, caps };
    let capped = adjustment.apply(defaults);
    for (key, differs) in [
        ("temperature", differ(capped.temperature, defaults.temperature)),
        ("top_p", differ(capped.top_p, defaults.top_p)),
        (
            "max_tokens",
            defaults.max_tokens.is_some() && capped.max_tokens != defaults.max_tokens,
        ),
        ("n", capped.n != defaults.n),
    ] {
        if differs {
            let message = format!("the default of `{key}` is above its cap");
            let help = "a smaller default or a larger cap";
            route
                .report()
                .error(caps_at.span(), message, "below the default", Some(help));
        }
    }
    adjustment
}

fn differ(one: Option<f64>, other: Option<f64>) -> bool {
    one.map(f64::to_bits) != other.map(f64::to_bits)
}

fn parameters(table: &Section<'_>) -> Parameters {
    let whole = |key, most| table.optional(key, kind::integer(1_u32, most)).map(|at| at.value);
    let real = |key, most| table.optional(key, kind::not_negative(most)).map(|at| at.value);
    Parameters {
        temperature: real("temperature", 2.0),
        top_p: real("top_p", 1.0),
        max_tokens: whole("max_tokens", 100_000_000),
        n: whole("n", 128),
    }
}

/// `headers = { request = { set, remove }, response = { set, remove } }`
pub(super) fn stages(route: &Section<'_>) -> HeaderStages {
    let table = route.table_or_empty("headers");
    HeaderStages {
        request: stage(&table.table_or_empty("request")),
        response: stage(&table.table_or_empty("response")),
    }
}

fn stage(table: &Section<'_>) -> HeaderStage {
    let mut stage = HeaderStage::default();
    if let Some(set) = table.table("set") {
        let entries = set.entries();
        if super::WORDS < entries.len() {
            let message = format!("{} headers to set; at most {} are allowed", entries.len(), super::WORDS);
            table.report().error(set.span(), message, "too many", None::<&str>);
            return stage;
        }
        for (name, value) in entries {
            match header(name.value) {
                Ok(name) => {
                    if let Some(text) = value.read(header_value) {
                        stage.set.push((name, text.value));
                    }
                }
                Err((message, label)) => table.report().error(name.span, message, label, None::<&str>),
            }
        }
    }
    let remove = table.list("remove", super::WORDS, |value: &Value<'_>| {
        let text = kind::text(value)?;
        header(&text).map_err(|(message, label)| Wrong::said(message, label))
    });
    stage.remove = remove.unwrap_or_default().into_iter().map(|at| at.value).collect();
    stage
}

/// The name of a header that a route may touch, in lower case; else what is wrong with it.
fn header(text: &str) -> Result<String, (String, &'static str)> {
    /// They frame a message, or say who asks: the gateway's own.
    const RESERVED: [&str; 18] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-api-key",
        "x-request-id",
    ];
    let name = text.to_ascii_lowercase();
    if !is_header_name(&name) {
        Err((format!("`{text}` cannot be the name of a header"), "not a header"))
    } else if RESERVED.contains(&name.as_str()) {
        Err((
            format!("`{name}` is the gateway's own: it frames a message or says who asks"),
            "not for a route to change",
        ))
    } else {
        Ok(name)
    }
}

fn header_value(value: &Value<'_>) -> Result<String, Wrong> {
    let text = kind::text(value)?;
    let is_plain = text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    if is_plain && text.len() <= 4096 && text.trim() == text {
        Ok(text)
    } else {
        Err(Wrong::expected(
            "the value of a header: plain ASCII, no line breaks, at most 4,096 characters",
        ))
    }
}

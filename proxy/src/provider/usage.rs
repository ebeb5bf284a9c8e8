//! What an answer took, as the provider counts it.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Tokens, as a provider says them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Of the prompt.
    pub(super) input: u32,
    /// Of the answer.
    pub(super) output: u32,
    /// Of the prompt, those that it had in its cache.
    pub(super) cached: Option<u32>,
}

impl Counted {
    /// What the object `json` says; nothing if it is something else, or its numbers are.
    pub(super) fn of(json: &str) -> Option<Counted> {
        let usage: Usage<'_> = serde_json::from_str(json).ok()?;
        let input = count(usage.prompt_tokens.or(usage.input_tokens)?)?;
        let output = match usage.completion_tokens.or(usage.output_tokens) {
            Some(tokens) => count(tokens)?,
            None => 0,
        };
        let details = usage.prompt_tokens_details.or(usage.input_tokens_details);
        let details: Option<Details<'_>> = details.and_then(|details| serde_json::from_str(details.get()).ok());
        Some(Counted {
            input,
            output,
            cached: details.and_then(|details| count(details.cached_tokens?)),
        })
    }
}

/// Numbers of other kinds must not hide the rest, so each is read by itself.
#[derive(Deserialize)]
struct Usage<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_tokens_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Option<&'a RawValue>,
}

/// Tokens; more than there can be are as many as there can be.
fn count(json: &RawValue) -> Option<u32> {
    let tokens: u64 = json.get().parse().ok()?;
    Some(u32::try_from(tokens).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let some = |input, output, cached| Some(Counted { input, output, cached });
        let cases = [
            (
                r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#,
                some(3, 5, None),
            ),
            (r#"{"prompt_tokens":3,"total_tokens":3}"#, some(3, 0, None)),
            (r#"{"input_tokens":3,"output_tokens":5}"#, some(3, 5, None)),
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":7}}"#,
                some(9, 1, Some(7)),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null}"#,
                some(9, 1, None),
            ),
            (
                r#"{"prompt_tokens":99999999999,"completion_tokens":1}"#,
                some(u32::MAX, 1, None),
            ),
            (r#"{"prompt_tokens":-3,"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":3.5,"completion_tokens":5}"#, None),
            (r#"{"prompt_tokens":"3"}"#, None),
            (r#"{"completion_tokens":5}"#, None),
            ("[]", None),
            ("null", None),
            ("{", None),
        ];
        for (json, counted) in cases {
            assert_eq!(Counted::of(json), counted, "{json}");
        }
    }
}

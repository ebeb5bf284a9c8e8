//! What is sent: chat requests whose prompts have about as many tokens as were drawn.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::Full;
use tollgate_core::dice::Dice;
use tollgate_mock_llm::server::{DICE, OUTPUT_TOKENS, PROMPT_TOKENS};
use tollgate_proxy::auth::Secret;
use tollgate_proxy::provider::Target;
use tollgate_sim::workload::{Call, Workload};

use super::pool::Outbound;

/// Most bytes of a prompt, whatever its tokens: as many as a gateway might read.
const MOST_PROMPT: usize = 16 << 20;
/// Bytes of a token, as gateways estimate and as [`TEXT`] has it.
const TOKEN_BYTES: usize = 4;
/// Words of three letters: with their blanks they are four bytes, and a token in every vocabulary.
const TEXT: &str =
    "the sun was red and the sky was low but the man had not yet got his hat for the day and the dog ran off ";
/// What is around the text of a prompt, in the array that gateways measure.
const AROUND: usize = r#"[{"role":"user","content":""}]"#.len();

/// Whose key is whose.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Of those who have their own, by name.
    pub own: HashMap<String, Secret>,
    /// Of everybody else.
    pub other: Option<Secret>,
}

/// Writes requests.
#[derive(Debug)]
pub(super) struct Writer {
    uri: Uri,
    /// What every request of a tenant says, by tenant.
    headers: Vec<HeaderMap>,
    /// Models as JSON: of those that a trace names, and of each tenant.
    models: Vec<String>,
    tenant_models: Vec<String>,
    text: String,
    /// What comes before the number in a request's name.
    name: String,
    dice: Dice,
    mock_dice: bool,
}

/// A header that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHeader {
    /// Whose it is.
    pub tenant: String,
    /// Its name.
    pub name: String,
}

impl Writer {
    pub(super) fn new(
        target: &Target,
        workload: &Workload,
        keys: &Keys,
        model: &str,
        root: (u64, u64),
        mock_dice: bool,
    ) -> Result<Writer, BadHeader> {
        let json = |model: &str| serde_json::Value::from(model).to_string();
        let full = target.at("/chat/completions");
        let uri = full.path_and_query().map(ToString::to_string).unwrap_or_default();
        let mut headers = Vec::with_capacity(workload.tenants().len());
        for tenant in workload.tenants() {
            let mut map = HeaderMap::new();
            map.insert(HOST, target.host().clone());
            map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(key) = keys.own.get(&tenant.name).or(keys.other.as_ref()) {
                map.insert(AUTHORIZATION, key.bearer().clone());
            }
            for (name, value) in &tenant.headers {
                let bad = || BadHeader {
                    tenant: tenant.name.clone(),
                    name: name.clone(),
                };
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
                map.append(name, HeaderValue::from_str(value).map_err(|_| bad())?);
            }
            headers.push(map);
        }
        let own =
            |tenant: &tollgate_sim::workload::Tenant| json(if tenant.model.is_empty() { model } else { &tenant.model });
        let (seed, replication) = root;
        Ok(Writer {
            uri: uri.parse().expect("a part of a URL"),
            headers,
            models: workload.models().iter().map(|model| json(model)).collect(),
            tenant_models: workload.tenants().iter().map(own).collect(),
            text: TEXT.repeat(1 + (64 << 10) / TEXT.len()),
            name: format!("load-{seed}-{replication}-"),
            dice: Dice::new(seed).branch(replication),
            mock_dice,
        })
    }

    /// The request of `call` after so many retries.
    pub(super) fn request(&self, call: &Call, retries: u32) -> Outbound {
        let mut request = Request::new(Full::new(self.body(call)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let mut headers = self.headers[call.tenant as usize].clone();
        let mut word = String::with_capacity(64);
        let mut put = |name: &'static str, write: &dyn Fn(&mut String)| {
            word.clear();
            write(&mut word);
            if let Ok(value) = HeaderValue::from_str(&word) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        // Writing to a string does not fail.
        put("x-request-id", &|word| {
            let _never = write!(word, "{}{}-{retries}", self.name, call.number);
        });
        put(PROMPT_TOKENS, &|word| {
            let _never = write!(word, "{}", call.prompt);
        });
        put(OUTPUT_TOKENS, &|word| {
            let _never = write!(word, "{}", call.output);
        });
        if self.mock_dice {
            let bits = self.dice.request(call.request(retries)).to_bits();
            put(DICE, &|word| {
                let _never = write!(word, "{bits:016x}");
            });
        }
        *request.headers_mut() = headers;
        request
    }

    fn body(&self, call: &Call) -> Bytes {
        let model = match call.model {
            Some(model) => &self.models[usize::from(model.0)],
            None => &self.tenant_models[call.tenant as usize],
        };
        let wanted = (call.prompt as usize).saturating_mul(TOKEN_BYTES).min(MOST_PROMPT);
        let wanted = wanted.saturating_sub(AROUND);
        let mut body = String::with_capacity(wanted + model.len() + 160);
        body.push_str(r#"{"model":"#);
        body.push_str(model);
        body.push_str(r#","messages":[{"role":"user","content":""#);
        let start = body.len();
        // Prompts differ from their beginnings on, or a cache of prefixes would answer for them.
        let _never = write!(body, "{} ", call.number);
        body.truncate(start + wanted);
        while body.len() < start + wanted {
            let missing = start + wanted - body.len();
            body.push_str(&self.text[..missing.min(self.text.len())]);
        }
        body.push_str(r#""}],"stream":"#);
        body.push_str(if call.stream {
            r#"true,"stream_options":{"include_usage":true}"#
        } else {
            "false"
        });
        if let Some(most) = call.max_tokens {
            let _never = write!(body, r#","max_tokens":{most}"#);
        }
        body.push('}');
        Bytes::from(body)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::policy::Operation;
    use tollgate_proxy::request::{Estimator, Reading};
    use tollgate_sim::scenario::{self, Folder};

    use super::*;

    fn writer(mock_dice: bool) -> Writer {
        let text = "name = \"w\"\n[workload]\narrivals = { process = \"poisson\", rate = 4.0 }\n[[backend]]\nname = \"a\"\n\
                    kind = \"queue\"\nservers = 1\nservice = \"1ms\"\n";
        let (scenario, _) = scenario::read("w.toml", text, &Folder::nowhere()).expect("a scenario");
        let workload = Workload::open(scenario.workload).expect("a workload");
        let target = Target::new("http://127.0.0.1:9/v1").expect("a URL");
        let keys = Keys {
            other: Secret::new("a-key"),
            ..Keys::default()
        };
        Writer::new(&target, &workload, &keys, "m\"", (7, 2), mock_dice).expect("plain headers")
    }

    fn call(prompt: u32) -> Call {
        Call {
            number: 17,
            tenant: 0,
            prompt,
            output: 5,
            max_tokens: Some(9),
            stream: prompt.is_multiple_of(2),
            model: None,
        }
    }

    #[test]
    fn a_gateway_estimates_what_was_drawn() {
        let writer = writer(false);
        for prompt in [8, 9, 10, 100, 101, 4_000, 30_000] {
            let body = writer.body(&call(prompt));
            let reading = Reading::of(Operation::Chat, &body, &Estimator::default()).expect("a chat");
            let estimate = reading.estimate();
            assert_eq!((estimate.input, reading.max_output()), (prompt, Some(9)));
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["model"], "m\"");
            assert_eq!(body["stream"], prompt.is_multiple_of(2));
        }
    }

    #[test]
    fn a_request_says_who_and_which_it_is() {
        let request = writer(true).request(&call(12), 1);
        let text = |name: &str| request.headers()[name].to_str().expect("plain").to_owned();
        assert_eq!(request.uri(), "/v1/chat/completions");
        assert_eq!(
            (text("x-request-id"), text("authorization")),
            ("load-7-2-17-1".into(), "Bearer a-key".into())
        );
        assert_eq!((text(PROMPT_TOKENS), text(OUTPUT_TOKENS)), ("12".into(), "5".into()));
        let dice = Dice::new(7).branch(2).request(call(12).request(1)).to_bits();
        assert_eq!(text(DICE), format!("{dice:016x}"));
        assert!(!writer(false).request(&call(12), 0).headers().contains_key(DICE));
    }
}

//! What clients are told, row by row, and the headers that go with it.

mod headers;
mod page;
mod rows;

use http::header::HeaderValue;
use http::{HeaderMap, Response};

use tollgate_core::dice::RequestDice;
use tollgate_core::gate::Gate;
use tollgate_core::id::{LimitId, RequestId};
use tollgate_core::lifecycle::{Effects, Lifecycle, Request};
use tollgate_core::memory::Local;
use tollgate_core::policy::{Class, Facts, HeaderStage, file};

use super::*;

const NOW: Instant = Instant::from_secs(1_000);

/// A gate over a policy with these limits.
fn gate(limits: &str) -> Gate<Local> {
    let text = format!(
        "{limits}\n[[pool]]\nname = \"all\"\n[[pool.endpoint]]\nname = \"alpha\"\n[[route]]\nname = \"all\"\npools = [\"all\"]\n"
    );
    let (policy, _) = file::read("policy.toml", &text).unwrap_or_else(|problems| panic!("{problems}"));
    Gate::new(policy)
}

/// What every request of a gate is charged to.
fn class(gate: &Gate<Local>) -> Class {
    gate.policy().classify(7, &Facts::default())
}

/// Begins a request: its limits are charged with `estimate`.
fn begin(gate: &Gate<Local>, estimate: Estimate) -> Lifecycle {
    let request = Request {
        class: class(gate),
        estimate,
        ..Request::default()
    };
    let mut life = Lifecycle::new(RequestId::default(), request, RequestDice::default());
    life.handle(gate, NOW, tollgate_core::lifecycle::Input::Start, &mut Effects::new());
    life
}

fn about<'a>(charges: &'a Charges, request_id: &'a HeaderValue, rejection: Option<&'a Rejection>) -> About<'a> {
    About {
        request_id,
        model: "gpt-large",
        charges,
        estimate: Estimate {
            input: 2_000,
            output: Some(10_000),
            more: 0,
        },
        needs: Needs::default(),
        rejection,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().expect("ASCII"))
}

/// The error of an answer, which has exactly the four keys.
fn error(response: &Response<Bytes>) -> Map<String, Value> {
    let body: Value = serde_json::from_slice(response.body()).expect("JSON");
    let error = body["error"].as_object().expect("an error").clone();
    for key in KEYS {
        assert!(error.contains_key(key), "{key} is missing in {body}");
    }
    error
}

//! One seed, one course of events.

use tollgate_core::dice::Dice;
use tollgate_core::time::Instant;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};

use crate::client::{chat, get, whole, with};

/// Status, headers and body, and when they had come.
type Course = Vec<(u16, Vec<(String, String)>, String, Instant)>;

/// Everything that thirty requests hear, to the byte and the nanosecond.
fn course(seed: u64) -> Course {
    let api = ApiSpec::profile("gpt-4o-mini").expect("a known name");
    let spec = BackendSpec::new("alpha", Kind::Api(api));
    with(
        spec,
        |builder| builder.dice(Dice::new(seed)),
        async |lab| {
            let mut course = Vec::new();
            for number in 0..30 {
                let mut request = if number % 2 == 0 { chat(1) } else { whole(1) };
                request.headers_mut().remove("x-mock-output-tokens");
                let Some(heard) = lab.send(request).await else {
                    continue;
                };
                // What is looked at in between changes nothing.
                lab.send(get("/mock/stats")).await.expect("an answer");
                let headers = heard
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), format!("{value:?}")));
                course.push((heard.status, headers.collect(), heard.text(), heard.ended));
            }
            course
        },
    )
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let one = course(7);
    assert_eq!(one, course(7));
    assert_ne!(one, course(8));
}

//! Quotas, as headers tell of them.

use tollgate_core::time::Nanos;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Count, Kind, QuotaSpec};

use crate::client::{Lab, ask, plain, whole, with};
use crate::world::seconds;

fn limited<T>(quota: Vec<QuotaSpec>, test: impl AsyncFnOnce(Lab) -> T) -> T {
    let api = ApiSpec { quota, ..plain() };
    with(BackendSpec::new("alpha", Kind::Api(api)), |builder| builder, test)
}

const MINUTE: Nanos = Nanos::from_secs(60);

#[test]
fn requests_are_limited_and_counted_down() {
    let quota = QuotaSpec::token_bucket(Count::Requests, 6, MINUTE, Some(2)).expect("in range");
    limited(vec![quota], async |lab| {
        let heard = lab.send(whole(1)).await.expect("an answer");
        assert_eq!(heard.header("x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(heard.header("x-ratelimit-remaining-requests"), Some("1"));
        assert_eq!(heard.header("x-ratelimit-reset-requests"), Some("9.5s"));
        assert_eq!(heard.header("x-ratelimit-limit-tokens"), None);
        lab.send(whole(1)).await.expect("an answer");

        // One second and 500 ms have passed: one comes every ten.
        lab.until(1.5).await;
        let heard = lab.send(whole(1)).await.expect("an answer");
        assert_eq!((heard.status, heard.opened), (429, seconds(1.5)));
        assert_eq!(heard.header("retry-after"), Some("9"));
        assert_eq!(heard.header("retry-after-ms"), Some("8500"));
        assert_eq!(heard.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(heard.header("x-ratelimit-reset-requests"), Some("18.5s"));
        let error = &heard.json()["error"];
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str()),
            (Some("requests"), Some("rate_limit_exceeded"))
        );
        assert_eq!(
            error["message"],
            "Rate limit reached for m on requests per min. Please try again in 8.5s."
        );

        lab.until(9.999).await;
        assert_eq!(lab.send(whole(1)).await.expect("an answer").status, 429);
        lab.until(10.0).await;
        assert_eq!(
            lab.send(whole(1)).await.expect("an answer").status,
            200,
            "as it was told"
        );
    });
}

#[test]
fn tokens_are_limited_by_what_is_declared() {
    let quota = QuotaSpec::token_bucket(Count::InputAndMaxOutput, 6_000, MINUTE, None).expect("in range");
    limited(vec![quota], async |lab| {
        let body = |most: u32| {
            format!(r#"{{"model":"m","max_tokens":{most},"messages":[{{"role":"user","content":"12345678"}}]}}"#)
        };
        let heard = lab
            .send(ask("/v1/chat/completions", &body(4_998), 1))
            .await
            .expect("an answer");
        assert_eq!(
            (heard.status, heard.header("x-ratelimit-limit-tokens")),
            (200, Some("6000"))
        );
        // Half a second has brought back 50.
        assert_eq!(heard.header("x-ratelimit-remaining-tokens"), Some("1050"));
        assert_eq!(heard.header("x-ratelimit-limit-requests"), None);

        let heard = lab
            .send(ask("/v1/chat/completions", &body(4_998), 1))
            .await
            .expect("an answer");
        assert_eq!((heard.status, heard.header("retry-after")), (429, Some("40")));
        assert_eq!(heard.json()["error"]["type"], "tokens");

        let heard = lab
            .send(ask("/v1/chat/completions", &body(6_000), 1))
            .await
            .expect("an answer");
        assert_eq!((heard.status, heard.header("retry-after")), (429, None), "never");
        let message = heard.json()["error"]["message"]
            .as_str()
            .map(String::from)
            .expect("a message");
        assert!(
            message.starts_with("Request too large for m on tokens per min"),
            "{message}"
        );
    });
}

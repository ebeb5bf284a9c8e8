//! The administrator's calls.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use crate::client::{chat, get, with_plain};
use crate::world::seconds;

#[test]
fn faults_are_ordered_listed_and_cleared() {
    with_plain(async |lab| {
        lab.until(5.0).await;
        let heard = lab.order(r#"{"kind":"outage","status":500,"for":"30s"}"#).await;
        assert_eq!(heard.status, 200);
        assert_eq!(
            heard.json(),
            json!({ "kind": "outage", "status": 500, "at": "5s", "for": "30s" })
        );
        lab.order(r#"{"kind":"reset","after":10,"at":"1h"}"#).await;
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 500);
        let listed = lab.send(get("/mock/faults")).await.expect("an answer").json();
        assert_eq!(listed["faults"][1]["kind"], "reset");
        lab.until(35.0).await;
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 200);
        let listed = lab.send(get("/mock/faults")).await.expect("an answer").json();
        assert_eq!(listed["faults"].as_array().map(Vec::len), Some(1), "one is over");

        lab.order(r#"{"kind":"black-hole"}"#).await;
        let clear = Request::delete("/mock/faults")
            .body(Full::<Bytes>::default())
            .expect("a request");
        assert_eq!(
            lab.send(clear).await.expect("an answer").json(),
            json!({ "faults": [] })
        );
        assert_eq!(lab.send(chat(5)).await.expect("an answer").status, 200);
    });
}

#[test]
fn faults_of_connections_hit_their_share_while_they_last() {
    with_plain(async |lab| {
        lab.order(r#"{"kind":"reset","share":0.5,"at":"10s","for":"100s"}"#)
            .await;
        assert!(lab.send(chat(1)).await.is_some(), "not yet");
        lab.until(10.0).await;
        let mut reset = 0;
        for _ in 0..100 {
            reset += u32::from(lab.send(chat(1)).await.is_none());
        }
        // Five standard errors of a share of 100.
        assert!((25..=75).contains(&reset), "{reset}");
        assert!(lab.clock_now() < seconds(110.0));
        lab.until(110.0).await;
        for _ in 0..20 {
            assert!(lab.send(chat(1)).await.is_some(), "no longer");
        }
    });
}

#[test]
fn wrong_orders_are_refused_in_form() {
    with_plain(async |lab| {
        for (order, said) in [
            (r#"{"kind":"outrage"}"#, "did you mean \"outage\"?"),
            (r#"{"kind":"outage","for":"soon"}"#, "expected a duration"),
            ("", "a fault is a JSON object"),
        ] {
            let heard = lab.order(order).await;
            assert_eq!(heard.status, 400, "{order}");
            let message = heard.json()["error"]["message"]
                .as_str()
                .map(String::from)
                .expect("a message");
            assert!(message.contains(said), "{message}");
        }
        assert_eq!(lab.server.ordered(), []);
    });
}

#[test]
fn figures_tell_what_was_seen() {
    with_plain(async |lab| {
        lab.send(chat(5)).await.expect("an answer");
        let mut again = chat(5);
        again
            .headers_mut()
            .insert("x-tollgate-dice", http::HeaderValue::from_static("00000000000000ff"));
        again.headers_mut().insert("x-tollgate-attempt", 2.into());
        let start = lab.clock_now();
        tokio::select! {
            _ = lab.send(again) => unreachable!("the client leaves first"),
            () = lab.until(start.as_secs_f64() + 0.51) => {}
        }
        lab.until(10.0).await;
        lab.send(get("/nothing")).await.expect("an answer");
        let stats = lab.send(get("/mock/stats")).await.expect("an answer").json();
        assert_eq!(stats["backend"], "alpha");
        assert_eq!(
            (&stats["jobs"], &stats["open_streams"], &stats["connections"]),
            (&json!(0), &json!(0), &json!(1))
        );
        assert_eq!(stats["requests"]["POST /v1/chat/completions"], json!({ "200": 2 }));
        assert_eq!(stats["requests"]["other"], json!({ "404": 1 }));
        assert_eq!(stats["attempts"], json!({ "0": 1, "2": 1 }));
        assert_eq!(stats["cancelled"], 1);
        let at = seconds(start.as_secs_f64() + 0.51).as_secs_f64();
        assert_eq!(
            stats["cancellations"],
            json!([{ "dice": "00000000000000ff", "attempt": 2, "at": at }])
        );
    });
}

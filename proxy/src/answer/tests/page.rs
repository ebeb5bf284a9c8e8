//! The page about errors is the table, written out. `REWRITE=1 cargo test -p tollgate-proxy page` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use super::rows::causes;
use super::*;

const PAGE: &str = "../docs/errors.md";

const INTRODUCTION: &str = "\
# Errors

<!-- Written by proxy/src/answer/tests/page.rs: REWRITE=1 cargo test -p tollgate-proxy page -->

What a client of `tollgate serve` is told when there is no answer.
Every error is a JSON object `error` with the keys `message`, `type`, `param` and `code`, and has the headers `x-request-id` and `x-tollgate-source`.
The source is `gateway` if the gateway refuses by its own rules, and `provider` if a provider failed.
What core refuses has its name in `x-tollgate-refusal`; it is the word that metrics and logs use.

Where it is known when it makes sense to come back, `retry-after` says so in whole seconds and `retry-after-ms` in milliseconds, both rounded up.
A wait of more than two minutes has `x-should-retry: false`: SDKs would sleep through it.
An answer with status 401 has `WWW-Authenticate: Bearer`, one with 405 has `Allow`.

When a provider finds a request wrong, its own status and error are passed on.
When a stream breaks off after its first token, its last event is `data: {\"error\": …}`, and `[DONE]` does not follow.

";

#[test]
fn the_page_is_the_table() {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| Status | `type` | `code` | `x-tollgate-refusal` | Source | Come back? | Means |\n");
    page.push_str("|---|---|---|---|---|---|---|\n");
    let mut seen = Vec::new();
    for cause in causes() {
        let row = cause.row();
        let refusal = match cause {
            Cause::Refused(refusal, _) => format!("`{}`", refusal.name()),
            Cause::Invalid(_) | Cause::Unserved(_) => "–".to_owned(),
        };
        let line = format!(
            "| {} | `{}` | `{}` | {refusal} | {} | {} | {} |",
            row.status,
            row.kind,
            row.code,
            row.source.name(),
            come_back(cause),
            row.meaning,
        );
        if !seen.contains(&line) {
            writeln!(page, "{line}").expect("a string takes everything");
            seen.push(line);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, page).expect("the page can be written");
    } else {
        let shown = std::fs::read_to_string(&path).expect("the page is there");
        assert_eq!(
            shown, page,
            "REWRITE=1 cargo test -p tollgate-proxy page writes it anew"
        );
    }
}

fn come_back(cause: Cause) -> &'static str {
    let (can_say, advice) = match cause {
        Cause::Refused(refusal, _) => (
            matches!(
                refusal,
                Refusal::Limited { .. } | Refusal::NoEndpoint { .. } | Refusal::OutOfAttempts { .. }
            ),
            refusal.advice(NOW),
        ),
        Cause::Invalid(_) => (false, HOPELESS),
        Cause::Unserved(unserved) => (false, advice_of(unserved)),
    };
    match (advice.should_retry, can_say) {
        (Some(false), _) => "no: `x-should-retry: false`",
        (Some(true) | None, true) => "after `retry-after`, if it is there",
        (Some(true) | None, false) => "as the client's own rules say",
    }
}

//! Where quotas stand, as providers say it in the headers of every answer.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tollgate_core::limit::Standing;
use tollgate_core::time::Instant;

use super::refusal::go_duration;
use crate::model::Count;

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// Where the quotas of a backend stand.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    pub(super) now: Instant,
    pub(super) quotas: Vec<(Count, Standing)>,
}

impl Standings {
    /// Says of requests and of tokens where the quota stands that has the least left.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        for (names, is_of) in [(REQUESTS, true), (TOKENS, false)] {
            let Some(standing) = self.tightest(is_of) else {
                continue;
            };
            let [limit, remaining, reset] = names;
            headers.insert(limit, standing.limit.into());
            headers.insert(remaining, standing.remaining.into());
            if !standing.reset.is_far() {
                let length = go_duration(standing.reset.since(self.now));
                headers.insert(reset, HeaderValue::try_from(length).expect("digits and units"));
            }
        }
    }

    /// What is used up, in the words of an error.
    pub(super) fn exceeded(&self) -> &'static str {
        match self.tightest(true) {
            Some(Standing { remaining: 0, .. }) => "requests",
            Some(_) | None => "tokens",
        }
    }

    /// Whether some quota can never hold so many tokens.
    pub(super) fn never_holds(&self, tokens: u64) -> bool {
        self.tokens().any(|standing| standing.limit < tokens)
    }

    fn tightest(&self, is_of_requests: bool) -> Option<Standing> {
        let of = |(count, _): &&(Count, Standing)| (*count == Count::Requests) == is_of_requests;
        let standings = self.quotas.iter().filter(of).map(|(_, standing)| *standing);
        standings.min_by_key(|standing| standing.remaining)
    }

    fn tokens(&self) -> impl Iterator<Item = Standing> {
        let tokens = self.quotas.iter().filter(|(count, _)| *count != Count::Requests);
        tokens.map(|(_, standing)| *standing)
    }
}

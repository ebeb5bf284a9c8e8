//! `GET /v1/models`: what a client may ask for by name.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use serde::Serialize;
use tollgate_core::lifecycle::Refusal;
use tollgate_core::policy::Facts;

use super::guest::Guest;
use crate::request::REQUEST_ID;

/// What is asked of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// All of it.
    All,
    /// One of its models.
    One(&'a str),
}

#[derive(Serialize)]
struct List<'a> {
    object: &'a str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    fn named(id: &'a str) -> Model<'a> {
        Model {
            id,
            object: "model",
            // Nobody knows, and clients want a number.
            created: 0,
            owned_by: "tollgate",
        }
    }
}

/// What `path` asks of the list; nothing if it is another path. Names may have slashes.
pub(super) fn asked(path: &str) -> Option<Asked<'_>> {
    match path.strip_prefix("/v1/models")? {
        "" | "/" => Some(Asked::All),
        rest => rest.strip_prefix('/').map(Asked::One),
    }
}

/// The models that the policy calls by name and that lead this client somewhere.
pub(super) fn answer(mut guest: Guest, headers: &HeaderMap, asked: Asked<'_>) -> Response<Body> {
    if let Err(refusal) = guest.identify(headers) {
        return guest.refuse(refusal, "");
    }
    let gateway = std::sync::Arc::clone(&guest.gateway);
    let policy = gateway.policy();
    let tenant = &policy.tenants[guest.tenant.unwrap_or_default().index()];
    let leads = |model: &str| {
        PATHS.iter().any(|path| {
            let facts = Facts {
                path,
                model,
                tenant: &tenant.name,
                role: &tenant.role,
                region: &tenant.region,
                ..Facts::default()
            };
            policy.routes.iter().any(|route| route.matches.holds(&facts))
        })
    };
    let mut known = gateway.models.iter().map(String::as_str).filter(|model| leads(model));
    let body = match asked {
        Asked::All => serde_json::to_vec(&List {
            object: "list",
            data: known.map(Model::named).collect(),
        }),
        Asked::One(id) => match known.find(|model| *model == id) {
            None => return guest.refuse(Refusal::NoRoute, id),
            Some(model) => serde_json::to_vec(&Model::named(model)),
        },
    };
    let mut answer = Response::new(Bytes::from(body.expect("texts can be written as JSON")));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, guest.id.clone());
    guest.turn_away(answer)
}

/// Where a model may be asked for.
const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_ask_for_all_or_one() {
        for (path, expected) in [
            ("/v1/models", Some(Asked::All)),
            ("/v1/models/", Some(Asked::All)),
            ("/v1/models/gpt-4o", Some(Asked::One("gpt-4o"))),
            ("/v1/models/meta/llama-3", Some(Asked::One("meta/llama-3"))),
            ("/v1/modelsx", None),
            ("/v1", None),
            ("/", None),
        ] {
            assert_eq!(asked(path), expected, "{path}");
        }
    }
}

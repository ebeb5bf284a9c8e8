//! Towards endpoints: connections, and requests on their way.
//!
//! Nothing here decides anything: a transfer says what happens to it, and core's timers say when that takes too long.

mod check;
mod connect;
mod link;
mod pool;
mod transfer;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request};
use http_body_util::Full;
use tollgate_core::id::EndpointId;
use tollgate_core::policy::{Endpoint, Policy};
use tollgate_core::time::Instant;

use crate::provider::{BadUrl, Dialect, Target, dialect};
use crate::settings;

pub use connect::{Address, Connect, Connected, Connecting, Protocol, Tcp, Wire};

pub(crate) use check::Check;
pub(crate) use link::Outbound;
pub(crate) use transfer::{Said, Transfer, World};

use self::pool::{Bounds, Pool};

/// The endpoints of a policy, and the connections to them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    world: Arc<World>,
    all: Vec<Upstream>,
}

/// One endpoint.
pub(crate) struct Upstream {
    pool: Arc<Pool>,
    address: Arc<Address>,
    /// Where requests go.
    pub(crate) target: Target,
    /// How it is spoken to.
    pub(crate) dialect: &'static dyn Dialect,
}

/// An endpoint that cannot be reached, whatever happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Its name.
    pub endpoint: String,
    /// Why.
    pub why: Why,
}

/// Why an endpoint cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no address.
    NoUrl,
    /// Its address is none.
    BadUrl(BadUrl),
    /// Nobody here speaks its dialect.
    Dialect(String),
}

impl Upstreams {
    /// The endpoints of `policy`.
    pub(crate) fn new(policy: &Policy, settings: &settings::Upstream, world: World) -> Result<Upstreams, Unreachable> {
        let bounds = Bounds {
            most: settings.max_connections.get(),
            idle: settings.idle,
            age: settings.max_age,
        };
        let of = |endpoint: &Endpoint| {
            Upstream::new(endpoint, bounds).map_err(|why| Unreachable {
                endpoint: endpoint.name.clone(),
                why,
            })
        };
        Ok(Upstreams {
            world: Arc::new(world),
            all: policy.endpoints.iter().map(of).collect::<Result<_, _>>()?,
        })
    }

    /// How `endpoint` is spoken to.
    pub(crate) fn at(&self, endpoint: EndpointId) -> &Upstream {
        &self.all[endpoint.index()]
    }

    /// `request` on its way to `endpoint`.
    pub(crate) fn transfer(&self, endpoint: EndpointId, request: Outbound) -> Transfer {
        let upstream = &self.all[endpoint.index()];
        Transfer::new(&self.world, &upstream.pool, &upstream.address, request)
    }

    /// A health check of `endpoint` that asks for `path`, until `deadline`.
    ///
    /// The path takes the place of a last `/v1` of the endpoint's address.
    pub(crate) fn check(&self, endpoint: EndpointId, path: &str, deadline: Instant) -> Check {
        let upstream = &self.all[endpoint.index()];
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = upstream.target.beside(path);
        request.headers_mut().insert(HOST, upstream.target.host().clone());
        Check::new(&self.world, endpoint, &upstream.address, request, deadline)
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        for upstream in &self.all {
            upstream.pool.sweep(now);
        }
    }

    /// Connections to `endpoint` that are open or on their way.
    pub(crate) fn connections(&self, endpoint: EndpointId) -> u32 {
        self.all[endpoint.index()].pool.open()
    }
}

impl Upstream {
    fn new(endpoint: &Endpoint, bounds: Bounds) -> Result<Upstream, Why> {
        let url = endpoint.url.as_deref().ok_or(Why::NoUrl)?;
        let target = Target::new(url).map_err(Why::BadUrl)?;
        let dialect = dialect(&endpoint.provider).ok_or_else(|| Why::Dialect(endpoint.provider.clone()))?;
        Ok(Upstream {
            pool: Pool::new(bounds),
            address: Arc::new(Address::of(&target)),
            target,
            dialect,
        })
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.endpoint;
        match &self.why {
            Why::NoUrl => write!(f, "endpoint `{name}` has no `url`, so it can only be simulated"),
            Why::BadUrl(wrong) => write!(f, "the `url` of endpoint `{name}`: {wrong}"),
            Why::Dialect(provider) => write!(f, "endpoint `{name}`: the provider \"{provider}\" is not built yet"),
        }
    }
}

impl std::error::Error for Unreachable {}

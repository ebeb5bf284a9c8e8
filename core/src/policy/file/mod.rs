//! From a policy file to a [`Policy`], or to everything that is wrong with it.
//!
//! Every key that may stand in the file is asked for here, once; what is not asked for is an error. A key or word that
//! belongs to a later release is an error that says so. What a table leaves out has a default:
//!
//! | Left out | Means |
//! |---|---|
//! | a whole `tenant`, `limit` | there is none |
//! | `probe`, `hedge`, `require_region`, `price` | off |
//! | `balance`, `health`, `queue`, `timeouts`, `retry`, `retry.budget`, `retry.backoff` | their defaults: P2C over peak EWMA; error rate of half in 30 s; 100 in the queue for 10 s; 2 s, 30 s, 30 s, 10 min; three attempts |
//! | `quota.burst` | `amount`: all of a period at once |
//! | `match`, `when` | every request |
//! | a key of `slo` | no target |
//! | a key of `can`, `max_in_flight` | no bound |
//!
//! ```
//! use tollgate_core::policy::file;
//!
//! let text = r#"
//!     [[pool]]
//!     name = "small"
//!     [[pool.endpoint]]
//!     name = "alpha"
//!     [[route]]
//!     name = "all"
//!     pools = ["smal"]
//! "#;
//! let problems = file::read("policy.toml", text).unwrap_err();
//! assert!(problems.to_string().contains("did you mean `small`?"));
//! ```

mod adaptive;
mod adjust;
mod balance;
mod bounds;
mod charges;
mod check;
mod endpoint;
mod health;
mod law;
mod limit;
mod matching;
mod outlier;
mod pool;
mod queue;
mod raw;
mod route;
mod tenant;
mod throttle;

pub use bounds::{ENDPOINTS, LIMITS, POOLS, ROUTES, TENANTS, WORDS};
pub use endpoint::price;

use super::{Policy, PolicyHash};
use crate::file::{self, Problems, Section, kind};

/// The policy that `text`, the file called `name`, says, and its warnings.
///
/// # Errors
///
/// Everything that is wrong with it, if one thing is an error.
pub fn read(name: &str, text: &str) -> Result<(Policy, Problems), Problems> {
    file::read(name, text, policy)
}

fn policy(root: &mut Section<'_>) -> Policy {
    let hash = PolicyHash(root.hash().0);
    root.or("version", kind::integer(1_u8, 1), 1);
    root.not_built_yet("shadow");
    let raw = raw::Policy {
        tenants: root.tables("tenant", TENANTS).iter().map(tenant::read).collect(),
        limits: root.tables("limit", LIMITS).iter_mut().map(limit::read).collect(),
        pools: root.tables("pool", POOLS).iter().map(pool::read).collect(),
        routes: root.tables("route", ROUTES).iter().map(route::read).collect(),
    };
    for key in ["pool", "route"] {
        if !root.has(key) {
            root.missing(key);
        }
    }
    Policy {
        hash,
        ..check::policy(raw, root.report())
    }
}

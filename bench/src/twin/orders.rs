//! What the gateway of a twin is told beside its policy: when time begins, where the backends are, and who may ask.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tollgate_core::policy::{self, Policy, Priority};
use tollgate_proxy::auth::digest;
use tollgate_sim::workload;

/// What the gateway of a twin is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// When the clocks of all processes begin, in nanoseconds since 1970.
    pub begins: u64,
    /// The URL of each endpoint's backend.
    pub endpoints: BTreeMap<String, String>,
    /// Who asks.
    pub tenants: Vec<Guest>,
}

/// A tenant of the workload, and its key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    /// Its name.
    pub name: String,
    /// What the workload says of it, for policies that do not know it.
    pub role: String,
    /// The same.
    pub region: String,
    /// The same: `low`, `normal` or `high`.
    pub priority: String,
    /// What it shows.
    pub key: String,
}

const PRIORITIES: [(&str, Priority); 3] = [
    ("low", Priority::Low),
    ("normal", Priority::Normal),
    ("high", Priority::High),
];

impl Guest {
    /// A tenant of a workload.
    #[must_use]
    pub fn new(tenant: &workload::Tenant) -> Guest {
        let word = PRIORITIES.iter().find(|(_, priority)| *priority == tenant.priority);
        Guest {
            name: tenant.name.clone(),
            role: tenant.role.clone(),
            region: tenant.region.clone(),
            priority: word.map_or("normal", |(word, _)| *word).to_owned(),
            key: format!("key-of-{}", tenant.name),
        }
    }
}

impl Orders {
    /// When time begins.
    #[must_use]
    pub fn beginning(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.begins)
    }

    /// Does to `policy` what is ordered.
    pub fn apply(&self, policy: &mut Policy) {
        for endpoint in &mut policy.endpoints {
            if let Some(url) = self.endpoints.get(&endpoint.name) {
                endpoint.url = Some(url.clone());
            }
            // The mock asks for none, and the keys of providers are no business of a test.
            endpoint.api_key_env.clear();
        }
        admit(policy, &self.tenants);
        for guest in &self.tenants {
            let at = policy.tenant_named(&guest.name).index();
            policy.tenants[at].key_hashes.push(digest(guest.key.as_bytes()));
        }
        policy.keys = policy::keys(&policy.tenants);
    }
}

/// Lets `policy` know every one of `guests`; returns how many it did not know.
///
/// A simulated gateway takes who asks from the workload, a live one from a key, which has to be somebody's. So both sides
/// of a twin list everybody.
pub fn admit(policy: &mut Policy, guests: &[Guest]) -> usize {
    let before = policy.tenants.len();
    for guest in guests {
        let known = policy.tenant_named(&guest.name).index();
        if policy.tenants[known].name != guest.name {
            let word = PRIORITIES.iter().find(|(word, _)| *word == guest.priority);
            policy.tenants.push(policy::Tenant {
                name: guest.name.clone(),
                role: guest.role.clone(),
                region: guest.region.clone(),
                priority: word.map_or(Priority::Normal, |(_, priority)| *priority),
                ..policy.tenants[known].clone()
            });
        }
    }
    policy.tenants.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [[tenant]]
        name = "known"
        role = "vip"
        [[pool]]
        name = "all"
        [[pool.endpoint]]
        name = "alpha"
        api_key_env = ["NOBODY"]
        [[route]]
        name = "all"
        pools = ["all"]
    "#;

    #[test]
    fn everybody_has_a_key_and_what_the_policy_says_holds() {
        let (mut policy, _) = policy::file::read("policy.toml", POLICY).expect("a policy");
        let guests = ["known", "stranger"].map(|name| {
            Guest::new(&workload::Tenant {
                name: name.to_owned(),
                role: "other".to_owned(),
                priority: Priority::High,
                ..workload::Tenant::default()
            })
        });
        let orders = Orders {
            begins: 5,
            endpoints: BTreeMap::from([("alpha".to_owned(), "http://127.0.0.1:1/v1".to_owned())]),
            tenants: guests.to_vec(),
        };
        let text = serde_json::to_string(&orders).expect("it is plain data");
        let read: Orders = serde_json::from_str(&text).expect("it was just written");
        assert_eq!(read, orders);
        orders.apply(&mut policy);
        assert_eq!(policy.endpoints[0].url.as_deref(), Some("http://127.0.0.1:1/v1"));
        assert!(policy.endpoints[0].api_key_env.is_empty());
        let of = |key: &str| {
            let tenant = policy.identify(Some(&digest(key.as_bytes())))?;
            Ok::<_, tollgate_core::lifecycle::Refusal>(&policy.tenants[tenant.index()])
        };
        assert_eq!(of("key-of-known").expect("a key").role, "vip");
        let stranger = of("key-of-stranger").expect("a key");
        assert_eq!((stranger.role.as_str(), stranger.priority), ("other", Priority::High));
        assert!(of("key-of-nobody").is_err());
        assert_eq!(admit(&mut policy, &guests), 0, "they are known by now");
    }
}

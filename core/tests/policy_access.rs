//! Who may ask, and what a route makes of what they ask.

use proptest::option;
use proptest::prelude::*;
use tollgate_core::id::TenantId;
use tollgate_core::lifecycle::Refusal;
use tollgate_core::policy::{Adjustment, KeyDigest, Parameters, Policy, Tenant, keys};

fn policy(digests: &[Vec<KeyDigest>]) -> Policy {
    let mut tenants = vec![Tenant::default()];
    tenants.extend(digests.iter().map(|digests| Tenant {
        key_hashes: digests.clone(),
        ..Tenant::default()
    }));
    Policy {
        keys: keys(&tenants),
        tenants,
        ..Policy::default()
    }
}

#[test]
fn without_keys_everybody_is_let_in() {
    let open = policy(&[vec![], vec![]]);
    assert_eq!(open.identify(None), Ok(TenantId(0)));
    assert_eq!(open.identify(Some(&[7; 32])), Ok(TenantId(0)));
}

proptest! {
    /// Each listed key is its tenant's, and nobody else is let in.
    #[test]
    fn a_key_is_its_tenants(digests in prop::collection::vec(prop::collection::vec(any::<KeyDigest>(), 1..4), 1..20), other: KeyDigest) {
        let policy = policy(&digests);
        for (at, own) in digests.iter().enumerate() {
            for digest in own {
                prop_assert_eq!(policy.identify(Some(digest)), Ok(TenantId::at(at + 1)));
            }
        }
        prop_assert_eq!(policy.identify(None), Err(Refusal::Unauthorized));
        prop_assume!(!digests.iter().flatten().any(|digest| *digest == other));
        prop_assert_eq!(policy.identify(Some(&other)), Err(Refusal::Unauthorized));
    }

    #[test]
    fn adjusting_keeps_what_was_asked(rule in adjustment(), asked in parameters()) {
        let got = rule.apply(asked);
        if let Some(temperature) = asked.temperature {
            let cap = rule.caps.temperature.unwrap_or(f64::MAX);
            prop_assert_eq!(got.temperature, Some(temperature.min(cap)));
        }
        if let Some(max_tokens) = asked.max_tokens {
            prop_assert_eq!(got.max_tokens, Some(max_tokens.min(rule.caps.max_tokens.unwrap_or(u32::MAX))));
        }
        prop_assert_eq!(Adjustment::default().apply(asked), asked);
    }

    #[test]
    fn caps_hold(rule in adjustment(), asked in parameters()) {
        let got = rule.apply(asked);
        let within = |value: Option<f64>, cap: Option<f64>| value.zip(cap).is_none_or(|(value, cap)| value <= cap);
        prop_assert!(within(got.temperature, rule.caps.temperature) && within(got.top_p, rule.caps.top_p));
        prop_assert!(got.n.zip(rule.caps.n).is_none_or(|(value, cap)| value <= cap));
        if let Some(cap) = rule.caps.max_tokens {
            prop_assert!(got.max_tokens.is_some_and(|value| value <= cap), "a cap bounds what names no maximum too");
        }
        prop_assert_eq!(got.temperature.is_some(), asked.temperature.or(rule.defaults.temperature).is_some());
        prop_assert_eq!(got.n.is_some(), asked.n.or(rule.defaults.n).is_some());
    }

    #[test]
    fn adjusting_is_idempotent(rule in adjustment(), asked in parameters()) {
        let once = rule.apply(asked);
        prop_assert_eq!(rule.apply(once), once);
    }
}

fn adjustment() -> impl Strategy<Value = Adjustment> {
    (parameters(), parameters()).prop_map(|(defaults, caps)| Adjustment { defaults, caps })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let real = || option::of(0.0..2.0_f64);
    let whole = || option::of(1..5000_u32);
    (real(), real(), whole(), whole()).prop_map(|(temperature, top_p, max_tokens, n)| Parameters {
        temperature,
        top_p,
        max_tokens,
        n,
    })
}

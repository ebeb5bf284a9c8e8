//! Policy files: whatever the text is, it is a policy, or it is said what is wrong with it.
//!
//! What stands after a NUL is who asks: a policy that was accepted must be able to say what applies to them.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run policy core/tests/policy_errors --fuzz-dir core/fuzz -- -max_len=4096 -max_total_time=60`
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_core::policy::{Charges, Facts, file};

fuzz_target!(|text: &str| {
    let (text, who) = text.split_once('\0').unwrap_or((text, ""));
    match file::read("policy.toml", text) {
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!problems.to_string().is_empty());
        }
        Ok((policy, warnings)) => {
            let _ = warnings.to_string();
            let (again, _) = file::read("policy.toml", text).expect("what was accepted is accepted again");
            assert_eq!(policy.hash, again.hash);
            let mut words = who.split('\n');
            let mut word = || words.next().unwrap_or_default();
            let class = policy.classify(
                7,
                &Facts {
                    path: word(),
                    model: word(),
                    tenant: word(),
                    role: word(),
                    region: word(),
                    key: word(),
                    client_ip: word(),
                    headers: &[],
                },
            );
            assert!(class.charges.len() <= Charges::MOST);
            for route in &policy.routes {
                assert!(route.pools.iter().all(|pool| pool.index() < policy.pools.len()));
            }
            for pool in &policy.pools {
                assert!(!pool.is_empty());
            }
        }
    }
});

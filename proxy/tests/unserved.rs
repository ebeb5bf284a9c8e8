//! What can be simulated and cannot be served is said before anything is served.

use tollgate_core::policy::file;
use tollgate_proxy::{BuildError, Gateway};

const POLICY: &str = r#"
[[pool]]
name = "all"
[[pool.endpoint]]
name = "alpha"
url = "http://127.0.0.1:9/v1"

[[route]]
name = "all"
pools = ["all"]

[[limit]]
name = "shared"
quota = { amount = 10, period = "1m" }
"#;

fn built(line: &str) -> Result<(), BuildError> {
    let (policy, _) = file::read("policy.toml", &format!("{POLICY}{line}")).expect("a good policy");
    Gateway::builder(policy).build().map(drop)
}

#[test]
fn what_a_limit_needs_and_nobody_has_is_told() {
    built("per = [\"tenant\", \"header:x-team\"]").expect("it can be served");
    for (line, needs) in [
        (
            "store = { kind = \"redis\", mode = \"strict\", deadline = \"10ms\", on_outage = \"allow\" }",
            "a store",
        ),
        ("per = [\"claim:team\"]", "claims of tokens"),
    ] {
        let error = built(line).expect_err("it cannot be served").to_string();
        assert!(error.starts_with(&format!("limit `shared` needs {needs}")), "{error}");
    }
}

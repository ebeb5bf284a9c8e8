//! Scenarios and policies that travel in the binary, so that an installed one works anywhere.

use std::path::Path;

/// A file of the repository.
pub(crate) struct Shipped {
    /// Its name without folder and ending.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) text: &'static str,
}

macro_rules! shipped {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(Shipped { name: $name, text: include_str!(concat!("../", $folder, "/", $name, ".toml")) }),+]
    };
}

/// Every shipped scenario.
pub(crate) const SCENARIOS: &[Shipped] = shipped!(
    "scenarios": "500-users", "azure-conv", "burst", "noisy-neighbour", "outage", "retry-storm", "surge", "tour"
);

/// Every shipped policy.
pub(crate) const POLICIES: &[Shipped] = shipped!(
    "policies":
    "demo",
    "failover",
    "least-in-flight",
    "limit-fixed-window",
    "limit-gcra",
    "limit-leaky-bucket",
    "limit-none",
    "limit-segmented-window",
    "limit-sliding-log",
    "limit-sliding-window",
    "p2c-breaker",
    "peak-ewma",
    "queue-deficit",
    "queue-fifo",
    "queue-priority",
    "queue-vtc",
    "round-robin",
    "round-robin-retries",
    "storm-budget",
    "storm-no-retries",
    "storm-retries",
    "surge",
    "tour",
    "users",
);

/// The shipped scenario of this name.
pub(crate) fn scenario(name: &str) -> Option<&'static Shipped> {
    SCENARIOS.iter().find(|shipped| shipped.name == name)
}

/// The text of a shipped policy, by its path as a shipped scenario writes it, or by its bare name.
pub(crate) fn policy(path: &str) -> Option<&'static str> {
    let name = path
        .strip_prefix("../policies/")
        .or_else(|| path.strip_prefix("policies/"))
        .unwrap_or(path);
    let name = name.strip_suffix(".toml").unwrap_or(name);
    POLICIES
        .iter()
        .find(|shipped| shipped.name == name)
        .map(|shipped| shipped.text)
}

/// The text of a shipped policy, by its bare name: a path means a file, and nothing else when the file is gone.
pub(crate) fn policy_by_name(name: &str) -> Option<&'static str> {
    let is_bare = !name.contains(['/', '\\']) && Path::new(name).extension().is_none_or(|ending| ending != "toml");
    policy(name).filter(|_| is_bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever adds a file to a folder ships it.
    #[test]
    fn every_file_is_shipped() {
        for (folder, list) in [("scenarios", SCENARIOS), ("policies", POLICIES)] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut names: Vec<String> = std::fs::read_dir(path)
                .expect("the folder is part of the repository")
                .map(|entry| entry.expect("it can be read").path())
                .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .collect();
            names.sort();
            let shipped: Vec<&str> = list.iter().map(|shipped| shipped.name).collect();
            assert_eq!(names, shipped, "{folder}");
        }
    }
}

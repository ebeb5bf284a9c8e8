//! Who is compared.

/// A balancer as a policy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// What it is called.
    pub name: &'static str,
    /// The keys of `balance`, without the braces.
    pub balance: &'static str,
    /// Whether it looks at signals, so that it matters how old they are.
    pub has_signals: bool,
}

/// Every balancer.
#[must_use]
pub fn all() -> Vec<Contender> {
    let blind = |name, balance| Contender {
        name,
        balance,
        has_signals: false,
    };
    let seeing = |name, balance| Contender {
        name,
        balance,
        has_signals: true,
    };
    vec![
        blind("round-robin", "kind = \"round-robin\""),
        blind("weighted-round-robin", "kind = \"weighted-round-robin\""),
        blind("random", "kind = \"random\""),
        blind("weighted-random", "kind = \"weighted-random\""),
        seeing("least-in-flight", "kind = \"least-in-flight\""),
        seeing("p2c", "kind = \"p2c\", load = \"in-flight\""),
        seeing("p2c, peak EWMA", "kind = \"p2c\", load = \"peak-ewma\""),
        seeing("weighted-p2c", "kind = \"weighted-p2c\""),
        seeing("shortest-expected-delay", "kind = \"shortest-expected-delay\""),
        seeing("least-time", "kind = \"least-time\""),
        seeing("score", "kind = \"score\""),
        seeing("least-latency", "kind = \"least-latency\""),
    ]
}

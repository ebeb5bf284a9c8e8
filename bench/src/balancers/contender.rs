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
        blind("random", "kind = \"random\""),
        seeing("least-in-flight", "kind = \"least-in-flight\""),
        seeing("p2c", "kind = \"p2c\", load = \"in-flight\""),
        seeing("p2c, peak EWMA", "kind = \"p2c\", load = \"peak-ewma\""),
    ]
}

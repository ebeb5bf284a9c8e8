//! The shipped scenarios: each still gives the answer that its file writes down.

use serde_json::Value;

use crate::place::Place;

/// The summary of a shipped scenario, by strategy.
struct Summary(Value);

impl Summary {
    fn of(place: &Place, name: &str) -> Summary {
        let run = place.run(&["simulate", name, "--json", "--out", name]).good();
        Summary(serde_json::from_str(&run.stdout).expect("JSON"))
    }

    fn strategy(&self, name: &str) -> &Value {
        let strategies = self.0["strategies"].as_array().expect("a list");
        let found = strategies.iter().find(|strategy| strategy["name"] == name);
        found.unwrap_or_else(|| panic!("no strategy is called {name}"))
    }

    fn attainment(&self, name: &str) -> f64 {
        self.strategy(name)["attainment"].as_f64().expect("a share")
    }
}

/// Rows of a table that was written, as what stands in two of its columns.
fn columns(text: &str, key: &str, value: &str) -> Vec<(String, f64)> {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a heading");
    let at = |name: &str| {
        head.iter()
            .position(|column| *column == name)
            .expect("a column of this name")
    };
    let (key, value) = (at(key), at(value));
    lines
        .map(|row| (row[key].to_owned(), row[value].parse().unwrap_or(0.0)))
        .collect()
}

fn of(rows: &[(String, f64)], name: &str) -> f64 {
    rows.iter().find(|(key, _)| key == name).expect("a row of this name").1
}

#[test]
fn a_burst_floods_what_windows_let_through() {
    let burst = Summary::of(&Place::new(), "burst");
    let attained = |name| burst.attainment(name);
    assert!(attained("fixed window") < attained("no limit") - 0.03);
    assert!(attained("no limit") < attained("GCRA, burst 20"));
    for name in ["segmented window", "sliding window counter", "sliding log"] {
        assert!(
            attained("fixed window") < attained(name) && attained(name) < attained("GCRA, burst 20"),
            "{name}"
        );
    }
    let slowest = |name| {
        burst.strategy(name)["e2e"]["p99"]
            .as_f64()
            .expect("requests were completed")
    };
    assert!(slowest("GCRA, burst 20") < 0.6 * slowest("no limit"));
}

#[test]
fn a_budget_ends_the_storm() {
    let storm = Summary::of(&Place::new(), "retry-storm");
    let recovery = |name| storm.strategy(name)["faults"][0]["recovery_seconds"].as_f64();
    assert_eq!(recovery("SDK and gateway, no budget"), None);
    assert!(recovery("SDK retries only").is_some_and(|after| after < 60.0));
    assert!(recovery("SDK and gateway, 10 % budget").is_some_and(|after| after < 150.0));
    let amplification = storm.strategy("SDK and gateway, no budget")["amplification"].as_f64();
    assert!(
        amplification.is_some_and(|times| 6.0 < times && times <= 9.0),
        "{amplification:?}"
    );
}

#[test]
fn a_noisy_neighbour_is_heard_by_nobody_but_first_come_first_served() {
    let noisy = Summary::of(&Place::new(), "noisy-neighbour");
    assert!(noisy.attainment("first come, first served") < 0.05);
    for name in ["priority", "deficit round robin", "token counters (VTC)"] {
        assert!(0.2 < noisy.attainment(name), "{name}");
    }
}

/// Every route, limit and tier of the tour's policy does what is written beside it.
#[test]
fn the_tour_takes_every_route_and_meets_every_limit() {
    let place = Place::new();
    let tour = Summary::of(&place, "tour");
    assert!(0.8 < tour.attainment("tour"));
    let (tenants, endpoints) = (place.read("tour/tenants.csv"), place.read("tour/endpoints.csv"));
    let refused = columns(&tenants, "tenant", "refused");
    let offered = columns(&tenants, "tenant", "offered");
    for tenant in ["acme", "berlin", "cellular", "visitor"] {
        assert!(
            of(&refused, tenant) < 0.01 * of(&offered, tenant),
            "{tenant}: {refused:?}"
        );
    }
    // A hundred in a minute, and more is asked for, by SDKs that ask again too.
    assert!(0.5 * of(&offered, "delta") < of(&refused, "delta"), "{refused:?}");
    let attempts = columns(&endpoints, "endpoint", "attempts");
    let completed = columns(&tenants, "tenant", "completed");
    let in_europe = of(&attempts, "frankfurt") + of(&attempts, "dublin");
    assert!(
        (in_europe - of(&completed, "berlin")).abs() < 0.02 * in_europe,
        "what comes from there stays there"
    );
    assert!(
        (of(&attempts, "gamma") / of(&attempts, "delta") - 3.0).abs() < 0.05,
        "three to one: {attempts:?}"
    );
    assert!(
        0.0 < of(&attempts, "spare") && of(&attempts, "spare") < 0.1 * of(&attempts, "beta"),
        "{attempts:?}"
    );
    assert!(30.0 < of(&columns(&endpoints, "endpoint", "ejected_seconds"), "alpha"));
}

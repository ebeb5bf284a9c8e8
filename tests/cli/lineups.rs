//! `limiters` and `balancers`: algorithms side by side.

use serde_json::Value;

use crate::place::Place;

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn limiters_are_compared() {
    let place = Place::new();
    let run = place.run(&["limiters", "--quota", "10/s", "--out", "out"]).good();
    for name in ["gcra", "fixed-window", "worst window", "out/report.html"] {
        assert!(run.stdout.contains(name), "{name}: {run:?}");
    }
    for file in [
        "lineup.json",
        "lineup.csv",
        "report.html",
        "lineup-cost.svg",
        "lineup-adversarial.png",
    ] {
        assert!(place.path("out").join(file).is_file(), "{file}");
    }
    // In the place of an earlier one.
    let run = place
        .run(&["limiters", "--quota", "10/s", "--out", "out", "--json"])
        .good();
    let json = read(&run.stdout);
    let gcra = &json["contenders"][0];
    assert_eq!(gcra["name"], "gcra");
    let held = gcra["saturated"]["rate_held"].as_f64().expect("a number");
    assert!((held - 1.0).abs() < 0.01, "{held}");
    let fixed = json["contenders"].as_array().expect("a list").iter();
    let fixed = fixed
        .clone()
        .find(|one| one["name"] == "fixed-window")
        .expect("it is compared");
    assert_eq!(fixed["adversarial"]["worst_window"], 2.0);
}

#[test]
fn limiters_meet_a_trace() {
    let place = Place::new();
    let rows = (0..200).map(|at| format!("{},300,100", f64::from(at) * 0.01));
    let rows: Vec<String> = rows.collect();
    place.write("mine.csv", format!("time,prompt,output\n{}\n", rows.join("\n")));
    let args = [
        "limiters", "--trace", "mine.csv", "--quota", "20000/s", "--unit", "tokens", "--json",
    ];
    let run = place.run(&args).good();
    let gcra = &read(&run.stdout)["contenders"][0];
    // Two seconds at 40,000 a second against a burst of 20,000 and 20,000 a second.
    let refused = gcra["real"]["refused"].as_f64().expect("a number");
    assert!((refused - 0.25).abs() < 0.01, "{refused}");
}

#[test]
fn limiters_refuse_what_makes_no_sense() {
    let place = Place::new();
    place.write("foreign/lineup.json", "{}");
    place.write("bad.csv", "time,prompt\nnever,3\n");
    let said: &[(&[&str], &str)] = &[
        (&["--quota", "100"], "an amount and a period"),
        (&["--quota", "0/s"], "nothing lets nothing through"),
        (&["--quota", "5000000000/s"], "1e9 a second"),
        (&["--unit", "tokens"], "--trace"),
        (&["--burst", "0"], "--burst"),
        (&["--trace", "missing.csv"], "missing.csv"),
        (&["--trace", "bad.csv"], "bad.csv"),
        (&["--out", "foreign"], "lineup.json"),
    ];
    for (args, what) in said {
        let args = [&["limiters"], *args].concat();
        place.run(&args).bad(2, &[what]);
    }
    assert!(!place.path("target").exists(), "nothing is written");
}

#[test]
fn balancers_are_compared_and_threads_change_nothing() {
    let place = Place::new();
    let args = ["balancers", "--minutes", "3", "--json", "--out"];
    let run = |more: &[&str]| place.run(&[&args, more].concat()).good().stdout;
    let one = run(&["one", "--threads", "1"]);
    assert_eq!(one, run(&["two", "--threads", "2"]));
    for file in place.files("one") {
        assert_eq!(
            place.read_bytes(&format!("one/{file}")),
            place.read_bytes(&format!("two/{file}")),
            "{file}"
        );
    }
    let json = read(&one);
    let contenders = json["contenders"].as_array().expect("a list");
    let figure = |name: &str, world: &str, what: &str| {
        let one = contenders
            .iter()
            .find(|one| one["name"] == name)
            .expect("it is compared");
        one[world][what].as_f64()
    };
    let mean = |name| figure(name, "alike", "mean").expect("requests were completed");
    assert!(mean("least-in-flight") < mean("p2c") && mean("p2c") < mean("random"));
    assert!(figure("random", "failure", "left").is_some() && figure("random", "failure", "back").is_some());
    assert_eq!(figure("random", "stale", "mean"), None);
}

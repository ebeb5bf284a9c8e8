//! `twin` and `calibrate`: structure and loose bounds; how true a twin is stands in `docs/fidelity.md`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::place::Place;

#[test]
fn both_sides_are_played_and_compared() {
    let place = Place::new();
    let run = place
        .run(&[
            "twin",
            "small.toml",
            "--strategy",
            "plain",
            "--duration",
            "30s",
            "--time-scale",
            "8",
            "--out",
            "out",
            "--json",
        ])
        .good();
    let twin: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(
        (&twin["twin"], &twin["time_scale"]),
        (&Value::from("small"), &Value::from(8.0))
    );
    let [strategy] = &twin["strategies"].as_array().expect("a list")[..] else {
        panic!("one was asked for: {twin}");
    };
    assert_eq!(strategy["name"], "plain");
    let counts = |side: &str| strategy["counts"]["completed"][side].as_f64().expect("a number");
    assert!(
        0.9 * counts("simulated") <= counts("live") && counts("live") <= 1.1 * counts("simulated"),
        "{strategy:#}"
    );
    let median = |side: &str| strategy["latencies"]["e2e"]["p50"][side].as_f64().expect("a number");
    assert!(
        0.5 * median("simulated") <= median("live") && median("live") <= 3.0 * median("simulated"),
        "{strategy:#}"
    );
    for file in [
        "out/twin.json",
        "out/twin.csv",
        "out/twin.md",
        "out/report.html",
        "out/twin-1.svg",
        "out/simulated/summary.json",
        "out/live/summary.json",
    ] {
        assert!(!place.read(file).is_empty(), "{file}");
    }
}

#[test]
fn what_cannot_be_played_is_said_before_anything_is_started() {
    let place = Place::new();
    place
        .run(&["twin", "small.toml", "--strategy", "plane"])
        .bad(2, &["the scenario has no strategy `plane`", "plain"]);
    place.run(&["twin", "nowhere"]).bad(2, &["nowhere"]);
    place
        .run(&["twin", "small.toml", "--time-scale", "0"])
        .bad(2, &["a time scale is a number from 0.1 to 1,000"]);
}

#[test]
fn a_log_becomes_backends_and_its_gaps_are_told() {
    let place = Place::new();
    let mut log = String::new();
    for number in 0..400_u32 {
        let ttft = 500.0 + f64::from(number % 100);
        let _never = writeln!(
            log,
            "{{\"time\":\"2026-01-02T03:{:02}:{:02}.000Z\",\"end\":\"completed\",\"endpoint\":\"alpha\",\"stream\":true,\"attempts\":1,\
             \"output\":11,\"overhead_ms\":0.0,\"ttft_ms\":{ttft},\"e2e_ms\":{}}}",
            number / 60 % 60,
            number % 60,
            ttft + 200.0
        );
    }
    log.push_str("{\"time\":\"2026-01-02T04:00:00.000Z\",\"dropped\":7}\n{\"time\":\"2026-01");
    place.write("access.jsonl", log);
    let run = place.run(&["calibrate", "access.jsonl"]).good();
    assert!(
        run.stderr.contains("lacks 7 requests") && run.stderr.contains("1 last lines break off"),
        "{run:?}"
    );
    assert!(run.stderr.contains("no 429 seen"), "{run:?}");
    assert!(
        run.stdout.contains("name = \"alpha\"") && run.stdout.contains("tpot = "),
        "{run:?}"
    );
    // What is printed is a part of a scenario.
    let scenario = format!(
        "name = \"mine\"\n[run]\nduration = \"1m\"\n[workload]\narrivals = {{ process = \"poisson\", rate = 1.0 }}\n{}",
        run.stdout
    );
    place.write("mine.toml", scenario);
    place.run(&["check", "mine.toml"]).good();
    place.write("empty.jsonl", "{\"time\":\"2026-01-02T04:00:00.000Z\",\"dropped\":7}\n");
    place
        .run(&["calibrate", "empty.jsonl"])
        .bad(2, &["nothing to fit", "lacks 7 requests"]);
}

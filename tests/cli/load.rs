//! `load`: real requests against the mock, and everything that can be wrong with its command line or its target.

use std::process::Command;

use crate::mock::Running;
use crate::place::{Place, Run};

/// What a run of a second asks.
const SECOND: [&str; 4] = ["--duration", "1s", "--warmup", "0s"];

fn load(place: &Place, target: &str, more: &[&str]) -> Run {
    let args = [&["load", "small.toml", "--target", target, "--out", "out"], more].concat();
    place.run(&args)
}

#[test]
fn a_load_is_a_result_set_beside_a_simulated_one() {
    let place = Place::new();
    let mock = Running::start(&place, &["small.toml"]);
    let target = format!("http://{}/v1", mock.urls[0].1);
    let more = [
        &SECOND[..],
        &["--strategy", "plain", "--keep", "1000", "--rate", "100", "--json"],
    ]
    .concat();
    let run = load(&place, &target, &more).good();
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!((&summary["mode"], &summary["seed"]), (&"measured".into(), &3.into()));
    let measured = &summary["strategies"][0];
    assert_eq!(measured["name"], "plain");
    let requests = &measured["requests"];
    let offered = requests["offered"].as_u64().expect("a count");
    assert!((50..150).contains(&offered), "{offered}");
    assert_eq!(requests["completed"], offered);
    assert!(measured["e2e"]["p99"].is_number() && measured["attainment"].is_number());
    for unseen in ["attempts", "amplification", "wasted_tokens"] {
        assert!(measured[unseen].is_null(), "{unseen}");
    }
    assert!(requests["admitted"].is_null() && measured["queue_wait"]["p99"].is_null());
    assert_eq!(place.read("out/requests.csv").lines().count() as u64, offered + 1);
    assert!(place.exists("out/plain.e2e.hgrm") && !place.exists("out/plain.overhead.hgrm"));

    place.run(&["simulate", "small.toml", "--out", "simulated"]).good();
    place.run(&["report", "out", "simulated", "--out", "both"]).good();
    assert!(place.read("both/report.html").contains("plain"));
}

#[test]
fn what_is_wrong_is_said_before_anything_is_sent() {
    let place = Place::new();
    let at = "http://127.0.0.1:9/v1";
    place.run(&["load", "small.toml"]).bad(2, &["--target"]);
    load(&place, "127.0.0.1:9/v1", &[]).bad(2, &["--target 127.0.0.1:9/v1", "http://", "= help: the base URL"]);
    load(&place, at, &["--strategy", "plane"]).bad(2, &["no strategy `plane`", "plain"]);
    load(&place, at, &["--rate", "0"]).bad(2, &["a rate is a number"]);
    load(&place, at, &["--duration", "soon"]).bad(2, &["a duration is a number and a unit"]);
    load(&place, at, &["--duration", "5s", "--warmup", "5s"]).bad(2, &["leaves nothing of a run"]);
    load(&place, at, &["--key", "nobody=secret-key"]).bad(2, &["no tenant `nobody`", "tenant-1"]);
    let run = load(&place, at, &["--key", "tenant-1=sécret"]).bad(2, &["is no key"]);
    assert!(!run.stderr.contains("sécret"), "a key is never shown: {run:?}");
    load(&place, at, &["--key-env", "TOLLGATE_NO_SUCH_KEY"]).bad(2, &["TOLLGATE_NO_SUCH_KEY is not set"]);
    load(&place, at, &["--ca-file", "small.toml"]).bad(2, &["--ca-file", "certificate"]);
    place.write(
        "closed.toml",
        crate::place::SCENARIO.replace(
            "{ process = \"poisson\", rate = 20.0 }",
            "{ process = \"closed\", users = 5, think = \"1s\" }",
        ),
    );
    place
        .run(&["load", "closed.toml", "--target", at, "--rate", "5"])
        .bad(2, &["closed workload", "`users`"]);
    place.write("taken/summary.json", "mine");
    place
        .run(&["load", "small.toml", "--target", at, "--out", "taken"])
        .bad(2, &["taken"]);
    assert_eq!(place.read("taken/summary.json"), "mine");
    assert!(!place.exists("out"), "nothing was written");
}

#[test]
fn a_target_that_is_not_there_is_said_with_status_1() {
    let place = Place::new();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("http://{}/v1", listener.local_addr().expect("its address"));
    drop(listener);
    load(&place, &target, &SECOND).bad(
        1,
        &["cannot be reached: connection refused", "= help: start the target"],
    );
    assert!(!place.exists("out"));
}

#[test]
fn without_files_it_goes_on_and_says_so() {
    let place = Place::new();
    // Every answer takes longer than the run, so that each request needs a connection of its own.
    let slow = crate::place::SCENARIO.replace(
        "servers = 8\nservice = { distribution = \"exponential\", mean = \"100ms\" }",
        "servers = 1000\nservice = \"2s\"",
    );
    place.write("slow.toml", slow);
    let mock = Running::start(&place, &["slow.toml"]);
    let run = place.shell(&format!(
        "ulimit -n 90 && \"$TOLLGATE\" load slow.toml --target http://{}/v1 --rate 150 --duration 1s --warmup 0s --out out --json",
        mock.urls[0].1
    ));
    let run = run.good();
    assert!(
        run.stderr.contains("out of file descriptors; raise `ulimit -n`"),
        "{run:?}"
    );
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let client = &summary["strategies"][0]["client"];
    assert!(client["failures"]["out of file descriptors"].is_number(), "{client}");
    assert!(
        summary["strategies"][0]["requests"]["completed"]
            .as_u64()
            .is_some_and(|n| 20 < n)
    );
}

#[test]
fn ctrl_c_writes_what_is_there() {
    let place = Place::new();
    let mock = Running::start(&place, &["small.toml"]);
    let target = format!("http://{}/v1", mock.urls[0].1);
    let args = [
        "load",
        "small.toml",
        "--target",
        &target,
        "--out",
        "out",
        "--warmup",
        "0s",
        "--rate",
        "200",
    ];
    let child = place.command(&args).spawn().expect("it starts");
    // It stops when it has been heard to ask.
    let asked = || {
        mock.ask(0, "GET", "/mock/stats", "", "")
            .contains("POST /v1/chat/completions")
    };
    while !asked() {
        std::thread::yield_now();
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
    let run = Run::from(child.wait_with_output().expect("it ends")).good();
    assert!(run.stderr.contains("note: stopped after "), "{run:?}");
    assert!(place.exists("out/summary.json"));
    place.run(&["report", "out"]).good();
}

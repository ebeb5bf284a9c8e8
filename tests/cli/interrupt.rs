//! Ctrl-C and SIGTERM: what is complete is kept, and only that.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::place::{Place, Run};

fn interrupt(child: &Child) {
    signal(child, "-INT");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

/// Waits until `child`, which goes on for long, has claimed its directory.
fn claimed(place: &Place, child: &mut Child) {
    let began = Instant::now();
    while !place.files("").iter().any(|name| name.contains(".tollgate-claim")) {
        let ended = child.try_wait().expect("it can be asked");
        assert!(
            ended.is_none() && began.elapsed() < Duration::from_secs(60),
            "{ended:?}"
        );
        std::thread::yield_now();
    }
}

/// A scenario whose replications take about a tenth of a second, of which there are thousands.
fn short_replications(place: &Place) {
    let text = crate::place::SCENARIO
        .replace("\"1m\"", "\"1h\"")
        .replace("replications = 2", "replications = 10000");
    place.write("small.toml", text);
}

#[test]
fn complete_replications_are_kept() {
    let place = Place::new();
    short_replications(&place);
    let child = place
        .command(&["simulate", "small.toml", "--out", "out", "--json"])
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(4));
    interrupt(&child);
    let run = Run::from(child.wait_with_output().expect("it ends")).good();
    assert!(run.stderr.contains("note: stopped after "), "{run:?}");
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let done = summary["replications"].as_u64().expect("a number");
    assert!((1..10_000).contains(&done), "{done}");
    let note = format!("stopped after {done} of 10000 replications");
    assert_eq!(summary["notes"][0], note.as_str());
    place.run(&["report", "out"]).good();

    // What is kept is what a run of so many replications gives.
    let whole = place
        .run(&[
            "simulate",
            "small.toml",
            "--out",
            "whole",
            "--replications",
            &done.to_string(),
        ])
        .good();
    assert_eq!(whole.stderr, "");
    assert_eq!(place.read("out/series.csv"), place.read("whole/series.csv"));
}

#[test]
fn nothing_complete_is_nothing_written() {
    let place = Place::new();
    place.write(
        "small.toml",
        crate::place::long_scenario().replace("\"20h\"", "\"2000h\""),
    );
    let before = place.files("");
    let child = place
        .command(&["simulate", "small.toml", "--out", "out"])
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(4));
    let asked = Instant::now();
    interrupt(&child);
    let run = Run::from(child.wait_with_output().expect("it ends"));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    run.bad(
        1,
        &[
            "stopped before one replication of every strategy was complete",
            "nothing was written",
        ],
    );
    assert_eq!(place.files(""), before);
}

/// Not even an old set is touched.
#[test]
fn old_set_outlives_an_interruption() {
    let place = Place::new();
    place.run(&["simulate", "small.toml", "--out", "out"]).good();
    let before = place.read("out/summary.json");
    place.write(
        "small.toml",
        crate::place::long_scenario().replace("\"20h\"", "\"2000h\""),
    );
    let child = place
        .command(&["simulate", "small.toml", "--out", "out"])
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(3));
    interrupt(&child);
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));
    assert_eq!(place.read("out/summary.json"), before);
}

/// Whoever stops services, and most schedulers, sends SIGTERM.
#[test]
fn termination_is_as_an_interruption() {
    let place = Place::new();
    short_replications(&place);
    let child = place
        .command(&["simulate", "small.toml", "--out", "out"])
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(4));
    signal(&child, "-TERM");
    let run = Run::from(child.wait_with_output().expect("it ends")).good();
    assert!(run.stderr.starts_with("note: stopped after "), "{run:?}");
    place.run(&["report", "out"]).good();
}

/// The second of two runs into one directory is refused before it simulates, and the claim of the first goes with it.
#[test]
fn directory_of_another_run_is_taken() {
    let place = Place::new();
    place.run(&["simulate", "small.toml", "--out", "old"]).good();
    place.write(
        "long.toml",
        crate::place::long_scenario().replace("\"20h\"", "\"2000h\""),
    );
    let before = place.files("");
    for out in ["new", "sub/new", "old"] {
        let mut child = place
            .command(&["simulate", "long.toml", "--out", out])
            .spawn()
            .expect("it starts");
        claimed(&place, &mut child);
        place
            .run(&["simulate", "small.toml", "--out", &format!("./{out}")])
            .bad(2, &["is being written by another run", "= help: wait"]);
        interrupt(&child);
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(1));
        assert_eq!(place.files(""), before);
        assert!(!place.exists("sub"), "directories that were made for it are gone");
    }
}

/// A claim that a killed process left behind is nobody's.
#[test]
fn claim_of_a_killed_run_is_free() {
    let place = Place::new();
    place.write(
        "long.toml",
        crate::place::long_scenario().replace("\"20h\"", "\"2000h\""),
    );
    let mut child = place
        .command(&["simulate", "long.toml", "--out", "out"])
        .spawn()
        .expect("it starts");
    claimed(&place, &mut child);
    signal(&child, "-KILL");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), None);
    place.run(&["simulate", "small.toml", "--out", "out"]).good();
    assert!(!place.files("").iter().any(|name| name.contains("claim")));
}

/// A second signal ends at once, and leaves nothing behind.
#[test]
fn second_interruption_ends_at_once() {
    let place = Place::new();
    place.write(
        "long.toml",
        crate::place::long_scenario().replace("\"20h\"", "\"2000h\""),
    );
    let before = place.files("");
    let mut child = place
        .command(&["simulate", "long.toml", "--out", "out"])
        .spawn()
        .expect("it starts");
    claimed(&place, &mut child);
    for name in ["-INT", "-TERM"] {
        signal(&child, name);
    }
    let status = child.wait_with_output().expect("it ends").status.code();
    // Whichever comes first, and whether it is over before the second.
    assert!([Some(1), Some(130), Some(143)].contains(&status), "{status:?}");
    assert_eq!(place.files(""), before);
}

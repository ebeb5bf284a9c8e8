//! Ctrl-C: what is complete is kept, and only that.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::place::{Place, Run};

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
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
    assert!(run.stderr.contains("note: stopped by Ctrl-C after "), "{run:?}");
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let done = summary["replications"].as_u64().expect("a number");
    assert!((1..10_000).contains(&done), "{done}");
    let note = format!("stopped by Ctrl-C after {done} of 10000 replications");
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

//! Every bad trace ends with status 2, a place and a remedy, and leaves nothing behind.

use crate::place::Place;

#[track_caller]
fn trace(text: impl AsRef<[u8]>, parts: &[&str]) {
    let place = Place::new();
    place.write("bad.csv", text);
    let args = ["simulate", "small.toml", "--trace", "bad.csv", "--out", "out"];
    place.run(&args).bad(2, parts);
    place.run(&["trace", "describe", "bad.csv"]).bad(2, parts);
    place.run(&["trace", "import", "bad.csv"]).bad(2, parts);
    place.run(&["check", "small.toml", "--trace", "bad.csv"]).bad(2, parts);
    assert_eq!(
        place.files(""),
        ["bad.csv", "policies/careful.toml", "policies/plain.toml", "small.toml"]
    );
}

#[test]
fn nan_in_a_trace() {
    trace(
        "time,prompt,output\n0,10,10\n1,NaN,5\n",
        &["bad.csv:3: column `prompt`", "not a number", "= help: correct"],
    );
}

#[test]
fn negative_length_in_a_trace() {
    trace(
        "time,prompt,output\n0,10,10\n1,-4,5\n",
        &["bad.csv:3: column `prompt`", "= help: correct"],
    );
}

#[test]
fn unsorted_trace() {
    trace(
        "time,prompt,output\n0,1,1\n5,1,1\n2,1,1\n",
        &["bad.csv:4", "out of order", "= help: put the rows in order"],
    );
}

#[test]
fn truncated_trace() {
    trace(
        "time,prompt,output\n0,1,1\n5,1",
        &[
            "bad.csv:3",
            "2 fields where the header has 3",
            "= help: if this is the last",
        ],
    );
}

#[test]
fn trace_without_rows() {
    trace(
        "time,prompt,output\n",
        &["bad.csv: no call in it", "= help: a trace needs"],
    );
    trace("", &["bad.csv: nothing in it", "= help: "]);
}

#[test]
fn trace_that_is_no_text() {
    trace([0x1f, 0x8b, 8, 0, 0, 0, 0, 0], &["bad.csv: not UTF-8 text", "= help: "]);
}

#[test]
fn trace_that_does_not_exist() {
    let place = Place::new();
    let run = place.run(&["simulate", "small.toml", "--trace", "no.csv", "--out", "out"]);
    run.bad(2, &["no.csv: ", "= help: check the path"]);
    assert!(!place.exists("out"));
}

//! `simulate`: what it writes and prints, from anywhere, whole or not at all.

use crate::place::{POLICY, Place, SCENARIO};

fn small() -> Place {
    let place = Place::new();
    place.run(&["simulate", "small.toml", "--out", "out"]).good();
    place
}

#[test]
fn result_set_is_written_and_told() {
    let place = Place::new();
    let run = place.run(&["simulate", "small.toml"]).good();
    assert_eq!(run.stderr, "");
    assert!(run.stdout.starts_with("Does it answer?\n\nstrategy "), "{}", run.stdout);
    for part in [
        "\nplain ",
        "\ncareful ",
        "attainment",
        "2 replications of 2 strategies",
        "seed 3",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(
        run.stdout.ends_with("\nreport: target/tollgate/small/report.html\n"),
        "{}",
        run.stdout
    );
    let files = place.files("target/tollgate/small");
    for file in [
        "summary.json",
        "summary.csv",
        "series.csv",
        "endpoints.csv",
        "report.html",
        "plain.e2e.hgrm",
    ] {
        assert!(files.iter().any(|name| name == file), "{file}: {files:?}");
    }
    assert!(!files.iter().any(|name| name == "requests.csv"));
    assert_eq!(place.files("target").len(), files.len(), "nothing else is left");
}

#[test]
fn output_fits_the_width() {
    let place = Place::empty();
    for columns in [40, 60, 80, 100] {
        let mut command = place.command(&["simulate", "outage", "--replications", "1"]);
        command.env("COLUMNS", columns.to_string());
        let run = crate::place::Run::of(command).good();
        // A path is not broken, so that it can be copied.
        let broken = run.stdout.lines().filter(|line| !line.starts_with("report: "));
        let widest = broken.map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns), "{columns}:\n{}", run.stdout);
    }
}

#[test]
fn json_is_the_summary_alone() {
    let place = Place::new();
    let run = place.run(&["simulate", "small.toml", "--json", "--out", "out"]).good();
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let written: serde_json::Value = serde_json::from_str(&place.read("out/summary.json")).expect("it is JSON");
    assert_eq!(printed, written);
    assert_eq!(run.stderr, "");
}

#[test]
fn options_are_obeyed() {
    let place = Place::new();
    let args = [
        "simulate",
        "small.toml",
        "--json",
        "--seed",
        "11",
        "--replications",
        "3",
        "--requests",
        "7",
    ];
    let run = place.run(&args).good();
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(
        (summary["seed"].as_u64(), summary["replications"].as_u64()),
        (Some(11), Some(3))
    );
    let requests = place.read("target/tollgate/small/requests.csv");
    assert_eq!(requests.lines().count(), 1 + 2 * 7, "{requests}");
}

/// The same seed gives the same bytes in every file but the two figures of the clock, whatever the threads.
#[test]
fn threads_and_runs_change_no_byte() {
    let place = Place::new();
    for (out, threads) in [("a", "1"), ("b", "2"), ("c", "7")] {
        let args = [
            "simulate",
            "small.toml",
            "--out",
            out,
            "--threads",
            threads,
            "--requests",
            "50",
        ];
        place.run(&args).good();
    }
    let is_clock = |line: &&str| line.contains("\"wall_seconds\"") || line.contains("\"requests_per_wall_second\"");
    for other in ["b", "c"] {
        assert_eq!(place.files("a"), place.files(other));
        for file in place.files("a") {
            let read = |dir: &str| std::fs::read(place.path(dir).join(&file)).expect("a file of the set");
            if file == "summary.json" {
                let text = |dir: &str| {
                    let text = place.read(&format!("{dir}/{file}"));
                    assert_eq!(text.lines().filter(is_clock).count(), 2);
                    text.lines()
                        .filter(|line| !is_clock(line))
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                };
                assert_eq!(text("a"), text(other));
            } else {
                assert!(read("a") == read(other), "{file} differs");
            }
        }
    }
}

#[test]
fn another_seed_gives_other_results() {
    let place = small();
    place
        .run(&["simulate", "small.toml", "--out", "other", "--seed", "4"])
        .good();
    assert_ne!(place.read("out/series.csv"), place.read("other/series.csv"));
}

/// Nothing but the program is needed.
#[test]
fn shipped_names_work_in_an_empty_directory() {
    let place = Place::empty();
    std::fs::copy(crate::place::TOLLGATE, place.path("installed")).expect("it can be copied");
    let line = "./installed simulate outage --replications 1 --policy peak-ewma --policy failover --out out";
    let run = place.shell(line).good();
    assert!(
        run.stdout.contains("\npeak-ewma ") && run.stdout.contains("\nfailover "),
        "{}",
        run.stdout
    );
    place
        .shell("./installed simulate azure-conv --replications 1 --out out")
        .good();
    place.shell("./installed check outage azure-conv peak-ewma").good();
}

/// A directory of a shipped name is not in the way; a file of it is what is meant.
#[test]
fn files_go_before_shipped_names() {
    let place = Place::new();
    place.write("outage/notes.md", "");
    place.run(&["check", "outage"]).good();
    place.write("azure-conv", SCENARIO);
    let run = place.run(&["check", "azure-conv"]).good();
    assert!(
        run.stdout.starts_with("azure-conv: a scenario with 2 strategies"),
        "{}",
        run.stdout
    );
}

#[test]
fn policies_are_found_from_here_and_the_scenario_elsewhere() {
    let place = Place::new();
    place.write("elsewhere/deep/small.toml", SCENARIO);
    place.write("elsewhere/deep/policies/plain.toml", POLICY);
    place.write("elsewhere/deep/policies/careful.toml", POLICY);
    place.write("mine.toml", POLICY);
    let scenario = "elsewhere/deep/small.toml";
    place.run(&["simulate", scenario]).good();
    let args = [
        "simulate",
        scenario,
        "--json",
        "--policy",
        "mine.toml",
        "--policy",
        "policies/careful.toml",
    ];
    let run = place.run(&args).good();
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let names: Vec<_> = summary["strategies"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["name"].as_str())
        .collect();
    assert_eq!(names, [Some("mine"), Some("careful")]);
}

/// A scenario on disk may name a shipped policy by its bare name.
#[test]
fn bare_name_is_a_shipped_policy() {
    let place = Place::new();
    let beta = "\n[[backend]]\nname = \"beta\"\nkind = \"queue\"\nservers = 8\nservice = { distribution = \"exponential\", mean = \"100ms\" }\n";
    let text = SCENARIO.replace("policies/plain.toml", "peak-ewma").replace(
        "\n[[strategy]]\nname = \"plain\"",
        &format!("{beta}\n[[strategy]]\nname = \"plain\""),
    );
    place.write("small.toml", text);
    place.run(&["check", "small.toml"]).good();
}

#[test]
fn trace_is_replayed() {
    let place = Place::new();
    let rows = (0..600).map(|row| format!("{},{},10", f64::from(row) / 10.0, 100 + row));
    let lines: Vec<String> = std::iter::once("time,prompt,output".to_owned()).chain(rows).collect();
    place.write("t.csv", lines.join("\n"));
    let args = ["simulate", "small.toml", "--trace", "t.csv", "--out", "out", "--json"];
    let run = place.run(&args).good();
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(summary["trace"], "t.csv");
    assert_eq!(summary["strategies"][0]["calls"], 550.0, "5 s of warm-up are left out");
    assert_eq!(summary["simulated_seconds"], 59.9, "the run ends with the trace");
    assert_eq!(run.stderr, "", "nothing was left out");
}

/// What the scenario leaves out of a trace is said, in the set too.
#[test]
fn trace_that_goes_on_is_said_to_be_cut() {
    let place = Place::new();
    let rows = (0..700).map(|row| format!("{},100,10", f64::from(row) / 10.0));
    let lines: Vec<String> = std::iter::once("time,prompt,output".to_owned()).chain(rows).collect();
    place.write("t.csv", lines.join("\n"));
    let args = ["simulate", "small.toml", "--trace", "t.csv", "--out", "out"];
    let run = place.run(&args).good();
    let note = "the trace is longer than the run: only its first 600 calls are replayed; a longer `run.duration` takes \
                in more";
    assert_eq!(run.stderr, format!("note: {note}\n"));
    let summary: serde_json::Value = serde_json::from_str(&place.read("out/summary.json")).expect("it is JSON");
    assert_eq!(summary["notes"][0], note);

    place.write("few.toml", SCENARIO.replace("duration = \"1m\"", "requests = 100"));
    let run = place
        .run(&["simulate", "few.toml", "--trace", "t.csv", "--out", "few"])
        .good();
    assert!(
        run.stderr
            .contains("only its first 100 calls are replayed; a larger `run.requests`"),
        "{run:?}"
    );
}

/// Otherwise a table without figures would be all there is to see.
#[test]
fn nothing_counted_is_said() {
    let place = Place::new();
    place.write("t.csv", "time,prompt,output\n0,1,1\n1,1,1\n");
    let run = place
        .run(&["simulate", "small.toml", "--trace", "t.csv", "--out", "out"])
        .good();
    assert!(
        run.stderr.contains("note: no request began after the warm-up"),
        "{run:?}"
    );
    assert!(
        place
            .read("out/summary.json")
            .contains("no request began after the warm-up")
    );
}

/// Files of 4 KiB at most: the disk is as good as full. The old set stays, and nothing is left of the new one.
#[test]
fn full_disk_changes_nothing() {
    let place = small();
    let before: Vec<_> = place
        .files("")
        .into_iter()
        .map(|file| (place_bytes(&place, &file), file))
        .collect();
    for out in ["out", "new"] {
        let line = format!("trap '' XFSZ; ulimit -f 4; exec \"$TOLLGATE\" simulate small.toml --seed 9 --out {out}");
        place.shell(&line).bad(1, &["error: cannot write", "File too large"]);
    }
    place.write("t.csv", format!("time,prompt,output\n{}", "0,1,1\n".repeat(2_000)));
    place
        .shell("trap '' XFSZ; ulimit -f 4; exec \"$TOLLGATE\" trace import t.csv")
        .bad(1, &["File too large"]);
    std::fs::remove_file(place.path("t.csv")).expect("it is there");
    let after: Vec<_> = place
        .files("")
        .into_iter()
        .map(|file| (place_bytes(&place, &file), file))
        .collect();
    assert!(before == after, "{:?}", place.files(""));
}

fn place_bytes(place: &Place, file: &str) -> Vec<u8> {
    std::fs::read(place.path(file)).expect("it can be read")
}

/// A set replaces an earlier one wholly, and leaves other files alone.
#[test]
fn new_set_replaces_the_old() {
    let place = small();
    place.write("out/notes.md", "mine");
    assert!(place.exists("out/careful.e2e.hgrm"));
    place
        .run(&[
            "simulate",
            "small.toml",
            "--out",
            "out",
            "--policy",
            "policies/plain.toml",
        ])
        .good();
    assert!(!place.exists("out/careful.e2e.hgrm"));
    assert_eq!(place.read("out/notes.md"), "mine");
}

#[test]
fn reader_that_goes_away_is_no_panic() {
    let place = Place::new();
    let run = place
        .shell("\"$TOLLGATE\" simulate small.toml | head -c 1; exit ${PIPESTATUS[0]}")
        .good();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("D", ""));
    let run = place
        .shell("\"$TOLLGATE\" simulate small.toml >&-; \"$TOLLGATE\" --help | true")
        .good();
    assert_eq!(run.stderr, "");
    place.shell("\"$TOLLGATE\" simulate nothing 2>&-; test $? = 2").good();
}

#[test]
fn full_standard_output_is_an_error() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let place = small();
    for args in [
        "scenarios",
        "simulate small.toml",
        "simulate small.toml --json",
        "report out",
        "check small.toml",
    ] {
        let run = place.shell(&format!("\"$TOLLGATE\" {args} > /dev/full"));
        run.bad(1, &["standard output cannot be written to"]);
    }
}

/// No escape sequence goes into a pipe or file, and none to a terminal that wants no color.
#[test]
fn colors_and_progress_are_for_terminals() {
    let place = Place::new();
    place.write("bad.toml", SCENARIO.replace("seed", "sed"));
    let run = place.run(&["check", "bad.toml"]).bad(2, &[]);
    assert!(!run.stderr.contains('\u{1b}'));
    if place.shell("script -qec true /dev/null").status != Some(0) {
        return;
    }
    let shown = |environment: &str, args: &str| {
        let run = place.shell(&format!("script -qec \"{environment} $TOLLGATE {args}\" /dev/null"));
        run.stdout
    };
    assert!(shown("TERM=xterm", "check bad.toml").contains("\u{1b}["));
    assert!(!shown("TERM=xterm NO_COLOR=1", "check bad.toml").contains('\u{1b}'));
    assert!(!shown("TERM=dumb", "check bad.toml").contains('\u{1b}'));
    place.write("long.toml", SCENARIO.replace("\"1m\"", "\"4h\""));
    let progress = shown("TERM=xterm", "simulate long.toml");
    assert!(
        progress.contains("/s  run ") && progress.contains(" left"),
        "{progress:?}"
    );
    assert!(!shown("TERM=dumb", "simulate long.toml").contains(" left"));
}

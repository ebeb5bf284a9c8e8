//! `check`, `report`, `scenarios`, `new` and `trace`.

use crate::place::{POLICY, Place, Run};

const TRACE: &str =
    "time,prompt,output,tenant,model\n0,10,10,acme,gpt-large\n1,20,10,acme,gpt-large\n3,30,40,zeta,gpt-large\n";

#[test]
fn check_lists_what_is_good() {
    let place = Place::new();
    let run = place
        .run(&["check", "small.toml", "policies/plain.toml", "outage", "peak-ewma"])
        .good();
    let lines: Vec<&str> = run
        .stdout
        .lines()
        .map(|line| line.rsplit_once(' ').expect("a hash").0)
        .collect();
    let expected = [
        "small.toml: a scenario with 2 strategies, hash",
        "policies/plain.toml: a policy, hash",
        "outage: a scenario with 6 strategies, hash",
        "peak-ewma: a policy, hash",
    ];
    assert_eq!(lines, expected);
    assert_eq!(run.stderr, "");
}

/// What the tables are called decides, not what strings and comments say.
#[test]
fn check_tells_policies_from_scenarios_by_their_keys() {
    let place = Place::new();
    let text = format!(
        "# [[backend]]\n{POLICY}\n[[route]] # [workload]\nname = \"\"\"\n[[backend]]\"\"\"\npools = [\"chat\"]\n"
    );
    place.write("odd.toml", text.replace("\"\"\"\n[[backend]]\"\"\"", "\"[workload]\""));
    let run = place.run(&["check", "odd.toml"]).good();
    assert!(run.stdout.contains("odd.toml: a policy"), "{run:?}");
    place.write("inline.toml", "backend = []\nstrategy = []\n");
    place.run(&["check", "inline.toml"]).bad(2, &["`workload` is missing"]);
}

#[test]
fn check_warns_on_standard_error() {
    let place = Place::new();
    place.write(
        "p.toml",
        format!("{POLICY}\n[[route]]\nname = \"late\"\npools = [\"chat\"]\n"),
    );
    let run = place.run(&["check", "p.toml"]).good();
    assert!(run.stderr.contains("warning: route `late` decides nothing"), "{run:?}");
    assert!(run.stderr.contains("--> p.toml:14:8"), "{run:?}");
    assert!(run.stdout.starts_with("p.toml: a policy"), "{run:?}");
}

#[test]
fn check_with_a_trace_warns_of_what_nothing_matches() {
    let place = Place::new();
    place.write("t.csv", TRACE);
    let policy = r#"version = 1
[[tenant]]
name = "acme"
[[tenant]]
name = "gone"
[[limit]]
name = "gone-requests"
unit = "requests"
when = { tenant = "gone" }
quota = { amount = 10, period = "1m" }
[[limit]]
name = "all-requests"
unit = "requests"
quota = { amount = 10, period = "1m" }
[[pool]]
name = "chat"
  [[pool.endpoint]]
  name = "alpha"
[[route]]
name = "small-models"
match = { model = "tiny-*" }
pools = ["chat"]
[[route]]
name = "all"
pools = ["chat"]
"#;
    place.write("p.toml", policy);
    let run = place.run(&["check", "p.toml", "--trace", "t.csv"]).good();
    let warnings: Vec<&str> = run.stderr.lines().collect();
    let expected = [
        "warning: p.toml: no request of the trace matches route `small-models`",
        "warning: p.toml: no request of the trace matches limit `gone-requests`",
        "warning: p.toml: no request of the trace comes from tenant `gone`, so its keys are not tried",
    ];
    assert_eq!(warnings, expected);
    assert!(place.run(&["check", "p.toml"]).good().stderr.is_empty());
    place.write("policies/careful.toml", policy);
    let run = place.run(&["check", "small.toml", "--trace", "t.csv"]).good();
    assert!(
        run.stderr.contains("warning: policies/careful.toml: no request"),
        "{run:?}"
    );
}

/// It starts nothing: not even the run that finds a warm-up.
#[test]
fn check_simulates_nothing() {
    let place = Place::new();
    let text = crate::place::SCENARIO
        .replace("\"1m\"", "\"20000h\"")
        .replace("\"5s\"", "\"auto\"");
    place.write("small.toml", text);
    let began = std::time::Instant::now();
    place.run(&["check", "small.toml"]).good();
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[test]
fn report_is_redrawn() {
    let place = Place::new();
    place.run(&["simulate", "small.toml", "--out", "out"]).good();
    let (files, report) = (place.files("out"), place.read("out/report.html"));
    std::fs::remove_file(place.path("out/report.html")).expect("it was there");
    let run = place.run(&["report", "out"]).good();
    assert!(run.stdout.ends_with("\nreport: out/report.html\n"), "{run:?}");
    assert!(run.stdout.contains("\nplain ") && run.stderr.is_empty(), "{run:?}");
    assert_eq!((place.files("out"), place.read("out/report.html")), (files, report));
}

/// Sets of one directory name and one strategy name are still told apart.
#[test]
fn reports_are_laid_side_by_side() {
    let place = Place::new();
    place.run(&["simulate", "small.toml", "--out", "before/small"]).good();
    place
        .run(&["simulate", "small.toml", "--out", "after/small", "--seed", "5"])
        .good();
    let run = place
        .run(&["report", "before/small", "after/small", "--out", "both"])
        .good();
    assert_eq!(
        run.stdout.lines().filter(|line| line.starts_with("plain")).count() % 2,
        0
    );
    let summary: serde_json::Value = serde_json::from_str(&place.read("both/summary.json")).expect("JSON");
    let names: std::collections::BTreeSet<_> = summary["strategies"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["name"].to_string())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    place.run(&["report", "before/small", "after/small"]).good();
    assert!(place.exists("target/tollgate/report/report.html"));
    place
        .run(&["report", "before/small", "--out", "small.toml"])
        .bad(2, &["cannot be written to", "= help: "]);
}

#[test]
fn scenarios_are_listed_with_their_questions() {
    let place = Place::empty();
    let mut command = place.command(&["scenarios"]);
    command.env("COLUMNS", "80");
    let run = Run::of(command).good();
    for (folder, list) in [("scenarios", "Scenarios"), ("policies", "Policies")] {
        assert!(run.stdout.contains(list));
        for entry in std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).expect("it is there") {
            let path = entry.expect("it can be read").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(run.stdout.contains(&format!("\n  {name} ")), "{name}: {}", run.stdout);
        }
    }
    assert!(
        run.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        run.stdout
    );
}

#[test]
fn new_copies_what_runs() {
    let place = Place::empty();
    for name in ["outage", "azure-conv"] {
        let place = Place::empty();
        let run = place.run(&["new", name]).good();
        assert!(run.stdout.starts_with(&format!("{name}.toml\npolicies/")), "{run:?}");
        let mut listed: Vec<&str> = run.stdout.lines().collect();
        listed.sort_unstable();
        assert_eq!(place.files(""), listed);
        let file = format!("{name}.toml");
        place.run(&["check", &file]).good();
        let copy = place
            .run(&["simulate", &file, "--replications", "1", "--out", "copy"])
            .good();
        assert_eq!(copy.stderr, "");
        place
            .run(&["simulate", name, "--replications", "1", "--out", "shipped"])
            .good();
        assert_eq!(place.read("copy/series.csv"), place.read("shipped/series.csv"));
    }
    assert_eq!(place.files(""), [""; 0]);
}

#[test]
fn new_does_not_overwrite() {
    for there in ["outage.toml", "policies/peak-ewma.toml", "policies/round-robin.toml"] {
        let place = Place::empty();
        place.write(there, "mine");
        let run = place.run(&["new", "outage"]);
        run.bad(
            2,
            &[
                &format!("`{there}` is there already, and nothing was written"),
                "= help: ",
            ],
        );
        assert_eq!(place.files(""), [there]);
        assert_eq!(place.read(there), "mine");
    }
}

/// What cannot be finished is taken back, and what is in the way stays.
#[test]
fn new_writes_all_or_nothing() {
    let place = Place::empty();
    place.write("policies", "a file");
    let run = place.run(&["new", "outage"]);
    run.bad(1, &["nothing was kept", "= help: "]);
    assert_eq!(place.files(""), ["policies"]);
    assert_eq!(place.read("policies"), "a file");
    let place = Place::empty();
    place
        .shell("trap '' XFSZ; ulimit -f 0; exec \"$TOLLGATE\" new outage")
        .bad(1, &["nothing was kept"]);
    assert!(!place.exists("outage.toml") && !place.exists("policies"));
    let place = Place::empty();
    std::os::unix::fs::symlink("nowhere", place.path("outage.toml")).expect("a link");
    place.run(&["new", "outage"]).bad(2, &["is there already"]);
    assert!(place.exists("outage.toml"));
}

/// A file of the name of a scenario does not hide what is shipped.
#[test]
fn new_copies_what_is_shipped() {
    let place = Place::empty();
    place.write("outage", "mine");
    place.run(&["new", "outage"]).good();
    assert!(place.exists("outage.toml"));
    place
        .run(&["new", "./outage"])
        .bad(2, &["no shipped scenario is called `./outage`", "= help: "]);
}

#[test]
fn trace_is_described() {
    let place = Place::new();
    place.write("t.csv", TRACE);
    let run = place.run(&["trace", "describe", "t.csv"]).good();
    assert!(
        run.stdout.starts_with("calls       3 in 3.0 s, 1.000 a second\n"),
        "{run:?}"
    );
    assert!(run.stdout.contains("tenants     2;"), "{run:?}");
    let run = place.run(&["trace", "describe", "t.csv", "--json"]).good();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(
        (
            json["calls"].as_u64(),
            json["tenants"].as_u64(),
            json["models"].as_u64()
        ),
        (Some(3), Some(2), Some(1))
    );
    assert_eq!(json["prompt"]["max"], 30);
    assert_eq!(run.stderr, "");
}

#[test]
fn trace_is_imported_and_replayed() {
    let place = Place::new();
    place.write("log.csv", "when,in,out,who\n7,30,4,b\n2,10,5,a\n2.5,20,5,a\n");
    let columns = "time=when,prompt=in,output=out,tenant=who";
    let args = ["trace", "import", "log.csv", "--format", "csv", "--columns", columns];
    place
        .run(&args)
        .bad(2, &["log.csv:3", "out of order", "= help: put the rows in order"]);
    assert!(!place.exists("log.tollgate.csv"));
    let run = place.run(&[&args[..], &["--sort"]].concat()).good();
    assert_eq!(run.stdout, "log.tollgate.csv\n");
    assert!(
        run.stderr.starts_with("3 rows of format csv, 2 tenants, 5 s;"),
        "{run:?}"
    );
    assert_eq!(
        place.read("log.tollgate.csv"),
        "time,prompt,output,tenant\n0,10,5,a\n0.5,20,5,a\n5,30,4,b\n"
    );
    place.run(&["trace", "describe", "log.tollgate.csv"]).good();
    place
        .run(&["simulate", "small.toml", "--trace", "log.tollgate.csv", "--out", "out"])
        .good();
}

#[test]
fn trace_is_not_imported_over_itself() {
    let place = Place::new();
    place.write("t.csv", TRACE);
    for out in ["t.csv", "policies/../t.csv"] {
        place
            .run(&["trace", "import", "t.csv", "--out", out])
            .bad(2, &["would be replaced", "= help: "]);
    }
    assert_eq!(place.read("t.csv"), TRACE);
}

/// A million rows are read, converted and replayed in bounded time. Ten million: `.ci/full`.
#[test]
fn large_trace() {
    use std::io::Write as _;

    let rows: u32 = std::env::var("TOLLGATE_TEST_ROWS").map_or(1_000_000, |rows| rows.parse().expect("a number"));
    let place = Place::new();
    let file = std::fs::File::create(place.path("t.csv")).expect("a file");
    let mut file = std::io::BufWriter::new(file);
    file.write_all(b"time,prompt,output\n").expect("it is written");
    for row in 0..rows {
        writeln!(file, "{}.{:03},9,3", row / 1_000, row % 1_000).expect("it is written");
    }
    drop(file);
    let run = place.run(&["trace", "describe", "t.csv", "--json"]).good();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(json["calls"], rows);
    place.run(&["trace", "import", "t.csv"]).good();
    let text = crate::place::SCENARIO
        .replace("duration = \"1m\"", "duration = \"10h\"")
        .replace("mean = \"100ms\"", "mean = \"1ms\"");
    place.write("small.toml", text);
    let args = [
        "simulate",
        "small.toml",
        "--trace",
        "t.tollgate.csv",
        "--replications",
        "1",
        "--json",
    ];
    let run = place
        .run(&[&args[..], &["--policy", "policies/plain.toml"]].concat())
        .good();
    let summary: serde_json::Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(
        summary["strategies"][0]["calls"],
        f64::from(rows - 5_000),
        "the warm-up is left out"
    );
}

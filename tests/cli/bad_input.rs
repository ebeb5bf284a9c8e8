//! Every bad input ends with status 2, a place and a remedy, and leaves nothing behind.

use crate::place::{POLICY, Place, SCENARIO};

/// `simulate` of this scenario, and `check` of it, say the same.
#[track_caller]
fn scenario(text: impl AsRef<[u8]>, parts: &[&str]) {
    let place = Place::new();
    place.write("bad.toml", text);
    place.run(&["simulate", "bad.toml", "--out", "out"]).bad(2, parts);
    place.run(&["check", "bad.toml"]).bad(2, parts);
    assert!(!place.exists("out") && !place.exists("target"));
}

/// `simulate` with this policy says it; so does `check` of a scenario that names it.
#[track_caller]
fn policy(text: &str, parts: &[&str]) {
    let place = Place::new();
    place.write("policies/plain.toml", text);
    let run = place.run(&[
        "simulate",
        "small.toml",
        "--out",
        "out",
        "--policy",
        "policies/plain.toml",
    ]);
    run.bad(2, parts);
    place.run(&["simulate", "small.toml", "--out", "out"]).bad(2, parts);
    place.run(&["check", "small.toml"]).bad(2, parts);
    assert!(!place.exists("out"));
}

#[test]
fn unknown_key() {
    let text = SCENARIO.replace("warmup =", "warmpu =");
    scenario(
        text,
        &[
            "--> bad.toml:7:1",
            "unknown key `warmpu`",
            "= help: did you mean `warmup`?",
        ],
    );
}

#[test]
fn wrong_unit() {
    let text = SCENARIO.replace("\"1m\"", "\"1 minute\"");
    scenario(
        text,
        &[
            "--> bad.toml:6:12",
            "expected a duration",
            "= help: write it with its unit",
        ],
    );
}

#[test]
fn negative_rate() {
    let text = SCENARIO.replace("rate = 20.0", "rate = -1");
    scenario(
        text,
        &[
            "--> bad.toml:11:42",
            "`arrivals.rate` is -1",
            "= help: write a number from",
        ],
    );
}

#[test]
fn absurd_rate() {
    let text = SCENARIO.replace("rate = 20.0", "rate = 1e30");
    scenario(
        text,
        &[
            "--> bad.toml:11:42",
            "`arrivals.rate` is 1e30",
            "= help: write a number from 1e-9 to 1e9",
        ],
    );
}

#[test]
fn rate_that_is_no_number() {
    for word in ["nan", "inf", "\"fast\""] {
        let text = SCENARIO.replace("rate = 20.0", &format!("rate = {word}"));
        scenario(text, &["--> bad.toml:11:42", "expected a finite number"]);
    }
}

#[test]
fn missing_policy() {
    let text = SCENARIO.replace("policies/plain.toml", "policies/plane.toml");
    scenario(
        text,
        &[
            "--> bad.toml:22:10",
            "`policies/plane.toml` cannot be read",
            "= help: paths are relative",
        ],
    );
}

/// A shipped policy stands in only for its own name, never for a file that is gone.
#[test]
fn missing_policy_is_not_replaced_by_a_shipped_one() {
    let text = SCENARIO.replace("policies/plain.toml", "policies/peak-ewma.toml");
    scenario(
        text,
        &["--> bad.toml:22:10", "`policies/peak-ewma.toml` cannot be read"],
    );
}

#[test]
fn two_strategies_of_one_name() {
    let text = SCENARIO.replace("\"careful\"", "\"plain\"");
    scenario(text, &["--> bad.toml:25:8", "`plain`", "= help: names must differ"]);
}

#[test]
fn two_policies_of_one_file_name() {
    let place = Place::new();
    place.write("more/plain.toml", POLICY);
    let run = place.run(&[
        "simulate",
        "small.toml",
        "--out",
        "out",
        "--policy",
        "policies/plain.toml",
        "--policy",
        "more/plain.toml",
    ]);
    run.bad(2, &["two policies are called `plain`", "= help: rename"]);
    assert!(!place.exists("out"));
}

#[test]
fn no_strategy() {
    let end = SCENARIO.find("[[strategy]]").expect("it has strategies");
    let place = Place::new();
    place.write("bad.toml", &SCENARIO[..end]);
    let run = place.run(&["simulate", "bad.toml", "--out", "out"]);
    run.bad(2, &["names no strategy", "= help: add a [[strategy]]"]);
    assert!(!place.exists("out"));
}

#[test]
fn endpoint_without_backend() {
    policy(
        &POLICY.replace("\"alpha\"", "\"alhpa\""),
        &[
            "--> policies/plain.toml:6:10",
            "no backend of the scenario is called `alhpa`",
            "= help: did you mean `alpha`?",
        ],
    );
}

#[test]
fn pool_named_twice_in_a_route() {
    policy(
        &POLICY.replace("[\"chat\"]", "[\"chat\", \"chat\"]"),
        &[
            "--> policies/plain.toml:10:18",
            "pool `chat` is named twice",
            "= help: a pool is tried once",
        ],
    );
}

#[test]
fn limit_that_can_never_admit() {
    for quota in [
        "amount = 0, period = \"1m\"",
        "amount = 10, period = \"1m\", burst = 0",
        "amount = 10, period = \"0s\"",
    ] {
        let limit = format!("\n[[limit]]\nname = \"none\"\nunit = \"requests\"\nquota = {{ {quota} }}\n");
        policy(
            &format!("{POLICY}{limit}"),
            &["--> policies/plain.toml:16:", "expected"],
        );
    }
    let limit = "\n[[limit]]\nname = \"none\"\nalgorithm = \"permits\"\nunit = \"in-flight\"\nmax_in_flight = 0\n";
    policy(&format!("{POLICY}{limit}"), &["--> policies/plain.toml:", "error"]);
}

/// An error of a policy that two strategies share is said once.
#[test]
fn shared_policy_is_complained_of_once() {
    let place = Place::new();
    place.write("policies/plain.toml", POLICY.replace("slo =", "slow ="));
    place.write("small.toml", SCENARIO.replace("careful.toml", "plain.toml"));
    let run = place
        .run(&["check", "small.toml"])
        .bad(2, &["policies/plain.toml:11:1"]);
    assert_eq!(run.stderr.matches("error: unknown key").count(), 1, "{}", run.stderr);
}

/// Messages name the policy as it is reached from here, not from the scenario.
#[test]
fn paths_are_those_of_the_reader() {
    let place = Place::new();
    place.write("deep/er/small.toml", SCENARIO);
    place.write("deep/er/policies/plain.toml", POLICY.replace("slo =", "slow ="));
    place.write("deep/er/policies/careful.toml", POLICY);
    let run = place.run(&["simulate", "deep/er/small.toml", "--out", "out"]);
    run.bad(2, &["--> deep/er/policies/plain.toml:11:1"]);
}

#[test]
fn all_errors_come_at_once() {
    let text = SCENARIO
        .replace("warmup =", "warmpu =")
        .replace("rate = 20.0", "rate = -1");
    scenario(text, &["bad.toml:7:1", "bad.toml:11:42"]);
    let place = Place::new();
    place.write("a.toml", SCENARIO.replace("seed", "sed"));
    place.write("b.toml", POLICY.replace("slo", "sol"));
    let run = place.run(&["check", "a.toml", "small.toml", "b.toml"]);
    assert_eq!(run.status, Some(2));
    assert!(
        run.stderr.contains("a.toml:3:1") && run.stderr.contains("b.toml:11:1"),
        "{run:?}"
    );
    assert!(
        run.stdout.starts_with("small.toml: a scenario with 2 strategies"),
        "{run:?}"
    );
}

#[test]
fn text_that_is_not_toml() {
    scenario("name = ", &["--> bad.toml:1:8", "this is not TOML"]);
}

#[test]
fn empty_file() {
    let place = Place::new();
    place.write("bad.toml", "");
    place
        .run(&["check", "bad.toml"])
        .bad(2, &["neither a policy nor a scenario", "= help: a policy has [[pool]]"]);
    place
        .run(&["simulate", "bad.toml"])
        .bad(2, &["`name` is missing", "`workload` is missing"]);
    assert!(!place.exists("target"));
}

#[test]
fn scenario_that_is_not_utf8() {
    let mut text = SCENARIO.as_bytes().to_vec();
    text[30] = 0xff;
    scenario(
        text,
        &["not UTF-8", "--> bad.toml:2:16", "= help: save the file as UTF-8"],
    );
}

#[test]
fn scenario_that_is_a_directory() {
    let place = Place::new();
    place
        .run(&["simulate", "policies"])
        .bad(2, &["`policies` is a directory", "= help: "]);
    place
        .run(&["check", "policies"])
        .bad(2, &["`policies` is a directory", "= help: "]);
}

/// Neither hangs nor eats memory.
#[test]
fn scenario_or_trace_that_never_ends() {
    let place = Place::new();
    place.shell("mkfifo -m 600 pipe").good();
    for file in ["pipe", "/dev/zero"] {
        place
            .run(&["simulate", file])
            .bad(2, &["a pipe or a device", "= help: "]);
        place
            .run(&["simulate", "small.toml", "--policy", file])
            .bad(2, &["a pipe or a device", "= help: "]);
        place.run(&["check", file]).bad(2, &["a pipe or a device", "= help: "]);
        place
            .run(&["simulate", "small.toml", "--trace", file])
            .bad(2, &["a pipe or a device", "= help: "]);
        place
            .run(&["trace", "describe", file])
            .bad(2, &["a pipe or a device", "= help: "]);
    }
    assert!(!place.exists("target"));
}

#[test]
fn scenario_that_is_huge() {
    let place = Place::new();
    let file = std::fs::File::create(place.path("huge.toml")).expect("a file");
    file.set_len(1 << 36).expect("it is sparse");
    place
        .run(&["simulate", "huge.toml"])
        .bad(2, &["larger than", "= help: "]);
    place.write("policies/plain.toml", "");
    std::fs::rename(place.path("huge.toml"), place.path("policies/plain.toml")).expect("it moves");
    place
        .run(&["simulate", "small.toml"])
        .bad(2, &["--> small.toml:22:10", "policies/plain.toml"]);
}

#[test]
fn scenario_that_does_not_exist() {
    let place = Place::empty();
    place
        .run(&["simulate", "outag"])
        .bad(2, &["no file `outag`", "= help: did you mean `outage`?"]);
    place
        .run(&["check", "peak-ewm"])
        .bad(2, &["no file `peak-ewm`", "= help: did you mean `peak-ewma`?"]);
    place.run(&["new", "outag"]).bad(
        2,
        &[
            "no shipped scenario is called `outag`",
            "= help: did you mean `outage`?",
        ],
    );
    let run = place.run(&["simulate", "outage", "--policy", "mine.toml"]);
    run.bad(2, &["no file `mine.toml`", "= help: known shipped policies: `"]);
    place
        .run(&["simulate", "zzz"])
        .bad(2, &["no scenario of this name", "= help: known shipped scenarios: `"]);
    place.run(&["check", "zzz"]).bad(
        2,
        &[
            "no scenario or policy of this name",
            "= help: known shipped scenarios and policies: `",
        ],
    );
    assert_eq!(place.files(""), [""; 0]);
}

#[test]
fn out_that_cannot_be_written() {
    let place = Place::new();
    place.write("file", "");
    std::os::unix::fs::symlink("nowhere", place.path("link")).expect("a link");
    for out in [
        "file",
        "file/below",
        "file/far/below",
        "link",
        "link/below",
        "/proc/tollgate",
    ] {
        let run = place.run(&["simulate", "small.toml", "--out", out]);
        run.bad(
            2,
            &["cannot be written to", "= help: name another directory with --out"],
        );
    }
    place.write("trace.csv", "time,prompt,output\n0,1,1\n");
    for out in ["file/below", "policies", "nowhere/t.csv"] {
        let run = place.run(&["trace", "import", "trace.csv", "--out", out]);
        run.bad(2, &["cannot be written to", "= help: name another file with --out"]);
    }
    assert_eq!(place.read("file"), "");
}

/// Names that no file can have are known before anything starts, wherever in the path they stand.
#[test]
fn out_that_is_too_long() {
    let place = Place::new();
    place.write("small.toml", crate::place::long_scenario());
    place.write("t.csv", "time,prompt,output\n0,1,1\n");
    let (name, path) = ("n".repeat(300), "deep/".repeat(900));
    let before = place.files("");
    for out in [name.clone(), format!("new/{name}"), format!("{name}/out"), path] {
        let run = place.run(&["simulate", "small.toml", "--out", &out]);
        run.bad(
            2,
            &["cannot be written to", "= help: name another directory with --out"],
        );
    }
    let run = place.run(&["trace", "import", "t.csv", "--out", &name]);
    run.bad(2, &["cannot be written to", "= help: name another file with --out"]);
    assert_eq!(place.files(""), before);
    // As long as a name may be.
    for length in [250, 255] {
        let name = "n".repeat(length);
        place.run(&["trace", "import", "t.csv", "--out", &name]).good();
    }
    place.write("small.toml", crate::place::SCENARIO);
    place.run(&["simulate", "small.toml", "--out", &"d".repeat(255)]).good();
}

/// Known before the simulation, not after it.
#[test]
fn out_that_is_somebody_elses() {
    let place = Place::new();
    place.write("small.toml", crate::place::long_scenario());
    place.write("out/report.html", "mine");
    let run = place.run(&["simulate", "small.toml", "--out", "out"]);
    run.bad(2, &["report.html is in the way", "--out"]);
    place.write("out/summary.json", "{}");
    place
        .run(&["simulate", "small.toml", "--out", "out"])
        .bad(2, &["is in the way"]);
    assert_eq!(place.read("out/report.html"), "mine");
}

#[test]
fn numbers_of_the_command_line() {
    let place = Place::new();
    for (option, number) in [
        ("--replications", "99999999999"),
        ("--replications", "0"),
        ("--replications", "-1"),
        ("--replications", "many"),
        ("--threads", "0"),
        ("--threads", "99999999999999999999999"),
        ("--threads", "-2"),
        ("--seed", "-1"),
        ("--seed", "18446744073709551616"),
        ("--requests", "-1"),
        ("--requests", "99999999999"),
    ] {
        let run = place.run(&["simulate", "small.toml", option, number]);
        run.bad(2, &[&format!("invalid value '{number}' for '{option} <N>'")]);
    }
    for args in [
        &["simulate"][..],
        &["check"],
        &["report"],
        &["new"],
        &["simulate", "outage", "--fast"],
        &["simulat"],
    ] {
        place
            .run(args)
            .bad(2, &["error: ", "For more information, try '--help'."]);
    }
    assert!(!place.exists("target"));
}

#[test]
fn columns_of_the_command_line() {
    let place = Place::new();
    place.write("t.csv", "ts,in,out\n0,1,1\n");
    let describe = |args: &[&str]| place.run(&[&["trace", "describe", "t.csv"], args].concat());
    describe(&[]).bad(2, &["no known format has the columns", "= help: name the columns"]);
    describe(&["--format", "azur"]).bad(2, &["invalid value 'azur'", "'azure'"]);
    describe(&["--format", "csv"]).bad(2, &["= help: --columns"]);
    describe(&["--columns", "time=ts"]).bad(2, &["--format csv", "= help: "]);
    describe(&["--format", "csv", "--columns", "ts"]).bad(2, &["KEY=COLUMN", "= help: keys are"]);
    describe(&["--format", "csv", "--columns", "when=ts"]).bad(2, &["no key `when`", "= help: keys are"]);
    describe(&["--format", "csv", "--columns", "prompt=in"]).bad(2, &["the time", "= help: time=COLUMN"]);
    describe(&["--format", "csv", "--columns", "time=tz"])
        .bad(2, &["no column \"tz\"", "= help: did you mean \"ts\"?"]);
    describe(&["--format", "csv", "--columns", "time=ts,prompt=in,output=out"]).good();
}

#[test]
fn report_of_what_is_no_result_set() {
    let place = Place::new();
    place.run(&["report", "policies"]).bad(2, &["policies"]);
    place.run(&["report", "nowhere"]).bad(2, &["nowhere"]);
    place.write("half/summary.json", "{ \"tollgate\": \"0.1.0\", \"strategies\": [");
    place.run(&["report", "half"]).bad(2, &["half"]);
    assert_eq!(place.files("half"), ["summary.json"]);
    place.run(&["simulate", "small.toml", "--out", "out"]).good();
    let text = place
        .read("out/summary.json")
        .replace("\"warmup_seconds\"", "\"warmup\"");
    place.write("out/summary.json", text);
    place.run(&["report", "out"]).bad(
        2,
        &[
            "out/summary.json: `warmup_seconds` is missing",
            "run `tollgate simulate` again",
        ],
    );
}

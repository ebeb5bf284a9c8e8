//! Help texts are read before anything else, so they are part of what is reviewed.

use std::fmt::Write as _;

use crate::place::Place;

const COMMANDS: [&[&str]; 16] = [
    &[],
    &["simulate"],
    &["check"],
    &["report"],
    &["scenarios"],
    &["new"],
    &["serve"],
    &["key"],
    &["key", "new"],
    &["mock"],
    &["load"],
    &["twin"],
    &["calibrate"],
    &["trace"],
    &["trace", "describe"],
    &["trace", "import"],
];

#[test]
fn help_of_every_command() {
    let place = Place::empty();
    let mut all = String::new();
    for command in COMMANDS {
        let run = place.run(&[command, &["--help"]].concat()).good();
        assert_eq!(run.stderr, "");
        let _never = writeln!(
            all,
            "$ tollgate {}\n{}",
            [command, &["--help"]].concat().join(" "),
            run.stdout
        );
    }
    let lines: Vec<&str> = all.lines().map(str::trim_end).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 100));
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn version() {
    let run = Place::empty().run(&["--version"]).good();
    assert_eq!(run.stdout, format!("tollgate {}\n", env!("CARGO_PKG_VERSION")));
}

/// Without a command there is help, on standard error.
#[test]
fn no_command() {
    Place::empty()
        .run(&[])
        .bad(2, &["Usage: tollgate <COMMAND>", "simulate"]);
    Place::empty()
        .run(&["trace"])
        .bad(2, &["Usage: tollgate trace <COMMAND>"]);
}

//! The rules of the house that the compiler does not know.
//!
//! `ARCHITECTURE.md` says why each of them holds. Where one fails, the message says what to do instead.

mod life;
mod repository;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::repository::{crate_folder, files, linked, packages, root, rust_files, source};
use self::text::{code, has_test, laws_of, modules_named};

/// Who may know whom, for what is built (`normal` dependencies). Tests may know more, but for the two crates below.
const MAY_KNOW: [(&str, &[&str]); 7] = [
    ("tollgate-core", &[]),
    ("tollgate-reports", &[]),
    ("tollgate-mock-llm", &["tollgate-core"]),
    (
        "tollgate-sim",
        &["tollgate-core", "tollgate-mock-llm", "tollgate-reports"],
    ),
    ("tollgate-proxy", &["tollgate-core", "tollgate-mock-llm"]),
    (
        "tollgate-bench",
        &[
            "tollgate-core",
            "tollgate-mock-llm",
            "tollgate-proxy",
            "tollgate-reports",
            "tollgate-sim",
        ],
    ),
    (
        "tollgate",
        &[
            "tollgate-bench",
            "tollgate-core",
            "tollgate-mock-llm",
            "tollgate-proxy",
            "tollgate-reports",
            "tollgate-sim",
        ],
    ),
];

/// These two know no other crate of ours, not even in their tests.
const ALONE: [&str; 2] = ["tollgate-core", "tollgate-reports"];

/// What nothing that runs in virtual time may link: runtimes, sockets, and what reads the clock for them.
const RUNTIMES: [&str; 10] = [
    "async-std",
    "axum",
    "futures-executor",
    "hyper",
    "mio",
    "reqwest",
    "smol",
    "socket2",
    "tokio",
    "tower",
];

/// What core may not link beyond that: clocks, entropy and threads.
const WORLD: [&str; 7] = ["chrono", "fastrand", "getrandom", "rand", "rayon", "time", "web-time"];

/// The modules of core that the proxy may name. The laws are not among them: a proxy that cannot name a limiter or
/// a breaker cannot decide in its place. `file` reads settings.
const PROXY_MAY_NAME: [&str; 11] = [
    "dice",
    "fault",
    "file",
    "gate",
    "id",
    "lifecycle",
    "memory",
    "policy",
    "remote",
    "time",
    "usage",
];

/// The folders of core that may name `std`: shared memory, and reading files.
const CORE_WITH_STD: [&str; 3] = ["core/src/memory/", "core/src/file/", "core/src/policy/file/"];

/// What no file of core may name, in whichever folder.
const CORE_NEVER: [&str; 8] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
];

/// The one exception: a debug assertion in a `Drop` must not turn a panic into an abort.
const PANICKING: &str = "std::thread::panicking()";

const MOST_LINES: usize = 500;

#[test]
fn dependencies_point_inward() {
    let may_know: BTreeMap<&str, &[&str]> = MAY_KNOW.into_iter().collect();
    let mut wrong = Wrong::new(
        "dependencies point inward: core <- mock-llm <- sim, core <- proxy, reports knows nobody; \
         move the code to where it may know what it needs, or hand it over as an argument",
    );
    let packages = packages();
    assert_eq!(packages.len(), MAY_KNOW.len(), "a crate without a row in MAY_KNOW");
    for (name, dependencies) in &packages {
        let may = may_know.get(name.as_str()).expect("every crate has a row in MAY_KNOW");
        for (other, kind) in dependencies {
            let is_ours = may_know.contains_key(other.as_str());
            let is_bound = kind != "dev" || ALONE.contains(&name.as_str());
            // A crate may turn on a feature of its own for its tests.
            let is_itself = other == name && kind == "dev";
            if is_ours && is_bound && !is_itself && !may.contains(&other.as_str()) {
                wrong.add(format_args!("{name} depends on {other} ({kind})"));
            }
        }
    }
    wrong.check();
}

#[test]
fn virtual_time_links_no_runtime() {
    let mut wrong = Wrong::new("what runs in virtual time has no runtime, no socket and no clock, however indirectly");
    for name in ["tollgate-core", "tollgate-mock-llm", "tollgate-reports", "tollgate-sim"] {
        for linked in linked(name, &[]) {
            if RUNTIMES.contains(&linked.as_str()) {
                wrong.add(format_args!(
                    "{name} links {linked}; see `cargo tree -p {name} -i {linked}`"
                ));
            }
        }
    }
    wrong.check();
}

#[test]
fn core_links_neither_clock_nor_entropy() {
    let mut wrong = Wrong::new("core takes time and chance as arguments");
    for linked in linked("tollgate-core", &[]) {
        if WORLD.contains(&linked.as_str()) {
            wrong.add(format_args!("tollgate-core links {linked}"));
        }
    }
    wrong.check();
    let bare = linked("tollgate-core", &["--no-default-features"]);
    let expected = BTreeSet::from(["libm".to_owned(), "tollgate-core".to_owned()]);
    assert_eq!(
        bare, expected,
        "core without features needs arithmetic, and nothing else"
    );
}

#[test]
fn core_cannot_name_the_world() {
    let mut wrong = Wrong::new(
        "core has no clock, no I/O and no threads: take `now`, dice or text as an argument and answer with an effect",
    );
    let root = source("core/src/lib.rs");
    assert!(
        root.lines().any(|line| line == "#![no_std]"),
        "core/src/lib.rs says `#![no_std]` without condition: what it cannot name it cannot use"
    );
    for file in rust_files() {
        let path = file.as_str();
        if !path.starts_with("core/src/") {
            continue;
        }
        let has_std = CORE_WITH_STD.iter().any(|folder| path.starts_with(folder));
        for (number, line) in code(&source(path)) {
            let line = line.replace(PANICKING, "");
            if let Some(name) = CORE_NEVER.iter().find(|name| line.contains(**name)) {
                wrong.add(format_args!("{path}:{number} names {name}"));
            } else if line.contains("std::") && !has_std {
                wrong.add(format_args!(
                    "{path}:{number} names std: `core::` and `alloc::` are enough outside {CORE_WITH_STD:?}"
                ));
            }
        }
    }
    wrong.check();
}

#[test]
fn the_proxy_decides_nothing() {
    let mut wrong = Wrong::new(
        "the proxy may name only what drives core, never its laws (limit, balance, load, health, retry, hedge, queue): \
         let the lifecycle or the gate decide, and perform the effect",
    );
    for path in rust_files() {
        if !path.starts_with("proxy/src/") {
            continue;
        }
        for (number, line) in code(&source(&path)) {
            if line.contains("tollgate_core as") || line.contains("tollgate_core::*") {
                wrong.add(format_args!(
                    "{path}:{number} renames or globs core, which hides what it names"
                ));
            }
        }
        let text = source(&path);
        let lines: Vec<&str> = code(&text).map(|(_, line)| line).collect();
        for module in modules_named(&lines.join("\n"), "tollgate_core::") {
            if !PROXY_MAY_NAME.contains(&module.as_str()) {
                wrong.add(format_args!("{path} names tollgate_core::{module}"));
            }
        }
    }
    wrong.check();
}

#[test]
fn the_reader_of_names_sees_through_braces() {
    let named = |text| modules_named(text, "tollgate_core::").into_iter().collect::<Vec<_>>();
    assert_eq!(named("use tollgate_core::limit::Gcra;"), ["limit"]);
    assert_eq!(
        named("use tollgate_core::{\n    gate::{Gate, GateInput},\n    retry,\n};"),
        ["gate", "retry"]
    );
    assert_eq!(named("let now = ::tollgate_core::time::Instant::EPOCH;"), ["time"]);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut wrong = Wrong::new("a file has one purpose, and its first line says which");
    for path in rust_files() {
        let text = source(&path);
        let lines = text.lines().count();
        if MOST_LINES < lines {
            wrong.add(format_args!(
                "{path} has {lines} lines, more than {MOST_LINES}: it holds more than one thing, so split it by what they are"
            ));
        }
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") {
            wrong.add(format_args!("{path} does not begin with `//! ` and a sentence"));
        }
    }
    wrong.check();
}

/// A file that no module names is not compiled, and its tests do not run.
#[test]
fn every_file_is_compiled() {
    let mut wrong = Wrong::new("each file is the root of a crate or a test, or some `mod` beside or above it names it");
    let files = rust_files();
    for path in &files {
        let (folder, file) = path.rsplit_once('/').expect("no source stands in the root");
        let (above, last) = folder.rsplit_once('/').unwrap_or(("", folder));
        let roots = ["benches", "bin", "examples", "fuzz_targets", "tests"];
        let stem = file.trim_end_matches(".rs");
        let (is_root, module, beside) = match stem {
            "main" | "lib" => (true, stem, folder),
            "mod" => (false, last, above),
            _ => (roots.contains(&last), stem, folder),
        };
        let named = format!("mod {module};");
        let names_it = |other: &&String| {
            let is_near =
                other.rsplit_once('/').is_some_and(|(near, _)| near == beside) || **other == format!("{beside}.rs");
            let text = source(other);
            let by_path = [format!("#[path = \"{file}\"]"), format!("/{path}\"]")];
            is_near && (text.lines().any(|line| line.trim().ends_with(&named)) || text.contains(&by_path[0]))
                || text.contains(&by_path[1])
        };
        if !is_root && !files.iter().any(|other| names_it(&other)) {
            wrong.add(format_args!("{path}: nothing says `{named}`"));
        }
    }
    wrong.check();
}

#[test]
fn nothing_is_put_off() {
    // In pieces, so that this file may say them.
    let words = [
        (
            concat!("#[", "ignore"),
            "a test runs, says that it is skipped (tests/skip), or is deleted",
        ),
        (
            concat!("todo", "!("),
            "what is not built is an error that says so, or is not there",
        ),
        (
            concat!("unimplemented", "!("),
            "what is not built is an error that says so, or is not there",
        ),
        (
            concat!("#[", "allow("),
            "`#[expect(.., reason = \"..\")]` says why, and complains once it is not needed",
        ),
    ];
    let mut wrong = Wrong::new("nothing is put off");
    for path in rust_files() {
        for (number, line) in code(&source(&path)) {
            for (word, instead) in words {
                if line.contains(word) {
                    wrong.add(format_args!("{path}:{number} has `{word}`: {instead}"));
                }
            }
        }
    }
    wrong.check();
}

#[test]
fn no_file_knows_a_machine() {
    let places = [
        concat!("/", "home/"),
        concat!("/", "root/"),
        concat!("/", "work/"),
        concat!("/", "Users/"),
        concat!("C:", "\\"),
    ];
    let mut wrong = Wrong::new("the repository works wherever it is: name files relative to it");
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if let Some(place) = places.iter().find(|place| line.contains(**place)) {
                wrong.add(format_args!("{path}:{} names {place}", number + 1));
            }
        }
    }
    wrong.check();
}

/// A law without a test is a wish.
#[test]
fn every_law_names_its_test() {
    let mut wrong = Wrong::new(
        "each row of a table of laws names tests of its crate, or says `it would not compile`: write the test, or mend the name",
    );
    let files = rust_files();
    let mut laws = 0;
    for path in &files {
        let crate_folder = crate_folder(path);
        for (number, law, proof) in laws_of(&source(path)) {
            laws += 1;
            let names: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
            if names.is_empty() && !proof.contains("it would not compile") {
                wrong.add(format_args!("{path}:{number} names no test for: {law}"));
            }
            for name in names {
                let is_here = |file: &&String| file.starts_with(crate_folder);
                if !files.iter().filter(is_here).any(|file| has_test(&source(file), name)) {
                    wrong.add(format_args!(
                        "{path}:{number}: there is no test `{name}` in {crate_folder}"
                    ));
                }
            }
        }
    }
    assert!(
        60 < laws,
        "only {laws} laws were found: has the form of the tables changed?"
    );
    wrong.check();
}

/// A map that shows a street which is not there is worse than none.
#[test]
fn the_documents_name_what_exists() {
    let mut wrong = Wrong::new("paths in backticks exist in the repository, seen from its root");
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/glossary.md",
        "docs/laws-broken.md",
        "docs/performance.md",
        "docs/fidelity.md",
        "docs/performance/limiters.md",
        "docs/performance/load.md",
        "docs/performance/proxy.md",
        "docs/performance/simulator.md",
        "THIRD-PARTY.md",
    ];
    for document in documents {
        let text = source(document);
        let mut is_code = false;
        for (number, line) in text.lines().enumerate() {
            is_code ^= line.starts_with("```");
            for word in line.split('`').skip(1).step_by(2).filter(|_| !is_code) {
                let is_path = word.contains('/') && !word.contains([' ', ':', '<', '*', '$', '{']);
                let is_elsewhere = ["target/", "../", "/"].iter().any(|start| word.starts_with(start));
                if is_path && !is_elsewhere && !root().join(word).exists() {
                    wrong.add(format_args!("{document}:{} names `{word}`", number + 1));
                }
            }
        }
    }
    wrong.check();
}

/// Everything that is wrong, not only the first thing.
struct Wrong {
    rule: &'static str,
    found: String,
}

impl Wrong {
    fn new(rule: &'static str) -> Wrong {
        Wrong {
            rule,
            found: String::new(),
        }
    }

    fn add(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.found, "  {what}").expect("a string takes everything");
    }

    fn check(self) {
        assert!(self.found.is_empty(), "{}\n{}", self.rule, self.found);
    }
}

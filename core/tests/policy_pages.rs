//! Every word that a policy file accepts for an algorithm has a page; what the pages name is there, and what they write is
//! read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tollgate_core::policy::file;

const REFERENCE: &str = include_str!("policies/reference.toml");

/// Where words stand for algorithms.
const WORDS: &[&str] = &[
    "[[limit]]\nalgorithm",
    "[[pool]]\n[pool.balance]\nkind",
    "[[pool]]\n[pool.balance]\nkind = \"p2c\"\nload",
    "[[pool]]\n[pool.balance]\nkind = \"least-in-flight\"\nload",
    "[[pool]]\n[pool.health]\nkind",
    "[[pool]]\n[pool.throttle]\nkind",
    "[[pool]]\n[pool.queue]\norder",
    "[[route]]\n[route.retry.backoff]\njitter",
    "[[route]]\n[route.retry.budget]\nkind",
];

/// Keys that stand for an algorithm by themselves.
const KEYS: &[&str] = &[
    "backoff",
    "budget",
    "codel",
    "controlled_delay",
    "hedge",
    "panic_below",
    "pools",
    "probe",
    "quota_scope",
    "refund",
    "slow_start",
    "split",
    "staleness",
    "tier",
];

fn folder() -> PathBuf {
    root().join("docs/algorithms")
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// The pages, by name, and the index.
fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("the folder is part of the repository");
    let mut pages: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.expect("it can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
            (name.to_owned(), text(&path))
        })
        .collect();
    pages.sort_unstable();
    assert!(50 < pages.len(), "only {} pages were found", pages.len());
    pages
}

/// The words that the reader of policy files knows in this place: it lists them to whoever writes another.
fn words(place: &str) -> Vec<String> {
    let text = format!("{place} = \"?\"\n");
    let problems = file::read("policy.toml", &text)
        .expect_err("no word is `?`")
        .to_string();
    let list = problems.lines().find_map(|line| line.split_once("expected one of "));
    let (_, list) = list.unwrap_or_else(|| panic!("no words are listed for {place}: {problems}"));
    let list = list.split(", found").next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What stands in backticks outside of blocks of code.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("\n```").step_by(2);
    blocks.flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

/// The blocks of policy in `text`; of one that writes a key in several ways, each way.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("\n```toml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("\n```").next());
    blocks.flat_map(|block| {
        let keys: BTreeSet<&str> = block.lines().filter_map(|line| line.split(" = ").next()).collect();
        match keys.len() {
            1 => block.lines().collect(),
            _ => vec![block],
        }
    })
}

/// A whole policy around a `block` of one, which may be keys without the section that they stand in.
fn whole(block: &str) -> String {
    let first = block.split(|at: char| !(at.is_ascii_alphabetic() || at == '_')).next();
    let head = match first.unwrap_or_default() {
        "" if block.starts_with("[[pool.endpoint]]") => "[[pool]]\nname = \"page\"\n",
        "" => "",
        "algorithm" | "unit" | "per" => "[[limit]]\nname = \"page\"\n",
        "split" | "retry" | "hedge" => {
            "[[route]]\nname = \"page\"\nmatch = { model = \"page\" }\npools = [\"large\", \"small\", \"spare\"]\n"
        }
        "pools" => "[[route]]\nname = \"page\"\nmatch = { model = \"page\" }\n",
        _ => "[[pool]]\nname = \"page\"\n",
    };
    let mut policy = format!("{head}{block}\n");
    if policy.contains("[[pool]]") && !policy.contains("endpoint") {
        policy.push_str("endpoint = [{ name = \"page\" }]\n");
    }
    for pool in ["large", "small", "spare"] {
        if !policy.contains(&format!("[[pool]]\nname = \"{pool}\"")) {
            let endpoint = format!("{{ name = \"{pool}-1\", price = {{ input = 1.0, output = 2.0 }} }}");
            policy = format!("{policy}[[pool]]\nname = \"{pool}\"\nendpoint = [{endpoint}]\n");
        }
    }
    policy.push_str("[[route]]\nname = \"rest\"\npools = [\"large\"]\n");
    policy
}

/// Where links of `text` lead to, other than elsewhere.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.contains("://"))
}

/// The names of all tests below `folder`: functions marked as tests, and names that a macro makes such functions of.
fn tests(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            tests_of(&text(&path), names);
        }
    }
}

fn tests_of(source: &str, names: &mut BTreeSet<String>) {
    let is_name = |word: &str| {
        let mut bytes = word.bytes();
        word.contains('_') && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let makes_tests = source.lines().any(|line| line.trim_start().starts_with("fn $"));
    let mut is_marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" {
            is_marked = true;
        }
        if makes_tests && is_name(line) {
            names.insert(line.to_owned());
        }
        let Some(signature) = line.strip_prefix("fn ") else {
            continue;
        };
        if is_marked {
            let name = signature.split('(').next().unwrap_or_default();
            names.insert(name.to_owned());
        }
        is_marked = false;
    }
}

#[test]
fn every_algorithm_has_its_page() {
    let index = text(&folder().join("README.md"));
    let is_there = |word: &str| {
        let row = format!("[`{word}`](");
        let page = index.split_once(&row).and_then(|(_, rest)| rest.split(')').next());
        page.is_some_and(|page| folder().join(page).exists())
    };
    for place in WORDS {
        let words = words(place);
        assert!(1 < words.len(), "{place}: {words:?}");
        for word in words.iter().filter(|word| *word != "off") {
            assert!(
                is_there(word),
                "docs/algorithms/README.md leads from `{word}` to no page"
            );
        }
    }
    for key in KEYS {
        assert!(
            REFERENCE.contains(&format!("{key} = ")),
            "`{key}` is no key of a policy any more"
        );
        assert!(is_there(key), "docs/algorithms/README.md leads from `{key}` to no page");
    }
}

#[test]
fn every_page_is_in_the_index() {
    let index = text(&folder().join("README.md"));
    for (name, _) in pages() {
        let is_named = index.contains(&format!("]({name})"));
        assert!(
            is_named || name == "README.md",
            "docs/algorithms/README.md does not list {name}"
        );
    }
}

#[test]
fn every_link_leads_somewhere() {
    for (name, text) in pages() {
        for target in links(&text) {
            assert!(
                folder().join(target).exists(),
                "docs/algorithms/{name} leads to {target}, which is not there"
            );
        }
    }
}

#[test]
fn every_line_of_policy_is_read() {
    let mut n_blocks = 0;
    for (name, text) in pages() {
        for block in blocks(&text) {
            n_blocks += 1;
            if let Err(problems) = file::read("policy.toml", &whole(block)) {
                panic!("docs/algorithms/{name} has a policy that is not read:\n{problems}");
            }
        }
    }
    assert!(45 < n_blocks, "only {n_blocks} blocks of policy were found");
}

/// A law without a test is a wish, on a page too.
#[test]
fn every_law_of_a_page_names_its_test() {
    let mut names = BTreeSet::new();
    for folder in ["core/tests", "core/src", "sim/tests"] {
        tests(&root().join(folder), &mut names);
    }
    let is_law = |word: &&str| word.contains('_') && !word.contains(['/', ':']);
    for law in quoted(&text(&root().join("docs/laws-broken.md"))).filter(is_law) {
        assert!(names.contains(law), "docs/laws-broken.md: there is no test `{law}`");
    }
    let mut laws = 0;
    for (name, text) in pages().iter().filter(|(name, _)| name != "README.md") {
        let (_, section) = text
            .split_once("\n## Laws\n")
            .unwrap_or_else(|| panic!("docs/algorithms/{name} has no laws"));
        let section = section.split("\n## ").next().unwrap_or_default();
        for law in quoted(section).filter(is_law) {
            laws += 1;
            assert!(names.contains(law), "docs/algorithms/{name}: there is no test `{law}`");
        }
    }
    assert!(
        150 < laws,
        "only {laws} laws were found: has the form of the pages changed?"
    );
}

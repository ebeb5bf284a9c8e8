//! Every word that a policy file accepts for an algorithm has a page, and every page is in the index.

use std::fs;
use std::path::PathBuf;

use tollgate_core::policy::file;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/algorithms"))
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

#[test]
fn every_algorithm_has_its_page() {
    for place in [
        "[[limit]]\nalgorithm",
        "[[pool]]\n[pool.balance]\nkind",
        "[[pool]]\n[pool.health]\nkind",
    ] {
        let words = words(place);
        assert!(3 < words.len(), "{place}: {words:?}");
        for word in words.iter().filter(|word| *word != "off") {
            assert!(
                folder().join(format!("{word}.md")).exists(),
                "docs/algorithms/{word}.md is to be written"
            );
        }
    }
}

#[test]
fn every_page_is_in_the_index() {
    let index = fs::read_to_string(folder().join("README.md")).expect("there is an index");
    for entry in fs::read_dir(folder()).expect("the folder is part of the repository") {
        let name = entry
            .expect("it can be read")
            .file_name()
            .into_string()
            .expect("a plain name");
        let is_named = index.contains(&format!("]({name})"));
        assert!(
            is_named || name == "README.md",
            "docs/algorithms/README.md does not list {name}"
        );
    }
}

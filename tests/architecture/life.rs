//! The page about the life of a request tells of every phase, effect and input that there is.

use super::repository::source;

#[test]
fn the_life_of_a_request_is_told_whole() {
    let page = source("docs/life-of-a-request.md");
    let picture = source("docs/life-of-a-request.svg");
    let phases = variants("core/src/lifecycle/mod.rs", "Phase");
    assert!(8 < phases.len(), "{phases:?}");
    for phase in &phases {
        assert!(
            page.contains(&format!("| {phase} |")),
            "the page has no row for {phase}"
        );
        assert!(
            picture.contains(&format!(">{phase}<")),
            "the picture does not show {phase}"
        );
    }
    let words = variants("core/src/lifecycle/effect.rs", "Effect");
    let words = words
        .into_iter()
        .chain(variants("core/src/lifecycle/input.rs", "Input"));
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "the page says nothing of {word}");
    }
}

/// The names of the variants of `pub enum NAME` in the file at `path`.
fn variants(path: &str, name: &str) -> Vec<String> {
    let text = source(path);
    let body = text
        .split_once(&format!("pub enum {name} {{\n"))
        .expect("the enum is in this file")
        .1;
    let body = body.split_once("\n}").expect("it ends").0;
    let own = body.lines().filter_map(|line| line.strip_prefix("    "));
    own.filter(|line| line.starts_with(char::is_uppercase))
        .map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect()
}

//! What a file says: its code, the laws it states, the tests it has, the modules it names.

use std::collections::BTreeSet;

/// The lines that are not comments, with their numbers.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether `text` has a test of this name: a function marked as one, or a name that a macro makes such functions of.
pub(crate) fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let signature = format!("fn {name}(");
    let is_marked = |at: usize| {
        let above = lines[..at].iter().rev();
        let mut marks = above.take_while(|line| !line.is_empty() && **line != "}");
        marks.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
    };
    let is_test = |at: usize| lines[at].contains(&signature) && is_marked(at);
    (0..lines.len()).any(is_test) || lines.iter().any(|line| line.starts_with("fn $")) && lines.contains(&name)
}

/// The rows of tables of laws in module docs: line, law, and what proves it.
pub(crate) fn laws_of(text: &str) -> Vec<(usize, String, String)> {
    let mut rows = Vec::new();
    let mut is_table = false;
    for (at, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix("//! |") else {
            is_table = false;
            continue;
        };
        if row.trim_start().starts_with("Law |") {
            is_table = true;
        } else if is_table && !row.starts_with("---") {
            let (law, proof) = row.trim().trim_end_matches('|').rsplit_once('|').unwrap_or((row, ""));
            rows.push((at + 1, law.trim().to_owned(), proof.trim().to_owned()));
        }
    }
    rows
}

/// The modules of `prefix` that `text` names, through one level of braces.
pub(crate) fn modules_named(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut named = BTreeSet::new();
    for after in text.split(prefix).skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            named.insert(after.chars().take_while(|c| is_word(*c)).collect());
            continue;
        };
        let (mut depth, mut starts) = (1, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && starts && is_word(c) {
                named.insert(group[at..].chars().take_while(|c| is_word(*c)).collect());
                starts = false;
            }
            starts |= depth == 1 && c == ',';
        }
    }
    named
}

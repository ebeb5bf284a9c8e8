//! The `[network]` of a scenario file, written anew with everything else as it is.

use std::fmt::Write as _;

/// `text` with these keys of its `[network]`, which is added where there is none. Every other byte stays.
///
/// A file that writes its network in another way (`network = {…}`) is not understood: whoever calls this reads the result
/// and sees.
pub(crate) fn rewritten(text: &str, entries: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let is_head = |line: &String| without_comment(line) == "[network]";
    let Some(head) = lines.iter().position(is_head) else {
        let gap = if text.is_empty() || text.ends_with('\n') {
            "\n"
        } else {
            "\n\n"
        };
        let entries = table(entries);
        return format!("{text}{gap}[network]\n{entries}");
    };
    let is_next = |line: &String| line.trim_start().starts_with('[');
    for (key, value) in entries {
        let end = lines[head + 1..]
            .iter()
            .position(is_next)
            .map_or(lines.len(), |at| head + 1 + at);
        let is_key = |line: &String| line.split_once('=').is_some_and(|(before, _)| before.trim() == *key);
        let Some(at) = lines[head + 1..end].iter().position(is_key) else {
            // After the last key, before blank lines and comments that belong to what follows.
            let last = (head..end).rev().find(|at| !without_comment(&lines[*at]).is_empty());
            let last = last.unwrap_or(head);
            if !lines[last].ends_with('\n') {
                lines[last].push('\n');
            }
            lines.insert(last + 1, format!("{key} = {value}\n"));
            continue;
        };
        let line = &mut lines[head + 1 + at];
        let comment = line.trim_end().get(without_comment(line).len() + indent(line)..);
        let comment = comment.unwrap_or_default().to_owned();
        let newline = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        if let Some((before, _)) = line.split_once('=') {
            *line = format!("{before}= {value}{comment}{newline}");
        }
    }
    lines.concat()
}

/// Keys and values, a line each.
pub(crate) fn table(entries: &[(&str, String)]) -> String {
    let mut table = String::new();
    for (key, value) in entries {
        // A string takes everything.
        let _never = writeln!(table, "{key} = {value}");
    }
    table
}

/// A line without blanks around it and without its comment. None of the values that stand here has a `#` of its own.
fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(before, _)| before).trim()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_else_stays() {
        let entries = [
            ("gateway_overhead", "\"1ms\"".to_owned()),
            ("client_to_gateway", "\"2ms\"".to_owned()),
        ];
        let of = |text: &str| rewritten(text, &entries);
        assert_eq!(
            of(
                "a = 1\n\n[network] # near\n  gateway_overhead = \"9ms\"  # fitted\ngateway_to_backend = \"1ms\"\n\n# next\n[[fault]]\n"
            ),
            "a = 1\n\n[network] # near\n  gateway_overhead = \"1ms\"  # fitted\ngateway_to_backend = \"1ms\"\n\
             client_to_gateway = \"2ms\"\n\n# next\n[[fault]]\n"
        );
        assert_eq!(
            of("a = 1"),
            "a = 1\n\n[network]\ngateway_overhead = \"1ms\"\nclient_to_gateway = \"2ms\"\n"
        );
        assert_eq!(
            of("[network]"),
            "[network]\ngateway_overhead = \"1ms\"\nclient_to_gateway = \"2ms\"\n"
        );
        let once = of("x = 1\n[network]\n");
        assert_eq!(of(&once), once, "twice is once");
    }
}

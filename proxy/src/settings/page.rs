//! `docs/settings.md`, made from the table of settings.

use std::fmt::Write as _;

use super::table::{ADMIN_TOKEN, ROWS, Row};

/// The page about settings; a test keeps `docs/settings.md` equal to it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut tables: Vec<&str> = Vec::new();
    for row in ROWS {
        if !tables.contains(&row.table) {
            tables.push(row.table);
        }
    }
    for table in tables {
        let title = if table.is_empty() {
            "At the top".to_owned()
        } else {
            format!("`[{table}]`")
        };
        let rows = ROWS.iter().filter(|row| row.table == table).map(line);
        let _never = write!(
            page,
            "\n## {title}\n\n| Key | Variable | Flag | Default | Meaning |\n|---|---|---|---|---|\n{}",
            rows.collect::<String>()
        );
    }
    let _never = write!(
        page,
        "\n## The token of the admin address\n\n\
         `{ADMIN_TOKEN}` stands in the environment only: files are copied, and command lines are seen by everybody on the machine.\n\
         Whoever asks the admin address for anything but `/healthz` and `/readyz` shows it as `Authorization: Bearer TOKEN`.\n\
         It must be set when `admin` is not a loopback address, and may be when it is.\n"
    );
    page
}

fn line(row: &Row) -> String {
    format!(
        "| `{}` | `{}` | `{}` | {} | {} |\n",
        row.key,
        row.variable,
        row.flag,
        row.default(),
        row.help
    )
}

const INTRODUCTION: &str = "\
# Settings of `tollgate serve`

<!-- Made from proxy/src/settings/table.rs: REWRITE=1 cargo test -p tollgate-proxy --test settings -->

A policy says how requests are decided, and is the same wherever it is served.
Settings are facts of one process: where it listens, how much it holds, what it logs.

Each can be said in three ways: by a flag, by an environment variable, or by a key in `tollgate.toml`.
A flag wins over a variable, a variable over the file, the file over the default.
The file is the one that `--config` or `TOLLGATE_CONFIG` names, else `tollgate.toml` in the working directory, if it is there.
Paths in it are relative to it.

```toml
policy = \"policy.toml\"
listen = [\"0.0.0.0:8080\"]

[limits]
max_body = \"2MiB\"

[log]
access = \"access.jsonl\"
```

Times are written with their unit (`250ms`, `30s`, `1m`), sizes too (`2MiB`), lists with commas in flags and variables.
Everything that is wrong is said at once, with its place, and nothing is started.
";

//! One source of settings, by whichever names it has for them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tollgate_core::file::kind::Wrong;
use tollgate_core::file::{At, Nearest, Section, Value, nearest};

use super::AccessLog;
use super::table::{ADMIN_TOKEN, CONFIG, Form, ROWS, Row};

/// One source, while it is read.
pub(super) struct Said<'s, 'a> {
    sections: Vec<(&'static str, Part<'s, 'a>)>,
    spelling: Spelling,
    folder: Option<&'s Path>,
}

enum Part<'s, 'a> {
    Root(&'s Section<'a>),
    Table(Section<'a>),
}

#[derive(Clone, Copy)]
pub(super) enum Spelling {
    Key,
    Variable,
    Flag,
}

impl<'s, 'a> Said<'s, 'a> {
    pub(super) fn file(root: &'s Section<'a>, folder: &'s Path) -> Said<'s, 'a> {
        let mut sections = vec![("", Part::Root(root))];
        for row in ROWS {
            if sections.iter().all(|(name, _)| *name != row.table) {
                sections.push((row.table, Part::Table(root.table_or_empty(row.table))));
            }
        }
        Said {
            sections,
            spelling: Spelling::Key,
            folder: Some(folder),
        }
    }

    pub(super) fn flat(root: &'s Section<'a>, spelling: Spelling) -> Said<'s, 'a> {
        Said {
            sections: vec![("", Part::Root(root))],
            spelling,
            folder: None,
        }
    }

    fn place(&self, row: &Row) -> (&Section<'a>, &'static str) {
        let (table, key) = match self.spelling {
            Spelling::Key => (row.table, row.key),
            Spelling::Variable => ("", row.variable),
            Spelling::Flag => ("", row.flag),
        };
        let part = self.sections.iter().find(|(name, _)| *name == table);
        let (_, part) = part.expect("every table of a row has been opened");
        match part {
            Part::Root(root) => (root, key),
            Part::Table(section) => (section, key),
        }
    }

    pub(super) fn set<T>(&self, row: &Row, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>, place: &mut T) {
        let (section, key) = self.place(row);
        if let Some(At { value, .. }) = section.optional(key, kind) {
            *place = value;
        }
    }

    pub(super) fn set_list<T>(&self, row: &Row, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>, place: &mut Vec<T>) {
        /// Most entries of a list.
        const MOST: usize = 256;
        let (section, key) = self.place(row);
        let Some(value) = section.value(key) else {
            return;
        };
        if value.toml().is_str() {
            place.clear();
            place.extend(value.read(kind).map(|at| at.value));
        } else if let Some(values) = value.list(MOST) {
            let values = values.iter().filter_map(|value| value.read(&kind));
            *place = values.map(|at| at.value).collect();
        }
    }

    /// A path is relative to the file that names it.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder
            .map_or_else(|| PathBuf::from(text), |folder| folder.join(text))
    }

    pub(super) fn access(&self, text: &str) -> AccessLog {
        match text {
            "none" => AccessLog::None,
            "-" => AccessLog::Stdout,
            path => AccessLog::File(self.path(path)),
        }
    }

    /// In a file, what is not written as a path is the name of a shipped policy.
    pub(super) fn policy(&self, text: String) -> String {
        let is_path = text.contains('/') || Path::new(&text).extension().is_some_and(|ending| ending == "toml");
        match self.folder {
            Some(folder) if is_path => folder.join(&text).to_string_lossy().into_owned(),
            Some(_) | None => text,
        }
    }
}

pub(super) fn variable<'r>(
    environment: &[(String, String)],
    row: &'r Row,
) -> Option<(&'static str, &'r Row, Vec<String>)> {
    let (_, value) = environment.iter().find(|(name, _)| name == row.variable)?;
    Some((row.variable, row, vec![value.clone()]))
}

pub(super) fn flag<'r>(flags: &[(&'static str, String)], row: &'r Row) -> Option<(&'static str, &'r Row, Vec<String>)> {
    let values = flags.iter().filter(|(name, _)| *name == row.flag);
    let values: Vec<String> = values.map(|(_, value)| value.clone()).collect();
    (!values.is_empty()).then_some((row.flag, row, values))
}

/// Writes down what has no types, one line each.
pub(super) fn as_table(said: &[(&str, &Row, Vec<String>)]) -> String {
    let line = |(name, row, values): &(&str, &Row, Vec<String>)| {
        let first = values.last().map_or("", String::as_str);
        let value = match row.form {
            Form::Text => quoted(first),
            Form::Word => {
                if is_bare(first) {
                    first.to_owned()
                } else {
                    quoted(first)
                }
            }
            Form::List => {
                let parts = values.iter().flat_map(|value| value.split(','));
                let parts = parts.map(str::trim).filter(|part| !part.is_empty());
                format!("[{}]", parts.map(quoted).collect::<Vec<_>>().join(", "))
            }
        };
        format!("{name} = {value}\n")
    };
    said.iter().map(line).collect()
}

/// Whether TOML would read `text` as a plain decimal number or a boolean.
fn is_bare(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = is_digits(whole) && is_digits(fraction) && (whole == "0" || !whole.starts_with('0'));
    is_number || text == "true" || text == "false"
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                // A string takes everything.
                let _never = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// Warns of variables that are probably meant for us. Others are not ours to complain of: Kubernetes sets
/// `TOLLGATE_PORT` and more for a service of this name.
pub(super) fn mistyped(environment: &[(String, String)]) -> Vec<String> {
    const PREFIX: &str = "TOLLGATE_";
    let known = || ROWS.iter().map(|row| row.variable).chain([ADMIN_TOKEN, CONFIG]);
    let words = || known().filter_map(|name| name.strip_prefix(PREFIX));
    let mut warnings = Vec::new();
    for (name, _) in environment {
        let Some(word) = name
            .strip_prefix(PREFIX)
            .filter(|word| words().all(|known| known != *word))
        else {
            continue;
        };
        // The toolkit compares in lower case.
        let lower: Vec<String> = words().map(str::to_lowercase).collect();
        if let Nearest::Word(meant) = nearest(word, lower.iter().map(String::as_str)) {
            let meant = meant.to_uppercase();
            warnings.push(format!(
                "warning: the variable {name} is no setting\n  = help: did you mean {PREFIX}{meant}?"
            ));
        }
    }
    warnings
}

//! Tables that are asked for their keys.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::kind::Wrong;
use super::{ContentHash, Report, Span, nearest};

/// Something and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A table of a file.
///
/// When it is dropped, every key that nobody asked for is reported as unknown, with the nearest that was asked for.
#[derive(Debug)]
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    name: String,
    span: Span,
    report: &'a Report,
    asked: RefCell<Vec<&'static str>>,
    /// Keys that are known and must not be there.
    forbidden: RefCell<Vec<&'static str>>,
    is_free: Cell<bool>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, report: &'a Report) -> Section<'a> {
        Section::new(table, "the file".into(), Span::default(), report)
    }

    fn new(table: &'a DeTable<'a>, name: String, span: Span, report: &'a Report) -> Section<'a> {
        Section {
            table,
            name,
            span,
            report,
            asked: RefCell::new(Vec::new()),
            forbidden: RefCell::new(Vec::new()),
            is_free: Cell::new(false),
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to note what is wrong.
    #[must_use]
    pub fn report(&self) -> &'a Report {
        self.report
    }

    /// A name for its content.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.table)
    }

    /// Whether it has `key`, which is not asked for by this.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, whatever its kind.
    #[must_use]
    pub fn value(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some(Value::new(key.to_owned(), value, self.report))
    }

    /// The value of `key`, if it is there and of its kind.
    pub fn optional<T>(&self, key: &'static str, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>) -> Option<At<T>> {
        self.value(key)?.read(kind)
    }

    /// The value of `key`, which must be there.
    pub fn required<T>(&self, key: &'static str, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>) -> Option<At<T>> {
        let value = self.value(key);
        if value.is_none() {
            self.missing(key);
        }
        value?.read(kind)
    }

    /// The value of `key`, or `default` if it is not there.
    pub fn or<T>(&self, key: &'static str, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>, default: T) -> T {
        self.optional(key, kind).map_or(default, |at| at.value)
    }

    /// The values of the list `key`, at most `most`.
    pub fn list<T>(
        &self,
        key: &'static str,
        most: usize,
        kind: impl Fn(&Value<'a>) -> Result<T, Wrong>,
    ) -> Option<Vec<At<T>>> {
        let values = self.value(key)?.list(most)?;
        Some(values.iter().filter_map(|value| value.read(&kind)).collect())
    }

    /// The table `key`, if it is there.
    #[must_use]
    pub fn table(&self, key: &'static str) -> Option<Section<'a>> {
        self.value(key)?.table(format!("`{key}`"))
    }

    /// The table `key`; an empty one if it is not there, so that every default holds.
    #[must_use]
    pub fn table_or_empty(&self, key: &'static str) -> Section<'a> {
        self.table(key)
            .unwrap_or_else(|| Section::new(&self.report.empty, format!("`{key}`"), self.span, self.report))
    }

    /// The tables of the list `key`, at most `most`; none if it is not there.
    #[must_use]
    pub fn tables(&self, key: &'static str, most: usize) -> Vec<Section<'a>> {
        let values = self.value(key).and_then(|value| value.list(most));
        let values = values.unwrap_or_default();
        let name = match self.name.split_once("]]") {
            Some((outer, _)) => format!("{outer}.{key}]]"),
            None => format!("[[{key}]]"),
        };
        values.iter().filter_map(|value| value.table(name.clone())).collect()
    }

    /// Every key with its value, for a table whose keys are free: none of them is unknown.
    #[must_use]
    pub fn entries(&self) -> Vec<(At<&'a str>, Value<'a>)> {
        self.is_free.set(true);
        let entries = self.table.iter().map(|(key, value)| {
            let at = At {
                value: key.get_ref().as_ref(),
                span: key.span().into(),
            };
            (at, Value::new(key.get_ref().clone().into_owned(), value, self.report))
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(key, _)| key.span);
        entries
    }

    /// The value of `key`, which says what other keys there may be, or `default` if it is not there.
    ///
    /// If it is wrong, nothing can be said of the other keys, and none of them is unknown.
    pub fn variant<T>(
        &mut self,
        key: &'static str,
        kind: impl Fn(&Value<'a>) -> Result<T, Wrong>,
        default: Option<T>,
    ) -> Option<T> {
        let Some(value) = self.value(key) else {
            if default.is_none() {
                self.missing(key);
                self.is_free.set(true);
            }
            return default;
        };
        let read = value.read(kind);
        match (&read, value.toml().as_str()) {
            (Some(_), Some(word)) => self.name = format!("{} of {key} \"{word}\"", self.name),
            (Some(_), None) => {}
            (None, _) => self.is_free.set(true),
        }
        read.map(|at| at.value)
    }

    /// Where the value stands to which `path` leads from here, such as `steps[2].rate`, or the last value on the way.
    #[must_use]
    pub fn place(&self, path: &str) -> Span {
        let mut table = Some(self.table);
        let mut list: Option<&DeArray<'_>> = None;
        let mut span = self.span;
        for step in path.split(['.', '[']) {
            let next = match step.strip_suffix(']').map(str::parse::<usize>) {
                Some(at) => list.zip(at.ok()).and_then(|(list, at)| list.get(at)),
                None => table.and_then(|table| table.get(step)),
            };
            let Some(value) = next else {
                return span;
            };
            span = value.span().into();
            (table, list) = (value.get_ref().as_table(), value.get_ref().as_array());
        }
        span
    }

    /// Says of `key`, if it is there, that it is not built yet.
    pub fn not_built_yet(&self, key: &'static str) {
        self.forbid(
            key,
            &format!("`{key}` is not built yet"),
            "not built yet",
            "leave it out",
        );
    }

    /// Says of `key`, if it is there, what is wrong with that.
    pub fn forbid(&self, key: &'static str, message: &str, label: &str, help: &str) {
        self.forbidden.borrow_mut().push(key);
        if let Some((key, _)) = self.table.get_key_value(key) {
            self.report.error(key.span().into(), message, label, Some(help));
        }
    }

    /// Says that `key` is not there.
    pub fn missing(&self, key: &str) {
        let message = format!("`{key}` is missing from {}", self.name);
        self.report
            .error(self.span, message, format!("`{key}` is missing"), None::<&str>);
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.is_free.get() {
            return;
        }
        let (asked, forbidden) = (self.asked.borrow(), self.forbidden.borrow());
        for (key, value) in self.table {
            let word = key.get_ref().as_ref();
            if asked.contains(&word) || forbidden.contains(&word) || self.report.is_secret(value.span().into()) {
                continue;
            }
            let help = nearest(word, asked.iter().copied()).help("key");
            let message = format!("unknown key `{}` in {}", shown(word), self.name);
            self.report.error(key.span().into(), message, "unknown key", help);
        }
    }
}

/// A value of a file.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    key: String,
    toml: &'a DeValue<'a>,
    span: Span,
    report: &'a Report,
}

impl<'a> Value<'a> {
    fn new(key: String, value: &'a Spanned<DeValue<'a>>, report: &'a Report) -> Value<'a> {
        Value {
            key,
            toml: value.get_ref(),
            span: value.span().into(),
            report,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The key that it belongs to; that of the list, for an element.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it is, as TOML has it.
    #[must_use]
    pub fn toml(&self) -> &'a DeValue<'a> {
        self.toml
    }

    /// It as `kind`, or a problem.
    pub fn read<T>(&self, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>) -> Option<At<T>> {
        match kind(self) {
            Ok(value) => Some(At { value, span: self.span }),
            Err(wrong) => {
                self.refuse(wrong);
                None
            }
        }
    }

    /// Its elements, each to be read; a problem if it is no list or has more than `most`.
    #[must_use]
    pub fn list(&self, most: usize) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(values) = self.toml else {
            self.refuse(Wrong::expected("a list").help("write it in brackets, as in `[\"a\", \"b\"]`"));
            return None;
        };
        if most < values.len() {
            self.refuse(Wrong::said(
                format!(
                    "`{}` has {} entries; at most {most} are allowed",
                    self.key,
                    values.len()
                ),
                "too many",
            ));
            return None;
        }
        let element = |value| Value::new(self.key.clone(), value, self.report);
        Some(values.iter().map(element).collect())
    }

    /// It as a table that messages call `name`; a problem if it is none.
    #[must_use]
    pub fn table(&self, name: String) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.toml else {
            self.refuse(Wrong::expected("a table").help("write it in braces, as in `{ key = 1 }`"));
            return None;
        };
        Some(Section::new(table, name, self.span, self.report))
    }

    /// Notes what is wrong with it.
    pub fn refuse(&self, wrong: Wrong) {
        let (message, label, help) = wrong.about(&self.key, self);
        if !self.report.is_secret(self.span) {
            self.report.error(self.span, message, label, help);
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub fn described(&self) -> String {
        match self.toml {
            DeValue::String(text) => format!("the string \"{}\"", shown(text)),
            DeValue::Integer(value) => format!("the integer {}", shown(&format!("{value}"))),
            DeValue::Float(value) => format!("the number {}", shown(value.as_str())),
            DeValue::Boolean(value) => format!("`{value}`"),
            DeValue::Datetime(_) => "a date".into(),
            DeValue::Array(_) => "a list".into(),
            DeValue::Table(_) => "a table".into(),
        }
    }
}

/// `text`, cut where a message would become hard to read.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let mut cut: String = text.chars().filter(|char| !char.is_control()).take(MOST).collect();
    if MOST < text.chars().count() {
        cut.push('…');
    }
    cut
}

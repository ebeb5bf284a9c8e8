//! What is wrong with a file, and how it is shown.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Span;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used, but probably does not say what was meant.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What stands beside the carets.
    pub label: String,
    /// A way out.
    pub help: Option<String>,
}

/// Where problems are noted while a file is read.
#[derive(Debug, Default)]
pub struct Report {
    problems: RefCell<Vec<Problem>>,
    has_errors: Cell<bool>,
    unlisted: Cell<usize>,
    secrets: RefCell<Vec<Span>>,
    pub(super) empty: toml::de::DeTable<'static>,
}

impl Report {
    /// Notes an error at `span`.
    pub fn error(
        &self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<impl Into<String>>,
    ) {
        self.note(
            Severity::Error,
            span,
            message.into(),
            label.into(),
            help.map(Into::into),
        );
    }

    /// Notes a warning at `span`.
    pub fn warn(
        &self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<impl Into<String>>,
    ) {
        self.note(
            Severity::Warning,
            span,
            message.into(),
            label.into(),
            help.map(Into::into),
        );
    }

    /// Whether anything noted so far keeps the file from being used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.has_errors.get()
    }

    pub(super) fn is_secret(&self, span: Span) -> bool {
        self.secrets.borrow().binary_search(&span).is_ok()
    }

    pub(super) fn secrets(&self, spans: &[Span]) {
        for span in spans {
            let help = "keep it in an environment variable, and name the variable in `api_key_env`";
            self.error(*span, "a secret stands in this file", "a secret", Some(help));
        }
        let mut secrets = self.secrets.borrow_mut();
        secrets.extend_from_slice(spans);
        secrets.sort_unstable();
    }

    pub(super) fn into_problems(self, name: &str, text: &str) -> Problems {
        let mut list = self.problems.into_inner();
        list.sort_by(|a, b| (a.span.start, a.severity, &a.message).cmp(&(b.span.start, b.severity, &b.message)));
        list.dedup();
        let source = blanked(text, &self.secrets.into_inner());
        let ends = source.match_indices('\n').map(|(at, _)| at);
        Problems {
            name: name.to_owned(),
            line_ends: ends.collect(),
            source,
            list,
            unlisted: self.unlisted.get(),
        }
    }

    fn note(&self, severity: Severity, span: Span, message: String, label: String, help: Option<String>) {
        let is_first_error = severity == Severity::Error && !self.has_errors.replace(true);
        let mut problems = self.problems.borrow_mut();
        if Problems::LISTED <= problems.len() && !is_first_error {
            self.unlisted.set(self.unlisted.get() + 1);
            return;
        }
        problems.push(Problem {
            severity,
            message,
            span,
            label,
            help,
        });
    }
}

/// Everything that is wrong with a file, in the order of the file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Problems {
    name: String,
    source: String,
    line_ends: Vec<usize>,
    list: Vec<Problem>,
    unlisted: usize,
}

impl Problems {
    /// The problems, about [`Problems::LISTED`] at most.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many there are beyond those of the list.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        self.unlisted
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of the list are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        let errors = self.list.iter().filter(|problem| problem.severity == Severity::Error);
        errors.count()
    }

    /// The line and column of `span`, both from 1; columns count characters.
    #[must_use]
    pub fn line_and_column(&self, span: Span) -> (usize, usize) {
        let line = self.line(span);
        (line.number, line.text[..line.start].chars().count() + 1)
    }

    /// As text for people: every problem with its line, carets and help; at most [`Problems::SHOWN`].
    ///
    /// `styled` adds the colors of a terminal; [`fmt::Display`] does not.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in self.list.iter().take(Problems::SHOWN) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&self.render_one(&renderer, problem));
            text.push('\n');
        }
        let more = self.list.len().saturating_sub(Problems::SHOWN) + self.unlisted;
        if 0 < more {
            text.push_str("\n… and ");
            text.push_str(&more.to_string());
            text.push_str(" more\n");
        }
        text
    }

    /// Most problems that are kept one by one; further ones are counted.
    pub const LISTED: usize = 1_000;

    /// Most problems that are shown.
    pub const SHOWN: usize = 100;

    fn line(&self, span: Span) -> Line<'_> {
        let start = boundary(&self.source, span.start);
        let number = self.line_ends.partition_point(|end| *end < start);
        let first = number.checked_sub(1).map_or(0, |before| self.line_ends[before] + 1);
        let last = self.line_ends.get(number).copied().unwrap_or(self.source.len());
        let text = self.source[first..last].trim_end_matches('\r');
        let start = (start - first).min(text.len());
        let end = boundary(&self.source, span.end).saturating_sub(first);
        Line {
            text,
            number: number + 1,
            start,
            end: end.clamp(start, text.len()),
        }
    }

    fn render_one(&self, renderer: &Renderer, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let line = self.line(problem.span).around();
        let caret = AnnotationKind::Primary.span(line.start..line.end);
        let snippet = Snippet::source(line.text)
            .path(self.name.as_str())
            .line_start(line.number)
            .annotation(caret.label(problem.label.as_str()));
        let mut group = level.primary_title(problem.message.as_str()).element(snippet);
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Problems {}

/// The line in which a span begins, and the part of the span that lies in it.
struct Line<'s> {
    text: &'s str,
    number: usize,
    start: usize,
    end: usize,
}

impl Line<'_> {
    /// The part of a very long line around the span: what is shown must not take longer than what is read.
    fn around(mut self) -> Self {
        const MOST: usize = 1 << 14;
        if MOST < self.text.len() {
            let first = boundary(self.text, self.start.saturating_sub(MOST / 2));
            let last = boundary(self.text, self.start + MOST / 2);
            self.text = &self.text[first..last];
            self.start -= first;
            self.end = (self.end - first).min(self.text.len());
        }
        self
    }
}

/// The last beginning of a character at or before `at`.
fn boundary(source: &str, at: usize) -> usize {
    let at = at.min(source.len());
    (0..=at).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

/// `text` with every character of `spans` replaced by as many asterisks as it has bytes.
fn blanked(text: &str, spans: &[Span]) -> String {
    let mut source = String::with_capacity(text.len());
    let mut rest = 0;
    for span in spans {
        // Spans come from the text, sorted and apart.
        source.push_str(text.get(rest..span.start).unwrap_or_default());
        source.push_str(&"*".repeat(span.end - span.start));
        rest = span.end;
    }
    source.push_str(text.get(rest..).unwrap_or_default());
    source
}

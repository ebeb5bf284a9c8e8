//! What is wrong with a file, and how it is shown.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
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
        let problems = self.problems.borrow();
        problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn is_secret(&self, span: Span) -> bool {
        self.secrets.borrow().contains(&span)
    }

    pub(super) fn secrets(&self, spans: &[Span]) {
        for span in spans {
            let help = "keep it in an environment variable, and name the variable in `api_key_env`";
            self.error(*span, "a secret stands in this file", "a secret", Some(help));
        }
        self.secrets.borrow_mut().extend_from_slice(spans);
    }

    pub(super) fn into_problems(self, name: &str, text: &str) -> Problems {
        let mut list = self.problems.into_inner();
        list.sort_by(|a, b| (a.span.start, a.severity, &a.message).cmp(&(b.span.start, b.severity, &b.message)));
        list.dedup();
        Problems {
            name: name.to_owned(),
            source: blanked(text, &self.secrets.into_inner()),
            list,
        }
    }

    fn note(&self, severity: Severity, span: Span, message: String, label: String, help: Option<String>) {
        self.problems.borrow_mut().push(Problem {
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
    list: Vec<Problem>,
}

impl Problems {
    /// The problems.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of them are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        let errors = self.list.iter().filter(|problem| problem.severity == Severity::Error);
        errors.count()
    }

    /// The line and column of `span`, both from 1; columns count characters.
    #[must_use]
    pub fn line_and_column(&self, span: Span) -> (usize, usize) {
        let line = Line::of(&self.source, span);
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
        let more = self.list.len().saturating_sub(Problems::SHOWN);
        if 0 < more {
            text.push_str("\n… and ");
            text.push_str(&more.to_string());
            text.push_str(" more\n");
        }
        text
    }

    /// Most problems that are shown.
    pub const SHOWN: usize = 100;

    fn render_one(&self, renderer: &Renderer, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let line = Line::of(&self.source, problem.span);
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
    fn of(source: &str, span: Span) -> Line<'_> {
        let start = boundary(source, span.start);
        let first = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let text = source[first..last].trim_end_matches('\r');
        let start = (start - first).min(text.len());
        let end = boundary(source, span.end).saturating_sub(first);
        Line {
            text,
            number: source[..first].matches('\n').count() + 1,
            start,
            end: end.clamp(start, text.len()),
        }
    }
}

/// The last beginning of a character at or before `at`.
fn boundary(source: &str, at: usize) -> usize {
    let at = at.min(source.len());
    (0..=at).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

/// `text` with every character of `spans` replaced by as many asterisks as it has bytes.
fn blanked(text: &str, spans: &[Span]) -> String {
    let mut source = text.to_owned();
    for span in spans {
        let range = span.start.min(source.len())..span.end.min(source.len());
        source.replace_range(range.clone(), &"*".repeat(range.len()));
    }
    source
}

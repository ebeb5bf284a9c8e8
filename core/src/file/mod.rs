//! Reading TOML files by hand, so that every error comes at once, with its place and a way out.
//!
//! A derived decoder stops at the first error, so that a file is mended one error at a time. Here the whole file is
//! read whatever is wrong with it: a [`Section`] is asked for the keys it may have, each with the
//! [`kind`] of its value; what is missing, of the wrong kind, or was never asked for is noted with its span, and
//! reading goes on with a default. [`read`] gives the result only if nothing was wrong.
//!
//! | Law | Test |
//! |---|---|
//! | No text makes reading or rendering panic. | `any_text_is_read_or_refused` |
//! | Every key of a section is asked for or reported. | `every_key_is_known_or_reported` |
//! | The hash of a file depends on its content, not on comments, layout or the order of keys. | `hash_ignores_layout` |
//! | A secret that stands in a file is not printed. | `secrets_are_not_printed` |
//! | The time to read and to complain grows with the file, not with its square. | `the_worst_files_are_told_quickly` |
//!
//! ```
//! use tollgate_core::file::{self, kind};
//!
//! let text = "name = \"nightly\"\nwait = \"10 s\"\nretires = 3\n";
//! let problems = file::read("job.toml", text, |job| {
//!     let name = job.required("name", kind::name);
//!     let wait = job.optional("wait", kind::duration);
//!     let retries = job.or("retries", kind::integer(0_u8, 9), 3);
//!     (name, wait, retries)
//! })
//! .unwrap_err();
//!
//! let text = problems.to_string();
//! assert!(text.contains("expected a duration, found the string \"10 s\""));
//! assert!(text.contains("unknown key `retires`") && text.contains("did you mean `retries`?"));
//! ```

mod hash;
pub mod kind;
mod nearest;
mod problem;
mod secret;
mod section;

use alloc::string::ToString;
use alloc::vec::Vec;

use toml::de::DeTable;

pub use hash::ContentHash;
pub use nearest::{Nearest, nearest};
pub use problem::{Problem, Problems, Report, Severity};
pub use section::{At, Section, Value};

/// The largest file that is read.
pub const MOST_BYTES: usize = 4 << 20;

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl From<core::ops::Range<usize>> for Span {
    fn from(range: core::ops::Range<usize>) -> Span {
        Span {
            start: range.start,
            end: range.end,
        }
    }
}

/// What `decode` makes of the file called `name` that says `text`, and the warnings.
///
/// # Errors
///
/// Every problem of the file, if one of them is an error. A file that is not TOML reports only that: what follows from
/// a misread table would be noise.
pub fn read<T>(name: &str, text: &str, decode: impl FnOnce(&mut Section<'_>) -> T) -> Result<(T, Problems), Problems> {
    let report = Report::default();
    if MOST_BYTES < text.len() {
        let message = alloc::format!("the file has {} bytes; at most {MOST_BYTES} are read", text.len());
        report.error(Span::default(), message, "too large", None::<&str>);
        return Err(report.into_problems(name, ""));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().map_or(Span::default(), Span::from);
        let message = alloc::format!("this is not TOML: {}", error.message());
        report.error(span, message, error.message().to_string(), None::<&str>);
    }
    if report.has_errors() {
        return Err(report.into_problems(name, text));
    }
    let secrets: Vec<Span> = secret::find(root.get_ref());
    report.secrets(&secrets);
    let value = decode(&mut Section::root(root.get_ref(), &report));
    let failed = report.has_errors();
    let problems = report.into_problems(name, text);
    if failed { Err(problems) } else { Ok((value, problems)) }
}

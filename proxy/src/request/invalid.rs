//! What is wrong with a request, in words for whoever sent it.

use std::fmt;

/// Why a request is answered with 400: it would be wrong anywhere.
///
/// The message names keys and bounds, never what the client wrote: that may be a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What kind of mistake it is.
    pub flaw: Flaw,
    /// The key that is wrong; none if it is the body as a whole.
    pub param: Option<&'static str>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Invalid {
    pub(super) fn body(flaw: Flaw, message: impl Into<String>) -> Invalid {
        Invalid {
            flaw,
            param: None,
            message: message.into(),
        }
    }

    pub(super) fn key(flaw: Flaw, param: &'static str, message: impl Into<String>) -> Invalid {
        Invalid {
            flaw,
            param: Some(param),
            message: message.into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}

/// The kinds of mistakes; each has a code that programs can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// There is no body.
    Empty,
    /// It is not UTF-8 without a byte order mark.
    Encoding,
    /// It is not JSON.
    Syntax,
    /// A key stands there twice, or once more in other capitals.
    Duplicate,
    /// A key is not there.
    Missing,
    /// A value is of the wrong kind; of the body as a whole: it is not an object.
    Kind,
    /// A value is out of its bounds.
    Range,
}

impl Flaw {
    /// Every flaw.
    pub const ALL: [Flaw; 7] = [
        Flaw::Empty,
        Flaw::Encoding,
        Flaw::Syntax,
        Flaw::Duplicate,
        Flaw::Missing,
        Flaw::Kind,
        Flaw::Range,
    ];

    /// The `code` of the error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Flaw::Empty => "empty_body",
            Flaw::Encoding => "invalid_encoding",
            Flaw::Syntax => "invalid_json",
            Flaw::Duplicate => "duplicate_parameter",
            Flaw::Missing => "missing_required_parameter",
            Flaw::Kind => "invalid_type",
            Flaw::Range => "invalid_value",
        }
    }
}

//! How a command ends badly, and with which status.

use std::fmt;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a file is wrong: nothing was started, nothing was written. Status 2.
    Wrong(String),
    /// It ran, and failed. Status 1.
    Failed(String),
}

impl Failure {
    /// The command line or a file is wrong.
    pub(crate) fn wrong(what: impl fmt::Display) -> Failure {
        Failure::Wrong(error(what))
    }

    /// It ran, and failed.
    pub(crate) fn failed(what: impl fmt::Display) -> Failure {
        Failure::Failed(error(what))
    }

    /// What is shown to the user.
    pub(crate) fn message(&self) -> &str {
        match self {
            Failure::Wrong(message) | Failure::Failed(message) => message,
        }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Wrong(_) => 2,
            Failure::Failed(_) => 1,
        }
    }
}

/// The sentence, marked as an error where it is not marked yet.
fn error(what: impl fmt::Display) -> String {
    let text = what.to_string();
    if text.starts_with("error") || text.starts_with("warning") {
        text
    } else {
        format!("error: {text}")
    }
}

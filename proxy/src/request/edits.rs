//! Changes to a body as splices of bytes: what is not changed is not read, not written anew, not even copied.
//!
//! | Law | Test |
//! |---|---|
//! | A body that was spliced says what the original would say after the same change. | `an_edited_body_says_what_was_edited` |
//! | Without changes the body is the one that came. | `nothing_changed_is_nothing_copied` |

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::keys::Span;

/// Changes that do not overlap, in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits<'a> {
    list: Vec<Edit<'a>>,
}

#[derive(Clone, Debug)]
struct Edit<'a> {
    at: Span,
    text: Cow<'a, str>,
}

impl<'a> Edits<'a> {
    /// Puts `text` where `at` stands.
    pub(super) fn replace(&mut self, at: Span, text: impl Into<Cow<'a, str>>) {
        self.list.push(Edit { at, text: text.into() });
    }

    /// Puts `text` before the byte at `at`; what is put there later comes after it.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<Cow<'a, str>>) {
        self.replace(Span { start: at, end: at }, text);
    }

    /// The body after all changes.
    pub(super) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.list.is_empty() {
            return body.clone();
        }
        self.list.sort_by_key(|edit| edit.at.start);
        let more: usize = self.list.iter().map(|edit| edit.text.len()).sum();
        let mut edited = BytesMut::with_capacity(body.len() + more);
        let mut done = 0;
        for edit in &self.list {
            debug_assert!(done <= edit.at.start, "edits do not overlap");
            edited.extend_from_slice(&body[done..edit.at.start]);
            edited.extend_from_slice(edit.text.as_bytes());
            done = edit.at.end;
        }
        edited.extend_from_slice(&body[done..]);
        edited.freeze()
    }
}

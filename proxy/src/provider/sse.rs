//! Server-sent events: where each ends, and what it carries, however the bytes are cut.
//!
//! As the HTML standard says in section 9.2.6: lines end with LF, CR or both; a blank line ends an event; comments
//! begin with a colon; several `data` lines are one text.
//!
//! | Law | Test |
//! |---|---|
//! | However a stream is cut, the same events are found. | `cuts_do_not_matter` |

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Finds where events end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Splitter {
    /// Up to here there is no end of an event.
    scanned: usize,
    /// Where the line begins that `scanned` is in.
    line: usize,
    /// The event before ended with CR, the last byte there was: an LF may belong to it.
    after_cr: bool,
    /// What was found last is such an LF.
    pub(super) is_rest: bool,
}

impl Splitter {
    /// Where the event ends that begins at `start` of `buffer`, after its blank line; nothing if it is not complete.
    ///
    /// What is not complete is shown again with more behind it, at the beginning of the next `buffer`.
    pub(super) fn end(&mut self, buffer: &[u8], start: usize) -> Option<usize> {
        self.is_rest = false;
        if self.after_cr && start < buffer.len() {
            self.after_cr = false;
            if buffer[start] == b'\n' {
                // It comes by itself, and goes where the event before it went.
                self.is_rest = true;
                self.scanned = start + 1;
                self.line = start + 1;
                return Some(start + 1);
            }
        }
        self.line = self.line.max(start);
        let mut at = self.scanned.max(start);
        while let Some(found) = memchr2(b'\n', b'\r', &buffer[at..]) {
            let end = at + found;
            let is_blank = end == self.line;
            let is_cr = buffer[end] == b'\r';
            let is_last = end + 1 == buffer.len();
            if is_cr && is_last && !is_blank {
                // Whether an LF follows will be seen with it.
                self.scanned = end;
                return None;
            }
            let is_both = is_cr && buffer.get(end + 1) == Some(&b'\n');
            at = end + if is_both { 2 } else { 1 };
            self.line = at;
            if is_blank {
                self.after_cr = is_cr && is_last;
                self.scanned = at;
                return Some(at);
            }
        }
        self.scanned = buffer.len();
        None
    }

    /// The buffer begins anew with what was at `start`.
    pub(super) fn cut(&mut self, start: usize) {
        self.scanned = self.scanned.saturating_sub(start);
        self.line = self.line.saturating_sub(start);
    }
}

/// What one event carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its data; none if it has no `data` line.
    pub(super) data: Option<Cow<'a, [u8]>>,
    /// Whether it is called `error`.
    pub(super) is_error: bool,
}

impl<'a> Event<'a> {
    /// The event that `text` is.
    pub(super) fn of(text: &'a [u8]) -> Event<'a> {
        let mut event = Event::default();
        let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            event.line(&rest[..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        event
    }

    fn line(&mut self, line: &'a [u8]) {
        let (field, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => match &mut self.data {
                None => self.data = Some(Cow::Borrowed(value)),
                Some(data) => {
                    let data = data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => self.is_error = value == b"error",
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of every event, the stream being cut at `cuts`.
    fn events(stream: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut held = Vec::new();
        let mut found = Vec::new();
        let mut last = 0;
        for cut in cuts.iter().copied().chain([stream.len()]) {
            held.extend_from_slice(&stream[last..cut]);
            last = cut;
            let mut start = 0;
            while let Some(end) = splitter.end(&held, start) {
                if let Some(data) = Event::of(&held[start..end]).data {
                    found.push(String::from_utf8(data.into_owned()).expect("ASCII"));
                }
                start = end;
            }
            splitter.cut(start);
            held.drain(..start);
        }
        found
    }

    #[test]
    fn every_form_is_understood() {
        let cases: [(&str, &[&str]); 12] = [
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data:a\r\n\r\ndata:b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\r\n\ndata: b\n\r\n", &["a", "b"]),
            (": ping\n\ndata:  a\n\n", &[" a"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("event: message\nid: 7\ndata: a\nretry: 3\n\n", &["a"]),
            ("data\n\n", &[""]),
            ("data: a", &[]),
            ("\n\n\ndata: a\n\n", &["a"]),
            ("datum: a\n\n", &[]),
            ("\u{feff}data: a\n\n", &["a"]),
        ];
        for (stream, data) in cases {
            assert_eq!(events(stream.as_bytes(), &[]), data, "{stream:?}");
        }
        assert!(Event::of(b"event: error\ndata: a\n\n").is_error);
        assert!(!Event::of(b"event: delta\ndata: a\n\n").is_error);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            lines in prop::collection::vec(("data: [a-c]{0,3}|: c|event: e|", "\n|\r\n|\r"), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(events(stream.as_bytes(), &cuts), events(stream.as_bytes(), &[]));
            let each: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(events(stream.as_bytes(), &each), events(stream.as_bytes(), &[]));
        }
    }
}

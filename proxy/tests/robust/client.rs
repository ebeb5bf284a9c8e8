//! A client that writes whatever it is told to, and reads answers without leniency.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::world::{KEY, PROMPT, SOON};

/// A connection of a client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its head, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
}

/// A chat that is asked for as it should be.
pub(crate) fn chat(stream: bool) -> Vec<u8> {
    post(&body(stream), "")
}

/// The body of a chat.
pub(crate) fn body(stream: bool) -> String {
    format!(r#"{{"model":"m","stream":{stream},"max_tokens":100,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#)
}

/// A request with this body; `more` is added to its headers.
pub(crate) fn post(body: &str, more: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n{body}"
    )
    .into_bytes()
}

/// The head of a request as far as the headers that frame its body, which `framing` has to bring with the rest.
pub(crate) fn framed(framing: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\n{framing}"
    )
    .into_bytes()
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        stream.set_write_timeout(Some(SOON)).expect("a socket");
        Client {
            stream,
            rest: Vec::new(),
        }
    }

    /// Sends `bytes`, as many of them as are taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends nothing more.
    pub(crate) fn hush(&mut self) {
        // A connection that is closed already says nothing more either.
        let _closed = self.stream.shutdown(Shutdown::Write);
    }

    /// The next answer; none if the connection was closed without one.
    ///
    /// # Panics
    ///
    /// If neither comes, or what comes is no HTTP.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(end) = find(&self.rest, b"\r\n\r\n") {
                break end + 4;
            }
            if !self.more() {
                let rest = String::from_utf8_lossy(&self.rest);
                assert!(rest.is_empty(), "half a head: {rest}");
                return None;
            }
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is text").to_lowercase();
        let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head}"));
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
            is_whole: false,
        };
        if answer.has("transfer-encoding: chunked") {
            self.chunks(&mut answer);
            return Some(answer);
        }
        let length = answer.header("content-length").map(str::parse::<usize>);
        let length = length.map(|length| length.expect("a number"));
        while length.is_none_or(|length| self.rest.len() < length) && self.more() {}
        let taken = length.unwrap_or(self.rest.len()).min(self.rest.len());
        answer.body = self.rest.drain(..taken).collect();
        answer.is_whole = length.is_none_or(|length| length == answer.body.len());
        Some(answer)
    }

    /// Whatever comes until the connection is closed.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.rest)
    }

    fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let Some(end) = find(&self.rest, b"\r\n") else {
                if self.more() {
                    continue;
                }
                return;
            };
            let digits = std::str::from_utf8(&self.rest[..end]).expect("digits");
            let size = usize::from_str_radix(digits, 16).expect("the size of a chunk");
            while self.rest.len() < end + 2 + size + 2 {
                if !self.more() {
                    return;
                }
            }
            answer.body.extend_from_slice(&self.rest[end + 2..end + 2 + size]);
            self.rest.drain(..end + 2 + size + 2);
            if size == 0 {
                answer.is_whole = true;
                return;
            }
        }
    }

    /// Reads once more; whether anything came.
    #[track_caller]
    pub(crate) fn more(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(read) => {
                self.rest.extend_from_slice(&bytes[..read]);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("neither an answer nor an end: {error}"),
        }
    }
}

impl Answer {
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.split("\r\n").any(|found| found == line)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| {
            let (found, _) = line.split_once(':')?;
            (found == name).then_some(())
        };
        let line = self.head.split("\r\n").find(|line| of(line).is_some())?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.head, self.text()))
    }

    /// The code of an error that is in form.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.is_whole, "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        code(&self.json())
    }
}

/// The code of an error that is in form.
#[track_caller]
pub(crate) fn code(json: &Value) -> String {
    let error = json["error"].as_object().unwrap_or_else(|| panic!("no error: {json}"));
    let mut keys: Vec<&str> = error.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "message", "param", "type"], "{json}");
    assert!(
        error["message"].as_str().is_some_and(|message| !message.is_empty()),
        "{json}"
    );
    assert!(error["type"].is_string(), "{json}");
    error["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code: {json}"))
        .to_owned()
}

pub(crate) fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

//! What can go wrong between a client and a target, and the way out of it.

use std::error::Error;
use std::fmt;
use std::io;

use tollgate_core::fault::Fault;

use super::pool::is_out_of_files;

/// How a machine says that the other side has closed at once.
const RESETS: [io::ErrorKind; 3] = [
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionAborted,
];

/// Why a request got no answer, or none that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// The name has no address.
    NoAddress,
    /// No connection stood in time.
    ConnectTimeout,
    /// The machine has no more files for connections.
    OutOfFiles,
    /// The machine has no more ports for connections.
    OutOfPorts,
    /// TLS was not agreed on.
    Tls,
    /// No connection, for any other reason.
    Connect,
    /// The connection was reset.
    Reset,
    /// The connection was closed before the answer was complete.
    Closed,
    /// What came is no HTTP.
    NotHttp,
    /// The answer is not what was asked for.
    NoAnswer,
    /// The stream ended without saying that it was complete.
    Truncated,
    /// The stream said that it broke off.
    StreamError,
    /// The answer is larger than any that makes sense.
    TooLong,
    /// No answer by the end of the run and its grace.
    Unanswered,
    /// An answer with this status.
    Status(u16),
}

impl Failure {
    /// Why a connection did not come to stand.
    pub(super) fn of_connect(error: &io::Error) -> Failure {
        if is_out_of_files(error) {
            return Failure::OutOfFiles;
        }
        let known = [
            (io::ErrorKind::ConnectionRefused, Failure::Refused),
            (io::ErrorKind::AddrNotAvailable, Failure::OutOfPorts),
            (io::ErrorKind::ConnectionReset, Failure::Reset),
            (io::ErrorKind::TimedOut, Failure::ConnectTimeout),
            (io::ErrorKind::InvalidData, Failure::Tls),
            (io::ErrorKind::UnexpectedEof, Failure::Tls),
            (io::ErrorKind::Other, Failure::Tls),
        ];
        match known.iter().find(|(kind, _)| *kind == error.kind()) {
            Some((_, failure)) => *failure,
            // The resolver's errors are none of the machine's; those of dialing are.
            None if error.raw_os_error().is_none() => Failure::NoAddress,
            None => Failure::Connect,
        }
    }

    /// How a connection that stood failed.
    pub(super) fn of(error: &hyper::Error) -> Failure {
        if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
            return Failure::NotHttp;
        }
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        if io.is_some_and(|io| RESETS.contains(&io.kind())) {
            Failure::Reset
        } else {
            Failure::Closed
        }
    }

    /// What core would call it.
    pub(super) const fn fault(self) -> Fault {
        match self {
            Failure::Refused
            | Failure::NoAddress
            | Failure::ConnectTimeout
            | Failure::OutOfFiles
            | Failure::OutOfPorts
            | Failure::Tls
            | Failure::Connect
            | Failure::Reset
            | Failure::Closed => Fault::Connect,
            Failure::NotHttp | Failure::NoAnswer | Failure::TooLong | Failure::Status(_) => Fault::Server,
            Failure::Truncated | Failure::StreamError => Fault::Stream,
            Failure::Unanswered => Fault::Timeout,
        }
    }

    /// Whether an answer that is HTTP came before it failed.
    pub(super) const fn is_answered(self) -> bool {
        matches!(
            self,
            Failure::NoAnswer | Failure::Truncated | Failure::StreamError | Failure::TooLong | Failure::Status(_)
        )
    }

    /// What can be done about it.
    #[must_use]
    pub const fn way_out(self) -> &'static str {
        match self {
            Failure::Status(401 | 403) => "give a key with --key or --key-env",
            Failure::Status(404) => "check the path of --target, which ends in /v1, and --model",
            Failure::Status(413) => "ask for smaller prompts, or let the target take larger ones",
            Failure::Refused => "start the target, or check host and port of --target",
            Failure::NoAddress => "check the host of --target",
            Failure::ConnectTimeout => {
                "check whether the target can be reached from here, and how many connections it takes"
            }
            Failure::OutOfFiles => "raise `ulimit -n`, or open fewer with --connections",
            Failure::OutOfPorts => "open fewer with --connections, so that they are used again",
            Failure::Tls => {
                "check whether the target speaks TLS with a certificate that is trusted; --ca-file adds one"
            }
            Failure::Connect => "check whether the target can be reached from here",
            Failure::Reset | Failure::Closed | Failure::Truncated | Failure::StreamError | Failure::Status(_) => {
                "look at what the target says about it in its own log"
            }
            Failure::NotHttp => "check whether --target is an HTTP server, and http:// or https://",
            Failure::NoAnswer => "check whether --target is an OpenAI-style API: its URL ends in /v1",
            Failure::TooLong => "check whether --target is an OpenAI-style API",
            Failure::Unanswered => "wait longer with --grace, or give the scenario's clients a timeout",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Refused => "connection refused",
            Failure::NoAddress => "the host has no address",
            Failure::ConnectTimeout => "no connection in time",
            Failure::OutOfFiles => "out of file descriptors",
            Failure::OutOfPorts => "out of local ports",
            Failure::Tls => "no agreement on TLS",
            Failure::Connect => "no connection",
            Failure::Reset => "connection reset",
            Failure::Closed => "connection closed before the answer was complete",
            Failure::NotHttp => "no HTTP",
            Failure::NoAnswer => "not an answer of an OpenAI-style API",
            Failure::Truncated => "the stream ended without [DONE]",
            Failure::StreamError => "the stream broke off with an error",
            Failure::TooLong => "an answer without end",
            Failure::Unanswered => "no answer by the end of the grace",
            Failure::Status(status) => return write!(f, "HTTP {status}"),
        })
    }
}

impl Error for Failure {}

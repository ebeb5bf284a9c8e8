//! The one table of settings: keys, variables, flags, defaults and meanings come from here.

use tollgate_core::time::Nanos;

use super::{AccessLog, Settings};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The table of the file in which it stands; empty for those at the top.
    pub table: &'static str,
    /// Its key in that table.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// The flag, with its dashes; without them it is the argument of the command.
    pub flag: &'static str,
    /// What a value looks like, in help texts.
    pub value: &'static str,
    /// What it is for, in a line.
    pub help: &'static str,
    /// How a value is written where there are no types.
    pub(super) form: Form,
    default: fn(&Settings) -> String,
}

impl Row {
    /// What holds when nobody says anything.
    #[must_use]
    pub fn default(&self) -> String {
        (self.default)(&Settings::default())
    }

    /// Whether it may be said several times, or as a list with commas.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.form == Form::List
    }
}

/// How a value is written where there are no types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As a string, whatever it looks like.
    Text,
    /// As a number or a boolean if it looks like one, else as a string.
    Word,
    /// As strings with commas between them.
    List,
}

macro_rules! rows {
    ($($name:ident = $table:literal $key:literal $variable:literal $flag:literal $form:ident $value:literal, $default:expr, $help:literal;)*) => {
        $(pub(super) const $name: Row = Row {
            table: $table,
            key: $key,
            variable: $variable,
            flag: $flag,
            value: $value,
            help: $help,
            form: Form::$form,
            default: $default,
        };)*

        /// Every setting but the token of the admin address, which stands in the environment only.
        pub const ROWS: &[Row] = &[$($name),*];
    };
}

rows! {
    POLICY = "" "policy" "TOLLGATE_POLICY" "POLICY" Text "POLICY", |_| "embedded".into(),
        "The policy to serve: a file, or the name of a shipped one. With none, two mock backends and a policy over them";
    LISTEN = "" "listen" "TOLLGATE_LISTEN" "--listen" List "ADDR", |s| s.listen[0].to_string(),
        "Where clients are served; may be given several times";
    ADMIN = "" "admin" "TOLLGATE_ADMIN" "--admin" Text "ADDR", |s| s.admin.to_string(),
        "Where metrics, status and health are served; beyond loopback TOLLGATE_ADMIN_TOKEN has to be set";
    THREADS = "" "threads" "TOLLGATE_THREADS" "--threads" Word "N", |_| "one per core".into(),
        "Threads that serve";
    TRUSTED_PROXIES = "" "trusted_proxies" "TOLLGATE_TRUSTED_PROXIES" "--trusted-proxies" List "CIDR", |_| "none".into(),
        "Proxies whose forwarding headers are believed; may be given several times";
    SEED = "" "seed" "TOLLGATE_SEED" "--seed" Word "N", |_| "drawn at start".into(),
        "The root of all randomness";
    ESTIMATE = "" "estimate" "TOLLGATE_ESTIMATE" "--estimate" Text "HOW", |_| "bytes".into(),
        "How the tokens of a prompt are estimated: bytes, or tokenizer where that is built in";
    TIME_SCALE = "" "time_scale" "TOLLGATE_TIME_SCALE" "--time-scale" Word "X", |s| s.time_scale.to_string(),
        "For tests with mock backends: the clock runs so much faster";
    MOCK_DICE = "" "mock_dice" "TOLLGATE_MOCK_DICE" "--mock-dice" Word "BOOL", |s| s.mock_dice.to_string(),
        "For tests with mock backends: take the dice that a request brings, and send them along";
    TLS_CERT = "tls" "cert" "TOLLGATE_TLS_CERT" "--tls-cert" Text "FILE", |_| "none: plain HTTP".into(),
        "The certificate chain that clients are shown, in PEM; read again on SIGHUP";
    TLS_KEY = "tls" "key" "TOLLGATE_TLS_KEY" "--tls-key" Text "FILE", |_| "none".into(),
        "Its private key, in PEM";
    MAX_BODY = "limits" "max_body" "TOLLGATE_LIMITS_MAX_BODY" "--limits-max-body" Word "SIZE", |s| size(s.limits.max_body),
        "Most bytes of a request's body; 413 beyond";
    MAX_BUFFERED = "limits" "max_buffered" "TOLLGATE_LIMITS_MAX_BUFFERED" "--limits-max-buffered" Word "SIZE",
        |s| size(s.limits.max_buffered),
        "Most bytes of all request bodies held at once; 503 beyond";
    MAX_CONNECTIONS = "limits" "max_connections" "TOLLGATE_LIMITS_MAX_CONNECTIONS" "--limits-max-connections" Word "N",
        |s| s.limits.max_connections.to_string(),
        "Most connections of clients at once; further ones are answered 503";
    MAX_HEADERS = "limits" "max_headers" "TOLLGATE_LIMITS_MAX_HEADERS" "--limits-max-headers" Word "N",
        |s| s.limits.max_headers.to_string(),
        "Most headers of a request; 431 beyond";
    MAX_HEADER_BYTES = "limits" "max_header_bytes" "TOLLGATE_LIMITS_MAX_HEADER_BYTES" "--limits-max-header-bytes" Word
        "SIZE", |s| size(u64::from(s.limits.max_header_bytes.get())),
        "Most bytes of a request's headers; 431 beyond";
    HEADER_TIMEOUT = "limits" "header_timeout" "TOLLGATE_LIMITS_HEADER_TIMEOUT" "--limits-header-timeout" Word "TIME",
        |s| s.limits.header_timeout.to_string(),
        "From the first byte of a request to the end of its headers";
    BODY_TIMEOUT = "limits" "body_timeout" "TOLLGATE_LIMITS_BODY_TIMEOUT" "--limits-body-timeout" Word "TIME",
        |s| s.limits.body_timeout.to_string(),
        "From one piece of a request's body to the next; 408 beyond";
    IDLE_TIMEOUT = "limits" "idle_timeout" "TOLLGATE_LIMITS_IDLE_TIMEOUT" "--limits-idle-timeout" Word "TIME",
        |s| s.limits.idle_timeout.to_string(),
        "How long a client's connection may stay open without a request";
    WRITE_TIMEOUT = "limits" "write_timeout" "TOLLGATE_LIMITS_WRITE_TIMEOUT" "--limits-write-timeout" Word "TIME",
        |s| s.limits.write_timeout.to_string(),
        "How long a client may take nothing of an answer that waits for it; its connection is reset then";
    UPSTREAM_MAX_CONNECTIONS = "upstream" "max_connections" "TOLLGATE_UPSTREAM_MAX_CONNECTIONS"
        "--upstream-max-connections" Word "N", |s| s.upstream.max_connections.to_string(),
        "Most connections to one endpoint; further attempts wait for one";
    UPSTREAM_IDLE = "upstream" "idle" "TOLLGATE_UPSTREAM_IDLE" "--upstream-idle" Word "TIME",
        |s| s.upstream.idle.to_string(),
        "How long a connection to an endpoint is kept that nobody uses";
    UPSTREAM_MAX_AGE = "upstream" "max_age" "TOLLGATE_UPSTREAM_MAX_AGE" "--upstream-max-age" Word "TIME",
        |s| length(s.upstream.max_age),
        "How long a connection to an endpoint is used at most, so that a change of DNS is noticed; none for ever";
    UPSTREAM_CA_FILE = "upstream" "ca_file" "TOLLGATE_UPSTREAM_CA_FILE" "--upstream-ca-file" Text "FILE",
        |_| "Mozilla's list".into(),
        "The certificates to trust at endpoints, in PEM";
    UPSTREAM_HTTP2 = "upstream" "http2" "TOLLGATE_UPSTREAM_HTTP2" "--upstream-http2" Word "BOOL",
        |s| s.upstream.http2.to_string(),
        "Whether HTTP/2 is spoken to endpoints that offer it";
    UPSTREAM_PRIOR_KNOWLEDGE = "upstream" "http2_prior_knowledge" "TOLLGATE_UPSTREAM_HTTP2_PRIOR_KNOWLEDGE"
        "--upstream-http2-prior-knowledge" List "HOST:PORT", |_| "none".into(),
        "Endpoints that speak HTTP/2 without TLS and without being asked; may be given several times";
    DRAIN_DELAY = "drain" "delay" "TOLLGATE_DRAIN_DELAY" "--drain-delay" Word "TIME", |s| s.drain.delay.to_string(),
        "On SIGTERM: how long connections are still accepted after /readyz has said no";
    DRAIN_DEADLINE = "drain" "deadline" "TOLLGATE_DRAIN_DEADLINE" "--drain-deadline" Word "TIME",
        |s| s.drain.deadline.to_string(),
        "On SIGTERM: after so long requests that have not finished are cut off";
    LOG_ACCESS = "log" "access" "TOLLGATE_LOG_ACCESS" "--log-access" Text "FILE", |s| access(&s.log.access),
        "Where a JSON line a request goes: a file, - for standard output, or none";
    LOG_LEVEL = "log" "level" "TOLLGATE_LOG_LEVEL" "--log-level" Text "LEVEL", |_| "info".into(),
        "What the process tells of itself on standard error: error, warn, info or debug";
    LOG_FORMAT = "log" "format" "TOLLGATE_LOG_FORMAT" "--log-format" Text "FORMAT", |_| "text".into(),
        "In which form: text or json";
}

/// The variable with the token of the admin address. It has neither key nor flag: both can be read by others.
pub const ADMIN_TOKEN: &str = "TOLLGATE_ADMIN_TOKEN";

/// The variable with the path of the file; the flag is `--config`.
pub const CONFIG: &str = "TOLLGATE_CONFIG";

fn size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{}MiB", bytes / MIB)
    } else if bytes.is_multiple_of(KIB) {
        format!("{}KiB", bytes / KIB)
    } else {
        bytes.to_string()
    }
}

fn length(length: Nanos) -> String {
    if length.is_forever() {
        "none".to_owned()
    } else {
        length.to_string()
    }
}

fn access(access: &AccessLog) -> String {
    match access {
        AccessLog::None => "none".to_owned(),
        AccessLog::Stdout => "-".to_owned(),
        AccessLog::File(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever knows one name of a setting knows the other two.
    #[test]
    fn names_follow_from_one_another() {
        for row in ROWS {
            let path = if row.table.is_empty() {
                row.key.to_owned()
            } else {
                format!("{}_{}", row.table, row.key)
            };
            assert_eq!(row.variable, format!("TOLLGATE_{}", path.to_uppercase()));
            if row.flag.starts_with("--") {
                assert_eq!(row.flag, format!("--{}", path.replace('_', "-")));
            } else {
                assert_eq!(row.flag, path.to_uppercase());
            }
            assert!(!row.help.ends_with('.') && row.help.len() <= 120, "{}", row.key);
        }
    }
}

//! From a file, the environment and flags to [`Settings`], or to everything that is wrong with them.
//!
//! All three are read by the same kinds: what has no types of its own is written down as a table first, one line a
//! variable or flag, so that a message shows what was said and where.

use std::fmt;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use tollgate_core::file::{self, Problems, Value, kind};

use super::kinds::{
    ESTIMATORS, FORMATS, LEVELS, MOST_BODY, address, authority, cidr, count, header_bytes, headers, path, scale, size,
};
use super::said::{Said, Spelling, as_table, flag, mistyped, variable};
use super::table::{self, ADMIN_TOKEN, ROWS};
use super::{Settings, Tls, Token};

/// Where settings come from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// The file, if there is one.
    pub file: Option<SettingsFile<'a>>,
    /// Variables and their values; those whose names do not begin with `TOLLGATE_` are not looked at.
    pub environment: &'a [(String, String)],
    /// Flags as `Row::flag` writes them, and their values; lists may come in pieces.
    pub flags: &'a [(&'static str, String)],
}

/// A file of settings.
#[derive(Clone, Copy, Debug)]
pub struct SettingsFile<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
    /// What its paths are relative to.
    pub folder: &'a Path,
}

/// Everything that is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// What is wrong where.
    places: Vec<Problems>,
    /// What is wrong between settings.
    others: Vec<String>,
}

impl SettingsError {
    /// As text for people, in colors if `styled`.
    #[must_use]
    pub fn render(&self, styled: bool) -> String {
        let places = self.places.iter().map(|problems| problems.render(styled));
        let others = self.others.iter().map(|error| format!("error: {error}\n"));
        places.chain(others).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for SettingsError {}

/// The settings that `sources` say, and warnings: a flag wins over a variable, a variable over the file, the file over
/// the default. Lists replace one another.
///
/// # Errors
///
/// Everything that is wrong, in whichever source, if one thing is an error.
pub fn read(sources: &Sources<'_>) -> Result<(Settings, Vec<String>), SettingsError> {
    let mut draft = Draft::default();
    let mut wrong = SettingsError {
        places: Vec::new(),
        others: Vec::new(),
    };
    let mut warnings = Vec::new();
    let mut note = |read: Result<((), Problems), Problems>| match read {
        Ok(((), problems)) if problems.is_empty() => {}
        Ok(((), problems)) => warnings.push(problems.to_string()),
        Err(problems) => wrong.places.push(problems),
    };
    if let Some(source) = &sources.file {
        note(file::read(source.name, source.text, |root| {
            let help = format!("set the variable {ADMIN_TOKEN}");
            root.forbid("admin_token", "a token does not stand in a file", "a secret", &help);
            draft.read(&Said::file(root, source.folder));
        }));
    }
    let variables: Vec<_> = ROWS
        .iter()
        .filter_map(|row| variable(sources.environment, row))
        .collect();
    if !variables.is_empty() {
        let text = as_table(&variables);
        note(file::read("the environment", &text, |root| {
            draft.read(&Said::flat(root, Spelling::Variable));
        }));
    }
    let flags: Vec<_> = ROWS.iter().filter_map(|row| flag(sources.flags, row)).collect();
    if !flags.is_empty() {
        let text = as_table(&flags);
        note(file::read("the command line", &text, |root| {
            draft.read(&Said::flat(root, Spelling::Flag));
        }));
    }
    warnings.extend(mistyped(sources.environment));
    let token = sources.environment.iter().find(|(name, _)| name == ADMIN_TOKEN);
    draft.settings.admin_token = token.map(|(_, token)| Token(token.clone()));
    let settings = draft.finish(&mut wrong.others);
    if wrong.places.is_empty() && wrong.others.is_empty() {
        Ok((settings, warnings))
    } else {
        Err(wrong)
    }
}

/// Settings while their sources are read.
#[derive(Default)]
struct Draft {
    settings: Settings,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Draft {
    /// Takes over whatever `said` says.
    fn read(&mut self, said: &Said<'_, '_>) {
        let Draft { settings, cert, key } = self;
        let file = |value: &Value<'_>| path(value).map(|path| Some(said.path(&path)));
        let policy = |value: &Value<'_>| path(value).map(|text| Some(said.policy(text)));
        said.set(&table::POLICY, policy, &mut settings.policy);
        said.set_list(&table::LISTEN, address, &mut settings.listen);
        said.set(&table::ADMIN, address, &mut settings.admin);
        let threads = |value: &Value<'_>| kind::integer(1_u16, 1_024)(value).map(NonZeroU16::new);
        said.set(&table::THREADS, threads, &mut settings.threads);
        said.set_list(&table::TRUSTED_PROXIES, cidr, &mut settings.trusted_proxies);
        let seed = |value: &Value<'_>| kind::integer(0_u64, u64::MAX)(value).map(Some);
        said.set(&table::SEED, seed, &mut settings.seed);
        said.set(&table::ESTIMATE, kind::one_of(&ESTIMATORS, &[]), &mut settings.estimate);
        said.set(&table::TIME_SCALE, scale, &mut settings.time_scale);
        said.set(&table::MOCK_DICE, kind::boolean, &mut settings.mock_dice);
        said.set(&table::TLS_CERT, file, cert);
        said.set(&table::TLS_KEY, file, key);

        let limits = &mut settings.limits;
        said.set(&table::MAX_BODY, size(1, MOST_BODY), &mut limits.max_body);
        said.set(&table::MAX_BUFFERED, size(1, u64::MAX), &mut limits.max_buffered);
        said.set(&table::MAX_CONNECTIONS, count, &mut limits.max_connections);
        said.set(&table::MAX_HEADERS, headers, &mut limits.max_headers);
        said.set(&table::MAX_HEADER_BYTES, header_bytes, &mut limits.max_header_bytes);
        said.set(&table::HEADER_TIMEOUT, kind::length, &mut limits.header_timeout);
        said.set(&table::BODY_TIMEOUT, kind::length, &mut limits.body_timeout);
        said.set(&table::IDLE_TIMEOUT, kind::length, &mut limits.idle_timeout);
        said.set(&table::WRITE_TIMEOUT, kind::length, &mut limits.write_timeout);

        let upstream = &mut settings.upstream;
        said.set(&table::UPSTREAM_MAX_CONNECTIONS, count, &mut upstream.max_connections);
        said.set(&table::UPSTREAM_IDLE, kind::length, &mut upstream.idle);
        said.set(&table::UPSTREAM_MAX_AGE, kind::length_or_none, &mut upstream.max_age);
        said.set(&table::UPSTREAM_CA_FILE, file, &mut upstream.ca_file);
        said.set(&table::UPSTREAM_HTTP2, kind::boolean, &mut upstream.http2);

        let known = &mut upstream.http2_prior_knowledge;
        said.set_list(&table::UPSTREAM_PRIOR_KNOWLEDGE, authority, known);

        let access = |value: &Value<'_>| path(value).map(|text| said.access(&text));
        said.set(&table::DRAIN_DELAY, kind::duration, &mut settings.drain.delay);
        said.set(&table::DRAIN_DEADLINE, kind::duration, &mut settings.drain.deadline);
        said.set(&table::LOG_ACCESS, access, &mut settings.log.access);
        said.set(&table::LOG_LEVEL, kind::one_of(&LEVELS, &[]), &mut settings.log.level);
        said.set(
            &table::LOG_FORMAT,
            kind::one_of(&FORMATS, &[]),
            &mut settings.log.format,
        );
    }

    /// What goes together, once every source has been read.
    fn finish(mut self, wrong: &mut Vec<String>) -> Settings {
        let mut error = |what: String, help: &str| wrong.push(format!("{what}\n  = help: {help}"));
        match (self.cert, self.key) {
            (Some(cert), Some(key)) => self.settings.tls = Some(Tls { cert, key }),
            (None, None) => {}
            (Some(_), None) => error(
                "`tls.cert` is set, but no `tls.key`".into(),
                "name the file with its private key",
            ),
            (None, Some(_)) => error(
                "`tls.key` is set, but no `tls.cert`".into(),
                "name the file with the certificate chain",
            ),
        }
        let settings = self.settings;
        if settings.listen.is_empty() {
            error(
                "`listen` is empty, so nobody could be served".into(),
                "listen = [\"127.0.0.1:8080\"]",
            );
        }
        let token = settings.admin_token.as_ref().map_or("", |token| token.0.as_str());
        let is_sendable = token.bytes().all(|byte| byte.is_ascii_graphic());
        if settings.admin_token.is_some() && (token.len() < LEAST_TOKEN || !is_sendable) {
            error(
                format!(
                    "{ADMIN_TOKEN} is no token: it needs at least {LEAST_TOKEN} printable characters without blanks"
                ),
                "`openssl rand -hex 32` prints a good one",
            );
        } else if settings.admin_token.is_none() && !settings.admin.ip().is_loopback() {
            error(
                format!(
                    "`admin` is {}, which others can reach, and {ADMIN_TOKEN} is not set",
                    settings.admin
                ),
                "set it, or let `admin` be a loopback address",
            );
        }
        if let Some(same) = settings
            .listen
            .iter()
            .find(|listen| **listen == settings.admin && listen.port() != 0)
        {
            error(
                format!("`listen` and `admin` are both {same}"),
                "give `admin` another port",
            );
        }
        let limits = &settings.limits;
        if limits.max_buffered < limits.max_body {
            error(
                format!(
                    "`limits.max_buffered`, {} bytes, is less than one body may have, {}",
                    limits.max_buffered, limits.max_body
                ),
                "a larger `max_buffered`, or a smaller `max_body`",
            );
        }
        settings
    }
}

/// A token of fewer characters could be guessed.
const LEAST_TOKEN: usize = 16;

//! Settings from three sources: who wins, what is said of mistakes, and the page about them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tollgate_core::time::Nanos;
use tollgate_proxy::settings::{
    AccessLog, Format, Level, ROWS, Settings, SettingsError, SettingsFile, Sources, page, read,
};

fn owned<'n>(pairs: &[(&'n str, &str)]) -> Vec<(&'n str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn from(text: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Settings, SettingsError> {
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sources = Sources {
        file: Some(SettingsFile {
            name: "tollgate.toml",
            text,
            folder: Path::new("etc"),
        }),
        environment: &environment,
        flags: &owned(flags),
    };
    read(&sources).map(|(settings, warnings)| {
        assert!(warnings.is_empty(), "{warnings:?}");
        settings
    })
}

/// For every setting a value that is not its default.
const OTHERS: [(&str, &str); 32] = [
    ("POLICY", "a/b.toml"),
    ("--listen", "127.0.0.1:1,[::1]:2"),
    ("--admin", "127.0.0.2:3"),
    ("--threads", "3"),
    ("--trusted-proxies", "10.0.0.0/8,fd00::1"),
    ("--seed", "18446744073709551615"),
    ("--estimate", "tokenizer"),
    ("--time-scale", "2.5"),
    ("--mock-dice", "true"),
    ("--tls-cert", "cert.pem"),
    ("--tls-key", "key.pem"),
    ("--limits-max-body", "1MiB"),
    ("--limits-max-buffered", "67108864"),
    ("--limits-max-connections", "7"),
    ("--limits-max-headers", "8"),
    ("--limits-max-header-bytes", "9KiB"),
    ("--limits-header-timeout", "1s"),
    ("--limits-body-timeout", "2s"),
    ("--limits-idle-timeout", "3s"),
    ("--limits-write-timeout", "6s"),
    ("--upstream-max-connections", "4"),
    ("--upstream-idle", "5s"),
    ("--upstream-max-age", "none"),
    ("--upstream-ca-file", "ca.pem"),
    ("--upstream-http2", "false"),
    ("--upstream-http2-prior-knowledge", "a:1,b.c:2"),
    ("--drain-delay", "0s"),
    ("--drain-deadline", "8s"),
    ("--log-access", "access.jsonl"),
    ("--log-level", "debug"),
    ("--log-format", "json"),
    // Said twice: the last one counts.
    ("--log-format", "json"),
];

#[test]
fn three_ways_mean_the_same() {
    let flags = from("", &[], &OTHERS).expect("all is well");
    let row = |flag: &str| {
        let row = ROWS.iter().find(|row| row.flag == flag);
        row.unwrap_or_else(|| panic!("no setting has the flag {flag}"))
    };
    let variables: Vec<_> = OTHERS
        .iter()
        .map(|(flag, value)| (row(flag).variable, *value))
        .collect();
    assert_eq!(from("", &variables, &[]).expect("all is well"), flags);

    let mut text = String::new();
    let mut table = "";
    for (flag, value) in &OTHERS[..OTHERS.len() - 1] {
        let row = row(flag);
        if row.table != table {
            table = row.table;
            writeln!(text, "[{table}]").expect("a string takes everything");
        }
        let is_bare = value.parse::<f64>().is_ok() || *value == "true" || *value == "false";
        // A file has paths of its own.
        let value = if row.value == "FILE" || row.value == "POLICY" {
            format!("../{value}")
        } else {
            (*value).to_owned()
        };
        let value = match (row.is_list(), is_bare) {
            (true, _) => format!("{:?}", value.split(',').collect::<Vec<_>>()),
            (false, true) => value,
            (false, false) => format!("{value:?}"),
        };
        writeln!(text, "{} = {value}", row.key).expect("a string takes everything");
    }
    let mut file = from(&text, &[], &[]).expect("all is well");
    assert_eq!(file.policy.as_deref(), Some("etc/../a/b.toml"));
    assert_eq!(file.log.access, AccessLog::File(PathBuf::from("etc/../access.jsonl")));
    file.policy.clone_from(&flags.policy);
    file.tls.clone_from(&flags.tls);
    file.upstream.ca_file.clone_from(&flags.upstream.ca_file);
    file.log.access.clone_from(&flags.log.access);
    assert_eq!(file, flags);

    let said = |flag: &str| OTHERS.iter().any(|(said, _)| *said == flag);
    assert!(ROWS.iter().all(|row| said(row.flag)), "a setting is not in this test");
    let plain = Settings::default();
    assert_ne!(flags.limits, plain.limits);
    assert_eq!(flags.upstream.max_age, Nanos::FOREVER);
    assert_eq!(flags.listen[1], SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 2)));
}

#[test]
fn flags_win_over_variables_over_the_file() {
    assert_eq!(from("", &[], &[]).expect("all is well"), Settings::default());
    let text = "seed = 1\nthreads = 1\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n[log]\nlevel = \"error\"\n";
    let file = from(text, &[], &[]).expect("all is well");
    assert_eq!(
        (file.seed, file.log.level, file.listen.len()),
        (Some(1), Level::Error, 2)
    );
    let variables = [
        ("TOLLGATE_SEED", "2"),
        ("TOLLGATE_LISTEN", "localhost:3"),
        ("PATH", "/bin"),
    ];
    let over = from(text, &variables, &[]).expect("all is well");
    assert_eq!(over.seed, Some(2));
    assert_eq!(over.listen, [SocketAddr::from(([127, 0, 0, 1], 3))]);
    assert_eq!(over.log.level, Level::Error);
    let flags = [("--seed", "3"), ("--log-format", "json")];
    let over = from(text, &variables, &flags).expect("all is well");
    assert_eq!((over.seed, over.log.format), (Some(3), Format::Json));
    assert_eq!(over.threads.map(u16::from), Some(1));
}

/// Each file beside this one is a wrong one; what is said of it stands beside it.
#[test]
fn mistakes_in_files_are_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings_errors");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let told = from(&text, &[], &[]).expect_err("it is wrong").to_string();
        check(&path.with_extension("txt"), &told);
    }
    assert!(0 < seen);
}

#[test]
fn everything_is_said_at_once() {
    let text = "listn = [\"127.0.0.1:1\"]\n[limits]\nmax_body = \"2 MB\"\nheader_timeout = 10\n";
    let variables = [
        ("TOLLGATE_ADMIN", "0.0.0.0"),
        ("TOLLGATE_LIMITS_MAX_CONNECTIONS", "many"),
        ("TOLLGATE_UPSTREAM_HTTP2", "yes"),
    ];
    let flags = [
        ("--threads", "0"),
        ("--trusted-proxies", "10.0.0.0/8,10.0.0.0/33"),
        ("--log-level", "inof"),
        ("--tls-cert", "cert.pem"),
        ("--limits-max-buffered", "1"),
    ];
    let told = from(text, &variables, &flags).expect_err("it is wrong").to_string();
    check(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings_errors/three-sources.txt"),
        &told,
    );
}

#[test]
fn what_others_can_reach_needs_a_token() {
    let told = from("admin = \"0.0.0.0:9901\"", &[], &[])
        .expect_err("no token")
        .to_string();
    assert!(
        told.contains("`admin` is 0.0.0.0:9901, which others can reach"),
        "{told}"
    );
    let token = "0123456789abcdef";
    let settings = from("admin = \"0.0.0.0:9901\"", &[("TOLLGATE_ADMIN_TOKEN", token)], &[]);
    assert!(settings.expect("all is well").admin_token.is_some());
    for short in ["", "short", "a long one with blanks in it"] {
        let told = from("", &[("TOLLGATE_ADMIN_TOKEN", short)], &[])
            .expect_err("no token")
            .to_string();
        assert!(told.contains("TOLLGATE_ADMIN_TOKEN is no token"), "{told}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let secret = "0123456789abcdef-secret";
    let settings = from("", &[("TOLLGATE_ADMIN_TOKEN", secret)], &[]).expect("all is well");
    assert!(!format!("{settings:?}").contains(secret));
    let told = from(&format!("admin_token = \"{secret}\""), &[], &[])
        .expect_err("a secret")
        .to_string();
    assert!(
        !told.contains(secret) && told.contains("TOLLGATE_ADMIN_TOKEN"),
        "{told}"
    );
}

/// Kubernetes sets variables that look like ours; those that are nearly ours are warned of.
#[test]
fn other_variables_are_left_alone() {
    let environment = [
        ("TOLLGATE_PORT", "tcp://10.0.0.1:80"),
        ("TOLLGATE_SERVICE_HOST", "10.0.0.1"),
        ("TOLLGATE_LISTENS", "127.0.0.1:1"),
    ];
    let environment: Vec<_> = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let sources = Sources {
        environment: &environment,
        ..Sources::default()
    };
    let (settings, warnings) = read(&sources).expect("all is well");
    assert_eq!(settings, Settings::default());
    assert_eq!(
        warnings,
        ["warning: the variable TOLLGATE_LISTENS is no setting\n  = help: did you mean TOLLGATE_LISTEN?"]
    );
}

#[test]
fn prefixes_hold_what_begins_so() {
    let settings = from(
        "trusted_proxies = [\"10.0.0.0/8\", \"192.168.1.7\", \"::/0\"]",
        &[],
        &[],
    );
    let cidrs = settings.expect("all is well").trusted_proxies;
    let holds = |address: &str| {
        let address = address.parse().expect("an address");
        cidrs.iter().map(|cidr| cidr.holds(address)).collect::<Vec<_>>()
    };
    assert_eq!(holds("10.255.0.1"), [true, false, false]);
    assert_eq!(holds("::ffff:10.0.0.1"), [true, false, false]);
    assert_eq!(holds("192.168.1.7"), [false, true, false]);
    assert_eq!(holds("192.168.1.8"), [false, false, false]);
    assert_eq!(holds("fe80::1"), [false, false, true]);
}

#[test]
fn the_page_is_the_table() {
    check(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md"),
        &page(),
    );
}

/// Compares with what is recorded; `REWRITE=1` records.
#[track_caller]
fn check(path: &Path, found: &str) {
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, found).expect("it can be written");
    }
    let recorded = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(recorded, found, "{}: REWRITE=1 records it anew", path.display());
}

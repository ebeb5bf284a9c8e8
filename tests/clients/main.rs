//! Programs written for OpenAI, with nothing changed but base URL and key: the official clients for Python and Node.
//!
//! They need what Rust does not bring. `.ci/run` installs it and names the folder in `TOLLGATE_CLIENTS`.
#![cfg(unix)]

#[path = "../skip/mod.rs"]
mod skip;

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use self::skip::skip;

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

#[test]
fn the_python_client_is_content() {
    let Some(clients) = clients() else { return };
    let gateway = Gateway::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/openai_python.py");
    gateway.satisfies(&clients.join("python/bin/python"), &script);
}

#[test]
fn the_node_client_is_content() {
    let Some(clients) = clients() else { return };
    let gateway = Gateway::start();
    // Modules are looked for beside the script.
    let script = clients.join("node/openai_node.mjs");
    std::fs::write(&script, include_str!("openai_node.mjs")).expect("a folder to write to");
    gateway.satisfies(Path::new("node"), &script);
}

/// Where the clients are.
fn clients() -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_CLIENTS").map(PathBuf::from);
    if folder.is_none() {
        skip("needs the clients of OpenAI, which .ci/run installs");
    }
    folder
}

/// A gateway over backends, one of which does what it should.
struct Gateway {
    address: String,
    key: String,
    _place: TempDir,
    _mock: Running,
    _serve: Running,
}

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

const SCENARIO: &str = r#"name = "clients"
description = "What do clients see?"

[run]
duration = "1h"
warmup = "0s"

[workload]
arrivals = { process = "poisson", rate = 1.0 }
output_tokens = { distribution = "constant", value = 10 }

BACKENDS

[[strategy]]
name = "plain"
policy = "plain.toml"
"#;

const BACKEND: &str = r#"[[backend]]
name = "NAME"
kind = "api"
ttft = { distribution = "constant", value = "5ms" }
tpot = { distribution = "constant", value = "1ms" }
"#;

const FAULT: &str = r#"[[fault]]
backend = "NAME"
at = "0s"
for = "1h"
"#;

/// Each backend, and what is wrong with it.
const BACKENDS: [(&str, &str); 4] = [
    ("demo", ""),
    ("broken", "kind = \"outage\"\nstatus = 500\n"),
    ("overloaded", "kind = \"outage\"\nstatus = 503\n"),
    ("truncated", "kind = \"truncate\"\nshare = 1.0\n"),
];

const LIMITS: &str = r#"
[[limit]]
name = "everybody"
unit = "requests"
per = ["tenant"]
quota = { amount = 10_000, period = "1m" }

[[limit]]
name = "hardly-any"
unit = "requests"
per = ["tenant"]
when = { model = "limited" }
quota = { amount = 1, period = "1m" }

[[route]]
name = "limited"
match = { model = "limited" }
pools = ["demo"]
"#;

impl Gateway {
    fn start() -> Gateway {
        let place = tempfile::tempdir().expect("a temporary directory");
        let at = place.path();
        let backends: String = BACKENDS.iter().map(|(name, fault)| backend(name, fault)).collect();
        std::fs::write(at.join("clients.toml"), SCENARIO.replace("BACKENDS", &backends)).expect("a file");
        std::fs::write(at.join("plain.toml"), policy(|_| String::new())).expect("a file");

        let (mock, mut said) = start(at, &["mock", "clients.toml", "--listen", "127.0.0.1:0"], Stream::Out);
        let table: Vec<String> = said.by_ref().take_while(|line| !line.is_empty()).collect();
        let url = |name: &str| {
            let row = table
                .iter()
                .find(|row| row.starts_with(name))
                .expect("each backend has a row");
            let url = row.split_whitespace().next_back().expect("it ends with a URL");
            format!("  url = \"{url}\"\n")
        };
        let (key, entry) = key(at);
        std::fs::write(at.join("policy.toml"), policy(url) + LIMITS + &entry).expect("a file");

        let serve = [
            "serve",
            "policy.toml",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        let (serve, mut said) = start(at, &serve, Stream::Err);
        let listens = |line: &String| line.split_once("listen=").map(|(_, rest)| rest.to_owned());
        let address = said.find_map(|line| listens(&line)).expect("it says where it listens");
        let address = address.split(' ').next().expect("at least one").to_owned();
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || said.for_each(drop));
        Gateway {
            address,
            key,
            _place: place,
            _mock: mock,
            _serve: serve,
        }
    }

    fn satisfies(&self, program: &Path, script: &Path) {
        let url = format!("http://{}/v1", self.address);
        let output = Command::new(program)
            .arg(script)
            .args([&url, &self.key])
            .output()
            .expect("the client starts");
        let (said, complained) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{said}{complained}");
        assert!(said.lines().all(|line| line.starts_with("ok: ")), "{said}");
        assert!(10 < said.lines().count(), "{said}");
    }
}

fn backend(name: &str, fault: &str) -> String {
    let mut text = BACKEND.replace("NAME", name);
    if !fault.is_empty() {
        text += &(FAULT.replace("NAME", name) + fault);
    }
    text
}

/// A route and a pool for each backend, by its name.
fn policy(url: impl Fn(&str) -> String) -> String {
    let part = |(name, _): &(&str, &str)| {
        let url = url(name);
        format!(
            "[[pool]]\nname = \"{name}\"\n  [[pool.endpoint]]\n  name = \"{name}\"\n{url}\n\
             [[route]]\nname = \"{name}\"\nmatch = {{ model = \"{name}\" }}\npools = [\"{name}\"]\n\
             retry = {{ max_attempts = 1 }}\n"
        )
    };
    BACKENDS.iter().map(part).collect()
}

/// A key, and its entry of a policy.
fn key(at: &Path) -> (String, String) {
    let output = Command::new(TOLLGATE)
        .args(["key", "new", "--tenant", "acme"])
        .current_dir(at)
        .output();
    let output = output.expect("the command starts");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("it is text");
    let (key, entry) = said.split_once('\n').expect("a key, and its entry");
    (key.to_owned(), entry.to_owned())
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// Starts a process, and reads one of its streams line by line.
fn start(at: &Path, args: &[&str], stream: Stream) -> (Running, impl Iterator<Item = String> + Send + use<>) {
    let mut command = Command::new(TOLLGATE);
    command.args(args).current_dir(at).stdin(Stdio::null());
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Err => command.stderr(Stdio::piped()).stdout(Stdio::null()),
    };
    let mut child = command.spawn().expect("the command starts");
    let said: Box<dyn Read + Send> = match stream {
        Stream::Out => Box::new(child.stdout.take().expect("it is piped")),
        Stream::Err => Box::new(child.stderr.take().expect("it is piped")),
    };
    let lines = BufReader::new(said).lines().map_while(Result::ok);
    (Running(child), lines)
}

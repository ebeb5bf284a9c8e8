//! `serve` and `key new`: started, asked, told to end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, Run};

/// Nothing here takes this long, unless it hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// The command as it runs.
struct Running {
    child: Option<Child>,
    lines: BufReader<ChildStderr>,
    listen: String,
    admin: String,
    told: String,
}

impl Running {
    fn start(place: &Place, args: &[&str]) -> Running {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        Running::of(place.command(&[&ports, args].concat()))
    }

    fn of(mut command: Command) -> Running {
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut running = Running {
            child: Some(child),
            lines,
            listen: String::new(),
            admin: String::new(),
            told: String::new(),
        };
        let line = running.wait_for("info: serving");
        let field = |name: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(name));
            value.expect("it says where").trim().to_owned()
        };
        running.listen = field("listen=");
        running.admin = field("admin=");
        running
    }

    /// The line that contains `text`, once it is told.
    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let len = self.lines.read_line(&mut line).expect("text");
            self.told.push_str(&line);
            assert!(0 < len, "`{text}` is not told: {}", self.told);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The status of the process, of which nothing may be left in hand.
    fn status(&self) -> Value {
        let answer = get(&self.admin, "/status");
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
    }

    fn chat(&self, stream: bool) -> String {
        converse(&self.listen, &question(stream, 3))
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Waits for the end, and what was told until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("text");
        self.told.push_str(&rest);
        let mut child = self.child.take().expect("it runs");
        let status = child.wait().expect("it ends");
        (status.code(), std::mem::take(&mut self.told))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // A test that failed leaves nothing behind.
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }
}

fn converse(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(LONGEST)).expect("a timeout that is not 0");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn get(address: &str, path: &str) -> String {
    converse(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
}

fn question(stream: bool, tokens: u32) -> String {
    let body = format!(
        "{{\"model\": \"gpt-4o-mini\", \"stream\": {stream}, \"messages\": [{{\"role\": \"user\", \"content\": \"secret \
         prompt\"}}]}}"
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         authorization: Bearer sk-secret-key\r\nx-mock-output-tokens: {tokens}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn without_a_policy_it_answers_by_itself() {
    let place = Place::empty();
    let mut running = Running::start(&place, &["--time-scale", "100", "--drain-delay", "0s"]);
    running.wait_for("OPENAI_BASE_URL");
    assert!(
        running
            .told
            .contains(&format!("curl http://{}/v1/chat/completions", running.listen))
    );
    let whole = running.chat(false);
    assert!(
        whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.contains("\"usage\""),
        "{whole}"
    );
    let stream = running.chat(true);
    assert!(
        stream.contains("text/event-stream") && stream.contains("data: [DONE]"),
        "{stream}"
    );
    assert!(get(&running.listen, "/v1/models").contains("gpt-4o-mini"));
    assert!(get(&running.listen, "/readyz").starts_with("HTTP/1.1 200 "));
    let status = running.status();
    for name in ["in_flight", "permits", "reservations", "queue"] {
        assert_eq!(status[name], 0, "{name}");
    }
    assert_eq!(status["routes"][0]["completed"], 2);
    running.signal("-TERM");
    let (code, told) = running.end();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("draining") && told.contains("drained cut=0"), "{told}");
    assert_eq!(place.files(""), Vec::<String>::new());
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::empty();
    let mut running = Running::start(&place, &["--drain-delay", "0s"]);
    let mut stream = TcpStream::connect(&running.listen).expect("somebody listens");
    // It takes minutes to say so much.
    stream
        .write_all(question(true, 10_000).as_bytes())
        .expect("it is taken");
    let mut first = [0; 64];
    stream.read_exact(&mut first).expect("it begins to answer");
    running.signal("-INT");
    running.wait_for("draining");
    let asked = Instant::now();
    running.signal("-TERM");
    let (code, told) = running.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("error: 1 request was cut off"), "{told}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn a_deadline_cuts_what_takes_longer() {
    let place = Place::empty();
    let running = Running::start(&place, &["--drain-delay", "0s", "--drain-deadline", "300ms"]);
    let mut stream = TcpStream::connect(&running.listen).expect("somebody listens");
    stream
        .write_all(question(true, 10_000).as_bytes())
        .expect("it is taken");
    let mut first = [0; 64];
    stream.read_exact(&mut first).expect("it begins to answer");
    running.signal("-TERM");
    let (code, told) = running.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("requests are cut off cut=1"), "{told}");
}

#[test]
fn a_log_is_moved_and_replayed() {
    let place = Place::new();
    let running = Running::start(
        &place,
        &[
            "--time-scale",
            "100",
            "--drain-delay",
            "0s",
            "--log-access",
            "access.jsonl",
        ],
    );
    assert!(running.chat(false).contains(" 200 OK"));
    let began = Instant::now();
    while !place.exists("access.jsonl") || place.read("access.jsonl").is_empty() {
        assert!(began.elapsed() < LONGEST, "no line is written");
    }
    fs::rename(place.path("access.jsonl"), place.path("old.jsonl")).expect("it can be moved");
    running.signal("-HUP");
    while !place.exists("access.jsonl") {
        assert!(began.elapsed() < LONGEST, "no new file");
    }
    assert!(running.chat(true).contains("[DONE]"));
    running.signal("-TERM");
    let (code, told) = running.end();
    assert_eq!(code, Some(0), "{told}");
    let (old, new) = (place.read("old.jsonl"), place.read("access.jsonl"));
    assert_eq!((old.lines().count(), new.lines().count()), (1, 1), "{old}{new}");
    for text in [&old, &new, &told] {
        assert!(
            !text.contains("sk-secret-key") && !text.contains("secret prompt"),
            "{text}"
        );
    }
    place.write("both.jsonl", format!("{old}{new}"));
    let described = place.run(&["trace", "describe", "both.jsonl", "--json"]).good();
    let described: Value = serde_json::from_str(&described.stdout).expect("JSON");
    assert_eq!(described["calls"], 2);
    assert_eq!(described["output"]["max"], 3);
    place
        .run(&["simulate", "small.toml", "--trace", "both.jsonl", "--out", "out"])
        .good();
    place
        .run(&["trace", "import", "both.jsonl", "--format", "access-log"])
        .good();
    assert!(place.read("both.tollgate.csv").starts_with("time,prompt,output,"));
}

#[test]
fn what_is_wrong_is_said_before_anything_begins() {
    let place = Place::new();
    let policy = "policies/plain.toml";
    place
        .run(&["serve", policy])
        .bad(2, &["endpoint `alpha` has no `url`", "policies/plain.toml:6:10"]);
    place
        .run(&["serve", "plian.toml", "--threads", "many"])
        .bad(2, &["`--threads`: expected an integer"]);
    place
        .run(&["serve", "p2c-braker"])
        .bad(2, &["did you mean `p2c-breaker`?"]);
    place.write("tollgate.toml", "listn = []\n[log]\nlevel = 3\n");
    place.run(&["serve", "--admin", "0.0.0.0:0"]).bad(
        2,
        &[
            "did you mean `listen`?",
            "tollgate.toml:3:9",
            "TOLLGATE_ADMIN_TOKEN is not set",
        ],
    );
    fs::remove_file(place.path("tollgate.toml")).expect("it is there");
    place
        .run(&["serve", "--config", "none.toml"])
        .bad(2, &["`none.toml` cannot be read"]);
    place
        .run(&["serve", "--log-access", "no/such/folder/log", "--listen", "127.0.0.1:0"])
        .bad(2, &["the access log cannot be written"]);
    place.write("cert.pem", "no certificate\n");
    place
        .run(&[
            "serve",
            "--tls-cert",
            "cert.pem",
            "--tls-key",
            "cert.pem",
            "--listen",
            "127.0.0.1:0",
        ])
        .bad(2, &["`cert.pem` is of no use for TLS"]);
    let text = crate::place::POLICY.replace(
        "name = \"alpha\"",
        "name = \"alpha\"\n  url = \"http://127.0.0.1:1/v1\"\n  api_key_env = [\"NO_SUCH_KEY\"]",
    );
    place.write("keyed.toml", text);
    place
        .run(&["serve", "keyed.toml", "--listen", "127.0.0.1:0"])
        .bad(2, &["NO_SUCH_KEY is not set", "endpoint `alpha` needs it"]);
}

#[test]
fn a_port_in_use_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let place = Place::empty();
    let parts = ["another process listens there", address.as_str(), "--listen"];
    place
        .run(&["serve", "--listen", &address, "--admin", "127.0.0.1:0"])
        .bad(1, &parts);
    let parts = ["another process listens there", address.as_str(), "--admin"];
    place
        .run(&["serve", "--admin", &address, "--listen", "127.0.0.1:0"])
        .bad(1, &parts);
}

#[test]
fn the_environment_and_a_file_are_read() {
    let place = Place::empty();
    place.write(
        "etc/tollgate.toml",
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\naccess = \"log\"\n",
    );
    let mut command = place.command(&["serve", "--drain-delay", "0s"]);
    command
        .env("TOLLGATE_CONFIG", "etc/tollgate.toml")
        .env("TOLLGATE_LOG_FORMAT", "text")
        .env("TOLLGATE_TIME_SCALES", "2");
    let running = Running::of(command);
    assert!(
        running.told.contains("did you mean TOLLGATE_TIME_SCALE?"),
        "{}",
        running.told
    );
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(0));
    // Paths are relative to the file that names them.
    assert_eq!(place.files(""), ["etc/log", "etc/tollgate.toml"]);
}

/// A key opens what its entry is put into, and another does not.
#[test]
fn a_new_key_opens_the_door() {
    let place = Place::empty();
    let made = place
        .run(&[
            "key",
            "new",
            "--tenant",
            "acme \"west\"",
            "--role",
            "batch",
            "--priority",
            "high",
        ])
        .good();
    let (key, entry) = made.stdout.split_once("\n\n").expect("a key and an entry");
    assert!(key.len() == 3 + 64 && key.starts_with("tg-"), "{key}");
    assert!(
        entry.contains("name = \"acme \\\"west\\\"\"") && entry.contains("role = \"batch\""),
        "{entry}"
    );
    assert!(!entry.contains(key) && !made.stderr.contains(key));
    let other = place.run(&["key", "new", "--tenant", "b"]).good();
    assert_ne!(other.stdout.lines().next(), Some(key));
    let policy = crate::place::POLICY.replace(
        "name = \"alpha\"",
        "name = \"alpha\"\n  url = \"http://127.0.0.1:1/v1\"",
    );
    place.write("policy.toml", format!("{policy}\n{entry}"));
    place.run(&["check", "policy.toml"]).good();
    let running = Running::start(&place, &["policy.toml", "--drain-delay", "0s"]);
    let models = |key: &str| {
        let request =
            format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n");
        converse(&running.listen, &request)
    };
    assert!(models(key).starts_with("HTTP/1.1 200 "));
    assert!(models("tg-0").starts_with("HTTP/1.1 401 "));
    place
        .run(&["key", "new", "--tenant", ""])
        .bad(2, &["expected a name that is not empty"]);
    place
        .run(&["key", "new", "--tenant", "a", "--priority", "urgent"])
        .bad(2, &["expected one of \"low\", \"normal\", \"high\""]);
}

#[test]
fn output_is_a_log_if_asked() {
    let place = Place::empty();
    let mut command = place.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--log-access",
        "-",
    ]);
    command.args(["--time-scale", "100", "--drain-delay", "0s"]);
    let mut running = Running::of(command);
    assert!(running.chat(false).contains(" 200 OK"));
    running.signal("-TERM");
    let mut child = running.child.take().expect("it runs");
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut stdout)
        .expect("text");
    let run = Run::from(child.wait_with_output().expect("it ends"));
    assert_eq!(run.status, Some(0));
    let line: Value = serde_json::from_str(stdout.trim_end()).expect("one line of JSON");
    assert_eq!(line["end"], "completed");
}

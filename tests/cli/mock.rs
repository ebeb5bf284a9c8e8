//! `mock`: started, asked, ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};

use crate::place::{Place, Run};

/// The command as it runs, and where its backends are.
pub(crate) struct Running {
    child: Option<Child>,
    pub(crate) urls: Vec<(String, String)>,
    printed: String,
}

impl Running {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Running {
        let all = [&["mock", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = place.command(&all).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut printed = String::new();
        let mut urls = Vec::new();
        // It is ready once it has said how to order a fault.
        while !printed.contains("/mock/faults") {
            let line = lines.next().expect("it says where it is").expect("text");
            if let Some((name, url)) = line.split_once("  http://") {
                let address = url.strip_suffix("/v1").expect("a base URL");
                urls.push((name.trim().to_owned(), address.to_owned()));
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        Running {
            child: Some(child),
            urls,
            printed,
        }
    }

    /// The whole of an answer.
    pub(crate) fn ask(&self, backend: usize, method: &str, path: &str, more: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.urls[backend].1).expect("somebody listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn chat(&self, backend: usize, more: &str) -> String {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let more = format!("x-mock-output-tokens: 3\r\n{more}");
        self.ask(backend, "POST", "/v1/chat/completions", &more, body)
    }

    fn end(mut self, signal: &str) -> Run {
        let child = self.child.take().expect("it runs");
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
        Run::from(child.wait_with_output().expect("it ends"))
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

#[test]
fn two_providers_answer_without_a_file() {
    let place = Place::empty();
    let running = Running::start(&place, &["--time-scale", "1000"]);
    let names: Vec<&str> = running.urls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert!(
        running.printed.contains("\ncurl http://127.0.0.1:"),
        "{}",
        running.printed
    );
    for backend in [0, 1] {
        let answer = running.chat(backend, "");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"completion_tokens\":3"),
            "{answer}"
        );
    }
    let order = running.ask(0, "POST", "/mock/faults", "", r#"{"kind":"outage","status":500}"#);
    assert!(order.starts_with("HTTP/1.1 200 OK\r\n"), "{order}");
    assert!(running.chat(0, "").starts_with("HTTP/1.1 500 "));
    assert!(
        running.chat(1, "").starts_with("HTTP/1.1 200 "),
        "the other one is well"
    );
    let run = running.end("-INT").good();
    assert_eq!(run.stderr, "stopped by Ctrl-C\n");
    assert!(place.files("").is_empty());
}

#[test]
fn backends_of_a_scenario_meet_its_faults() {
    let place = Place::new();
    let fault = "\n[[fault]]\nbackend = \"alpha\"\nkind = \"outage\"\nstatus = 502\nat = \"0s\"\nfor = \"1m\"\n";
    place.write("small.toml", format!("{}{fault}", crate::place::SCENARIO));
    let running = Running::start(&place, &["small.toml", "--api-key", "sk-1", "--model", "m"]);
    assert_eq!(running.urls.len(), 1);
    assert!(!running.printed.contains("sk-1"), "a key is not printed");
    assert!(running.chat(0, "").starts_with("HTTP/1.1 401 "));
    let key = "authorization: Bearer sk-1\r\n";
    assert!(running.chat(0, key).starts_with("HTTP/1.1 502 "));
    let models = running.ask(0, "GET", "/v1/models", key, "");
    assert!(models.contains("\"data\":[{\"id\":\"m\""), "{models}");
    running.end("-TERM").good();
}

#[test]
fn the_same_seed_says_the_same() {
    let place = Place::empty();
    let said = |seed: &str| {
        let running = Running::start(&place, &["--time-scale", "1000", "--seed", seed]);
        let answer = running.chat(0, "");
        running.end("-TERM").good();
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let chat: serde_json::Value = serde_json::from_str(body).expect("JSON");
        (chat["id"].clone(), chat["choices"].clone())
    };
    let one = said("5");
    assert_eq!(one, said("5"));
    assert_ne!(one, said("6"));
}

#[test]
fn a_silent_backend_does_not_keep_it_from_ending() {
    let place = Place::empty();
    let running = Running::start(&place, &[]);
    running.ask(0, "POST", "/mock/faults", "", r#"{"kind":"black-hole"}"#);
    let mut waiting = TcpStream::connect(&running.urls[0].1).expect("somebody listens");
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: mock\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    waiting
        .write_all(format!("{head}{body}").as_bytes())
        .expect("it is taken");
    while !running.ask(0, "GET", "/mock/stats", "", "").contains("\"jobs\":1") {
        std::thread::yield_now();
    }
    running.end("-INT").good();
}

#[test]
fn what_is_wrong_is_told_before_anything_starts() {
    let place = Place::new();
    place
        .run(&["mock", "missing.toml"])
        .bad(2, &["there is no file `missing.toml`"]);
    place.write("broken.toml", "name = ");
    place.run(&["mock", "broken.toml"]).bad(2, &["broken.toml"]);
    place
        .run(&["mock", "--time-scale", "0"])
        .bad(2, &["`time_scale` must be between", "--time-scale 10"]);
    place.run(&["mock", "--listen", "nowhere"]).bad(2, &["--listen"]);
    place
        .run(&["mock", "--listen", "127.0.0.1:65535"])
        .bad(2, &["2 backends need the ports from 65535 to 65536"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    place
        .run(&["mock", "small.toml", "--listen", &address])
        .bad(1, &["cannot be listened on", "port 0 for any that is free"]);
}

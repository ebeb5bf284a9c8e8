//! The end of a process, brought about by a signal: alone in its binary, for signals reach all of it.
#![cfg(unix)]

mod process;

use std::io::ErrorKind;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tollgate_core::time::Nanos;
use tollgate_proxy::server::Ended;
use tollgate_proxy::settings::Drain;

use self::process::{Process, ask, converse, settings};

/// Clients ask without a pause while the process is told to end. Each of them is answered in full, or was not let in.
#[test]
fn sigterm_under_load_cuts_nobody() {
    const CLIENTS: usize = 24;
    let mut settings = settings();
    settings.drain = Drain {
        delay: Nanos::from_millis(300),
        deadline: Nanos::from_secs(60),
    };
    let (process, thread) = Process::start(settings);
    let answered = Arc::new(AtomicUsize::new(0));
    let has_closed = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (answered, has_closed) = (Arc::clone(&answered), Arc::clone(&has_closed));
            let address = process.address;
            std::thread::spawn(move || {
                let stream = number % 2 == 0;
                let mut last = None;
                loop {
                    match converse(address, stream) {
                        Ok((200, body)) if !stream || body.contains("data: [DONE]") => {
                            answered.fetch_add(1, Ordering::Relaxed);
                            last = Some(Instant::now());
                        }
                        Ok((status, body)) => panic!("{status}: {body}"),
                        // Nobody listens any more, and nobody was let in.
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                            has_closed.store(true, Ordering::Relaxed);
                            return last;
                        }
                        Err(error) => panic!("cut off: {error}"),
                    }
                }
            })
        })
        .collect();
    let began = Instant::now();
    while answered.load(Ordering::Relaxed) < CLIENTS {
        assert!(began.elapsed() < Duration::from_secs(60), "no answers");
        std::thread::yield_now();
    }
    let told = Instant::now();
    let own = std::process::id().to_string();
    let sent = Command::new("kill")
        .args(["-TERM", &own])
        .status()
        .expect("kill is there");
    assert!(sent.success());
    // Not ready at once, while clients are still let in.
    while ask(process.admin, "/readyz", "").0 == 200 {
        assert!(told.elapsed() < Duration::from_secs(30), "still ready");
    }
    let was_open = !has_closed.load(Ordering::Relaxed);
    assert!(was_open || Duration::from_millis(300) <= told.elapsed());
    let ended = thread.join().expect("no panic");
    assert_eq!(ended, Ended { cut: 0 });
    let lasts: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().expect("nobody is cut off"))
        .collect();
    let late = lasts.iter().flatten().filter(|last| told < **last).count();
    assert!(0 < late, "nobody was being answered while the process ended");
}

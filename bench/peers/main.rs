//! The gateway beside nginx, `HAProxy` and the least that a proxy of hyper can be: `bench/peers/run`.
//!
//! All stand in front of the same upstream, which runs here, and are loaded from here, in turn and in rounds. What is
//! compared is the CPU of a peer's own processes, the time that it adds to the same request without it, and the memory
//! that it holds. `docs/performance/proxy.md` has what came of it.

mod cases;
mod client;
mod measure;
mod pass;
mod peer;
mod table;
mod upstream;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum as _};

use crate::cases::Case;
use crate::measure::Bench;
use crate::peer::{Kind, Place};
use crate::upstream::Upstream;

/// Measures the gateway beside other proxies.
#[derive(Debug, Parser)]
#[command(name = "bench/peers/run")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures, and prints a table a case.
    Run {
        /// The command that serves as the gateway.
        #[arg(long)]
        tollgate: Option<PathBuf>,
        /// What is measured; all of it if nothing is named.
        #[arg(long = "case")]
        cases: Vec<Case>,
        /// Who is measured; everybody if nobody is named.
        #[arg(long = "peer")]
        peers: Vec<Kind>,
        /// How often each peer has its turn; the middle one counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// How long a turn is, in milliseconds.
        #[arg(long, default_value_t = 2_000)]
        turn_ms: u64,
        /// Half of what the gateway can do, in requests a second, for the case of that name.
        #[arg(long, default_value_t = 15_000)]
        half: u32,
    },
    /// Is the hyper pass-through from one address to another.
    Pass { listen: SocketAddr, upstream: SocketAddr },
}

fn main() -> io::Result<()> {
    match Arguments::parse().what {
        What::Pass { listen, upstream } => pass::pass(listen, upstream),
        What::Run {
            tollgate,
            cases,
            peers,
            rounds,
            turn_ms,
            half,
        } => {
            let dir = tempfile::tempdir()?;
            let bench = Bench {
                upstream: Upstream::start()?,
                place: Place {
                    dir: dir.path(),
                    tollgate: tollgate.as_deref(),
                },
                kinds: if peers.is_empty() { Kind::ALL.to_vec() } else { peers },
                rounds,
                length: Duration::from_millis(turn_ms),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let cases = if cases.is_empty() {
                Case::value_variants().to_vec()
            } else {
                cases
            };
            runtime.block_on(async {
                for case in cases {
                    bench.case(case, half).await?;
                }
                Ok(())
            })
        }
    }
}

/// Says something beside the tables.
fn say(what: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::request;
    use crate::client::Client;

    /// What is measured with is right: whoever only hands on answers every request, whole and in events.
    #[test]
    fn a_pass_through_answers_all() {
        let upstream = Upstream::start().expect("a free port");
        upstream.behave(Duration::ZERO, Duration::ZERO);
        let listen = peer::free_address().expect("a free port");
        let to = upstream.address;
        std::thread::spawn(move || pass::pass(listen, to));
        while std::net::TcpStream::connect(listen).is_err() {
            std::thread::yield_now();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            for stream in [false, true] {
                let mut client = Client::connect(listen, 4, &request(stream)).await.expect("it listens");
                let length = Duration::from_millis(50);
                let all = client.saturate(length).await.expect("no panic");
                assert!(all.errors == 0 && !all.whole.is_empty(), "{} errors", all.errors);
                let some = client.offer(200, length).await.expect("no panic");
                assert_eq!((some.errors, some.whole.len()), (0, 10));
            }
        });
    }
}

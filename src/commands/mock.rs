//! `tollgate mock`: modeled providers over HTTP, in real time.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_core::dice::Dice;
use tollgate_core::time::Nanos;
use tollgate_mock_llm::clock::{Clock, SystemClock};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::{ApiSpec, BackendSpec, Kind};
use tollgate_mock_llm::server::MockServer;
use tollgate_sim::scenario::incidents;

use super::files;
use crate::args::Mock;
use crate::error::Failure;
use crate::term;

/// What is served without a file: names, and the services that they are modeled after.
const BACKENDS: [(&str, &str); 2] = [("alpha", "gpt-4o-mini"), ("beta", "claude-3.5-haiku")];
/// The seed without a file.
const SEED: u64 = 7;
/// Most threads; backends are dealt to them in turn.
const MOST_THREADS: usize = 8;

/// Runs the command.
pub(crate) fn run(args: &Mock) -> Result<(), Failure> {
    let world = match &args.backends {
        Some(named) => World::read(named, args.seed)?,
        None => World::embedded(args.seed),
    };
    let clock = SystemClock::scaled(args.time_scale).map_err(|error| {
        Failure::wrong(format!(
            "{error}\n  = help: `--time-scale 10` lets ten seconds of the backends pass in one"
        ))
    })?;
    let listeners = bind(args.listen, world.backends.len())?;
    let signals = Signals::watch()?;
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let threads = start(&world, args, &clock, listeners)?;
    term::print(&threads.table(args))?;
    let name = signals.wait();
    threads.stop();
    term::tell(&format!("stopped by {name}"));
    Ok(())
}

/// Providers with which nothing goes wrong until it is ordered.
pub(super) fn embedded() -> Vec<BackendSpec> {
    let backend = |(name, profile)| {
        let api = ApiSpec::profile(profile).expect("a profile that is shipped");
        let api = ApiSpec {
            error_share: 0.0,
            hang_share: 0.0,
            ..api
        };
        BackendSpec::new(name, Kind::Api(api))
    };
    BACKENDS.map(backend).to_vec()
}

/// The backends, and what draws for them.
struct World {
    backends: Vec<BackendSpec>,
    dice: Dice,
    /// Lengths of answers, where a scenario says.
    output_tokens: Option<Distribution>,
}

impl World {
    fn embedded(seed: Option<u64>) -> World {
        World {
            backends: embedded(),
            dice: Dice::new(seed.unwrap_or(SEED)).branch(0),
            output_tokens: None,
        }
    }

    /// The backends of a scenario, with the faults of its first replication.
    fn read(named: &str, seed: Option<u64>) -> Result<World, Failure> {
        let source = files::find_scenario(named)?;
        let scenario = files::read_scenario(&source)?;
        let dice = Dice::new(seed.unwrap_or(scenario.seed)).branch(0);
        let until = tollgate_core::time::Instant::EPOCH + scenario.run.duration.unwrap_or(Nanos::ZERO);
        let faults = incidents(&scenario.faults, scenario.backends.len(), until, dice);
        let mut backends = scenario.backends;
        for (backend, faults) in backends.iter_mut().zip(faults) {
            backend.faults.extend(faults);
        }
        Ok(World {
            backends,
            dice,
            output_tokens: Some(scenario.workload.output_tokens),
        })
    }
}

/// A port for each backend, counting up from the first; port 0 is any that is free, for each.
fn bind(first: SocketAddr, count: usize) -> Result<Vec<TcpListener>, Failure> {
    let last = usize::from(first.port()) + count - 1;
    if usize::from(u16::MAX) < last {
        return Err(Failure::wrong(format!(
            "{count} backends need the ports from {} to {last}, and ports end at {}\n  = help: a lower port with --listen",
            first.port(),
            u16::MAX
        )));
    }
    let bind = |number: usize| {
        let mut address = first;
        if first.port() != 0 {
            address.set_port(first.port() + u16::try_from(number).expect("no more than there are ports"));
        }
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        bound.map_err(|error| {
            Failure::failed(format!(
                "{address} cannot be listened on: {error}\n  = help: another address with --listen, or port 0 for any that is \
                 free"
            ))
        })
    };
    (0..count).map(bind).collect()
}

/// Servers that run.
struct Threads {
    /// The servers, each with where it is.
    servers: Vec<(MockServer, SocketAddr)>,
    threads: Vec<JoinHandle<()>>,
}

type Started = Result<(usize, MockServer, SocketAddr), Failure>;

fn start(world: &World, args: &Mock, clock: &Arc<dyn Clock>, listeners: Vec<TcpListener>) -> Result<Threads, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(MOST_THREADS).min(listeners.len());
    let mut shares: Vec<Vec<Seat>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, (listener, spec)) in listeners.into_iter().zip(&world.backends).enumerate() {
        shares[number % threads].push(Seat {
            number,
            listener,
            builder: builder(world, args, clock, number, spec),
        });
    }
    let (sender, receiver) = channel();
    let mut started = Threads {
        servers: Vec::new(),
        threads: Vec::new(),
    };
    for share in shares {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(unstarted)?;
        let sender = sender.clone();
        let thread = std::thread::Builder::new().name(String::from("mock"));
        let thread = thread.spawn(move || serve(&runtime, share, sender));
        started.threads.push(thread.map_err(unstarted)?);
    }
    drop(sender);
    let mut servers = Vec::new();
    for one in receiver {
        servers.push(one?);
    }
    servers.sort_by_key(|(number, _, _)| *number);
    started.servers = servers
        .into_iter()
        .map(|(_, server, address)| (server, address))
        .collect();
    Ok(started)
}

/// A backend and the port at which it will be served.
struct Seat {
    number: usize,
    listener: TcpListener,
    builder: tollgate_mock_llm::server::Builder,
}

fn builder(
    world: &World,
    args: &Mock,
    clock: &Arc<dyn Clock>,
    number: usize,
    spec: &BackendSpec,
) -> tollgate_mock_llm::server::Builder {
    let builder = MockServer::builder(spec.clone())
        .clock(Arc::clone(clock))
        // As the simulator does: a backend of a scenario meets its first replication.
        .dice(world.dice.branch(number as u64 + 1))
        .models(args.model.clone())
        .api_key(args.api_key.clone());
    match &world.output_tokens {
        Some(tokens) => builder.output_tokens(tokens.clone()),
        None => builder,
    }
}

/// Serves some backends until they are stopped, after telling where.
fn serve(runtime: &Runtime, share: Vec<Seat>, told: Sender<Started>) {
    runtime.block_on(async {
        let mut serving = Vec::new();
        for seat in share {
            let started = async {
                let address = seat.listener.local_addr().map_err(unstarted)?;
                let listener = tokio::net::TcpListener::from_std(seat.listener).map_err(unstarted)?;
                let server = seat.builder.start().map_err(Failure::wrong)?;
                let running = server.clone();
                serving.push(tokio::spawn(async move { running.listen(listener).await }));
                Ok((seat.number, server, address))
            };
            // Whoever has gone by now has told why, and the process ends.
            let _gone = told.send(started.await);
        }
        drop(told);
        for server in serving {
            // One that panicked has said so.
            let _panicked = server.await;
        }
    });
}

impl Threads {
    /// Where the backends are, and how to ask them something.
    fn table(&self, args: &Mock) -> String {
        let widest = self
            .servers
            .iter()
            .map(|(server, _)| server.name().chars().count())
            .max();
        let width = widest.unwrap_or(0).max("backend".len());
        let row = |name: &str, url: &str| format!("{name:width$}  {url}\n");
        let url = |address: &SocketAddr| format!("http://{}", reached(*address));
        let mut table = row("backend", "url");
        for (server, address) in &self.servers {
            table.push_str(&row(server.name(), &format!("{}/v1", url(address))));
        }
        if let Some((_, address)) = self.servers.first() {
            let url = url(address);
            let key = args
                .api_key
                .as_ref()
                .map_or("", |_| " -H \"authorization: Bearer $KEY\"");
            let model = args.model.first().map_or("any", String::as_str);
            let hint = format!(
                "\ncurl {url}/v1/chat/completions{key} \\\n  \
                 -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n\
                 curl {url}/mock/faults -d '{{\"kind\": \"outage\", \"status\": 503, \"for\": \"30s\"}}'\n"
            );
            table.push_str(&hint);
        }
        table
    }

    fn stop(self) {
        for (server, _) in &self.servers {
            server.stop();
        }
        for thread in self.threads {
            // A thread that panicked has said so.
            let _panicked = thread.join();
        }
    }
}

/// An address under which one that was bound is surely reached from here.
fn reached(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    }
}

/// How somebody says that it shall end.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Watches from now on.
    fn watch() -> Result<Signals, Failure> {
        let runtime = Builder::new_current_thread().enable_io().build().map_err(unstarted)?;
        let (interrupt, terminate) = {
            let _entered = runtime.enter();
            let interrupt = signal(SignalKind::interrupt()).map_err(unstarted)?;
            (interrupt, signal(SignalKind::terminate()).map_err(unstarted)?)
        };
        Ok(Signals {
            runtime,
            interrupt,
            terminate,
        })
    }

    /// Waits for one; says which.
    fn wait(mut self) -> &'static str {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => "Ctrl-C",
                _ = self.terminate.recv() => "SIGTERM",
            }
        })
    }
}

fn unstarted(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the mock servers cannot be started: {error}"))
}

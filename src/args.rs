//! The command line, as it is written.

mod load;
mod twin;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args as ClapArgs, FromArgMatches, Parser, Subcommand, ValueEnum};
use tollgate_core::time::Nanos;
use tollgate_proxy::settings::{ROWS, Row};

pub(crate) use load::Load;
pub(crate) use twin::{Calibrate, Twin};

use crate::quota;

/// Try a gateway policy before it meets your traffic.
///
/// One policy file says how requests are limited, routed, retried and failed over. tollgate runs it in virtual time
/// against modeled providers, and serves it in production by the same code.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Begin with `tollgate simulate outage`, or with `tollgate serve`. \
                  Exit status: 0 done; 1 it ran and failed; 2 the command line or a file is wrong, and nothing was written."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every strategy of a scenario in virtual time, and compare them
    ///
    /// Every strategy meets the same traffic, the same faults and the same dice, so that they differ in nothing but
    /// their policies. The same seed gives the same results, on any number of threads.
    ///
    /// The comparison goes to standard output; tables, figures and a report that explains them go to --out. Ctrl-C, like
    /// SIGTERM, stops and keeps the replications that are complete; a second one ends the program at once.
    #[command(after_help = "Examples:\n  \
        tollgate simulate outage\n  \
        tollgate simulate outage --policy mine.toml --policy peak-ewma --replications 20\n  \
        tollgate simulate azure-conv --trace AzureLLMInferenceTrace_conv.csv --out results")]
    Simulate(Simulate),
    /// Read policies and scenarios and report every error with its place; starts nothing
    ///
    /// Every file is read to its end, so that all errors come at once. What is good is listed on standard output; errors
    /// and warnings go to standard error, and one error makes the exit status 2.
    #[command(after_help = "Examples:\n  \
        tollgate check policy.toml scenario.toml\n  \
        tollgate check policy.toml --trace yesterday.csv")]
    Check(Check),
    /// Draw or redraw the report of one or several result sets
    ///
    /// The strategies of several sets stand side by side, each under its own name, or with that of its set where two
    /// have the same.
    #[command(after_help = "Examples:\n  \
        tollgate report target/tollgate/outage\n  \
        tollgate report before after --out before-and-after")]
    Report(Report),
    /// Serve a policy: a reverse proxy for clients of an OpenAI-style API
    ///
    /// Without a policy it serves two mock backends of its own, so that it answers without any key or network.
    ///
    /// Every setting is a flag, an environment variable and a key of tollgate.toml, in this order of precedence; the page
    /// docs/settings.md lists all three names. SIGTERM and Ctrl-C drain: whoever was accepted is answered, and the exit
    /// status is 0 if nobody was cut off. A second one ends at once; SIGHUP opens the access log anew.
    #[command(after_help = "Examples:\n  \
        tollgate serve\n  \
        tollgate serve policy.toml --listen 0.0.0.0:8080 --log-access access.jsonl\n  \
        TOLLGATE_ADMIN_TOKEN=... tollgate serve policy.toml --admin 0.0.0.0:9901")]
    Serve(Serve),
    /// Make keys for tenants
    #[command(subcommand)]
    Key(KeyCommand),
    /// Compare every balancer: latency, imbalance, herds, and how fast traffic leaves an endpoint that fails and comes back
    ///
    /// Each is simulated on the same traffic in four worlds: endpoints that are alike, endpoints that are not, signals that
    /// are old, and an endpoint that fails for a minute. The same seed gives the same figures.
    ///
    /// Tables go to standard output; the same with pictures to --out.
    #[command(after_help = "Examples:\n  \
        tollgate balancers\n  \
        tollgate balancers --minutes 60 --seed 7 --json")]
    Balancers(Balancers),
    /// Compare every rate limiter: what a decision costs, the rate held, the worst window, refusals and waiting
    ///
    /// Each has the same quota and is asked at the same instants: saturated, Poisson, bursty, a flood at the worst moment,
    /// and traffic as real as it is given. Time is virtual, but for what a decision costs on this machine; instructions are
    /// counted where valgrind is installed.
    ///
    /// Tables go to standard output; the same with pictures to --out.
    #[command(after_help = "Examples:\n  \
        tollgate limiters\n  \
        tollgate limiters --quota 600/1m --burst 60\n  \
        tollgate limiters --trace yesterday.csv --quota 100000/1m --unit tokens")]
    Limiters(Limiters),
    /// List the shipped scenarios and the questions they answer, and the shipped policies
    Scenarios,
    /// Copy a shipped scenario and its policies here, to edit
    ///
    /// Writes NAME.toml and policies/*.toml, all of them or, if one is there already, none.
    New(New),
    /// Serve modeled providers over HTTP, in real time
    ///
    /// Each backend of a scenario listens on a port of its own and answers as OpenAI's API does: chat, completions,
    /// embeddings and models, streamed token by token, with the latencies, quotas and faults that the scenario gives it.
    /// Any key and any model will do, unless --api-key and --model say otherwise.
    ///
    /// Faults of the scenario come at their times, counted from the start. More are ordered while it runs: POST
    /// /mock/faults takes the keys of a `[[fault]]`, or `reset`, `hang`, `slow-body`, `garbage` and `endless-headers`; GET
    /// lists them, DELETE ends them. GET /mock/stats tells what was asked and what became of it.
    #[command(after_help = "Examples:\n  \
        tollgate mock\n  \
        tollgate mock outage --time-scale 10\n  \
        curl localhost:9100/mock/faults -d '{\"kind\": \"outage\", \"status\": 503, \"for\": \"30s\"}'")]
    Mock(Mock),
    /// Send the workload of a scenario to a real endpoint, and measure what a client sees
    ///
    /// Calls begin when the scenario says, whether or not earlier ones were answered, and every latency counts from that
    /// instant. Arrivals, lengths, tenants and the retries of SDKs are those of `tollgate simulate`, by the same seed; the
    /// result set is the same, so that `tollgate report A B` lays both side by side. What a client cannot see is undefined.
    ///
    /// Ctrl-C, like SIGTERM, stops and writes what was measured; a second one ends the program at once.
    #[command(after_help = "Examples:\n  \
        tollgate load outage --target http://127.0.0.1:8080/v1 --strategy \"peak EWMA\" --duration 1m\n  \
        tollgate load burst --target https://gateway.example.com/v1 --key-env TEST_KEY --rate 20 --requests 500\n  \
        tollgate load azure-conv --trace yesterday.csv --target http://127.0.0.1:8080/v1 --json")]
    Load(Box<Load>),
    /// Simulate a scenario, play it for real on loopback, and show how far the two are apart
    ///
    /// For each strategy one replication is simulated; then mock, gateway and load generator, each a process of its own,
    /// play the same arrivals, faults and dice in real time, which --time-scale makes run faster. What differs is what a
    /// simulator leaves out: sockets, the scheduler, the grain of timers. The errors of every latency and count are shown,
    /// and where they come from.
    ///
    /// Tables go to standard output; with --out both result sets, the figures and a page go there too.
    #[command(after_help = "Examples:\n  \
        tollgate twin outage\n  \
        tollgate twin outage --strategy 'least in-flight' --duration 2m --time-scale 5\n  \
        tollgate twin mine.toml --calibrate")]
    Twin(Twin),
    /// Fit backends to the access log of a gateway, so that your own providers can be simulated
    ///
    /// Of each endpoint: the time to the first token and per further token, the share of errors, and the quota as far as
    /// 429s tell. How well it fits is told beside it, on standard error; the backends go to standard output, ready to be
    /// pasted into a scenario.
    #[command(after_help = "Examples:\n  \
        tollgate calibrate access.jsonl >> mine.toml\n  \
        tollgate calibrate access.jsonl.1 access.jsonl --out backends.toml")]
    Calibrate(Calibrate),
    /// Look at recorded traffic, or convert it
    #[command(subcommand)]
    Trace(TraceCommand),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Simulate {
    /// A scenario file, or the name of a shipped one (see `tollgate scenarios`)
    pub(crate) scenario: String,
    /// Compare this policy, a file or a shipped one, instead of the scenario's own strategies; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Vec<String>,
    /// Replay this recorded traffic instead of the scenario's arrivals and lengths
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// The root of all randomness [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Independent runs of each strategy [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) replications: Option<u32>,
    /// Runs at once; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,
    /// Keep so many requests of each strategy whole, in requests.csv
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) requests: u32,
    /// Where the result set and its report go [default: target/tollgate/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the summary as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Balancers {
    /// Virtual minutes of each world
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    pub(crate) minutes: u32,
    /// The root of all randomness
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Runs at once; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,
    /// Where the tables, pictures and the page go
    #[arg(long, value_name = "DIR", default_value = "target/tollgate/balancers")]
    pub(crate) out: PathBuf,
    /// Print the figures as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Limiters {
    /// Units in a length of time, such as 100/s, 600/1m or 1000/1h
    #[arg(long, value_name = "AMOUNT/PERIOD", default_value = "100/s", value_parser = quota::read)]
    pub(crate) quota: (u64, Nanos),
    /// Most units at once, for limiters that have a burst [default: all of a period]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) burst: Option<u64>,
    /// Replay this recorded traffic as the real arrivals
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// What the quota counts of a trace: requests, or tokens of prompt and answer
    #[arg(
        long,
        value_name = "UNIT",
        default_value = "requests",
        requires_if("tokens", "trace")
    )]
    pub(crate) unit: Unit,
    /// The root of all randomness
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the tables, pictures and the page go
    #[arg(long, value_name = "DIR", default_value = "target/tollgate/limiters")]
    pub(crate) out: PathBuf,
    /// Print the figures as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// Do nothing but what valgrind is to count
    #[arg(long, hide = true)]
    pub(crate) only_decide: bool,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Each request is one.
    Requests,
    /// As many as prompt and answer have tokens.
    Tokens,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Check {
    /// Policy and scenario files, or names of shipped scenarios
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Warn of every route, limit and key that no request of this trace matches
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Report {
    /// Directories that `simulate --out` wrote; several are laid side by side
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Where the report goes [default: the directory itself, or target/tollgate/report for several]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct New {
    /// The name of a shipped scenario
    pub(crate) name: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Mock {
    /// A scenario file, or the name of a shipped one [default: two providers, alpha and beta]
    pub(crate) backends: Option<String>,
    /// Where the first backend listens; the others follow on the next ports. Port 0 is any free one, for each
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9100")]
    pub(crate) listen: SocketAddr,
    /// How many seconds pass for the backends, and in the headers of their answers, in one of the machine
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) time_scale: f64,
    /// The root of all randomness [default: the scenario's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Answer 401 to whoever does not bring this key
    #[arg(long, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
    /// Answer 404 to whoever asks for any other model; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<String>,
    /// Which of the independent runs that `simulate` makes of this seed
    #[arg(long, value_name = "K", allow_negative_numbers = true, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..10_000))]
    pub(crate) replication: u64,
    /// Send the tokens of a stream after the first in lumps, so far apart in the machine's time, such as 10ms
    #[arg(long, value_name = "D", value_parser = load::length)]
    pub(crate) lump: Option<Nanos>,
    /// Take as long as the scenario's `gateway_to_backend` says, there and back
    #[arg(long)]
    pub(crate) way: bool,
    /// When the clock begins, in nanoseconds since 1970
    #[arg(long, value_name = "NS", hide = true)]
    pub(crate) begins: Option<u64>,
    /// End when standard input does
    #[arg(long, hide = true)]
    pub(crate) leash: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// What a trace holds: rate, burstiness, lengths, tenants
    ///
    /// The format is recognized by the names of the columns; the access log of `tollgate serve` is one.
    Describe(Describe),
    /// Convert a trace to tollgate's own CSV
    ///
    /// Its columns are time (in seconds from the first request), prompt and output (in tokens), and, where FILE has them,
    /// tenant, model, `max_tokens` and stream.
    #[command(after_help = "Examples:\n  \
        tollgate trace import BurstGPT_1.csv --out burst.csv\n  \
        tollgate trace import log.csv --sort --format csv --columns time=ts,prompt=in,output=out")]
    Import(Import),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Describe {
    /// The trace
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    /// The trace
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// The file to write [default: beside FILE, ending in .tollgate.csv]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// The formats of traces.
pub(crate) const FORMATS: [&str; 8] = [
    "auto",
    "azure",
    "mooncake",
    "burstgpt",
    "servegen",
    "tollgate",
    "access-log",
    "csv",
];

#[derive(Debug, ClapArgs)]
pub(crate) struct Reading {
    /// How the trace is written; `csv` is anyone's log, with --columns
    #[arg(long, default_value = "auto", value_parser = FORMATS)]
    pub(crate) format: String,
    /// With --format csv: which columns are what, such as `time=ts,prompt=in,output=out,tenant=user`
    #[arg(long, value_name = "KEY=COLUMN,..")]
    pub(crate) columns: Option<String>,
    /// Put rows that are out of order in order, instead of refusing them
    #[arg(long)]
    pub(crate) sort: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// The file with settings; also `TOLLGATE_CONFIG` [default: tollgate.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the gateway of a twin is told; end when standard input does
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) twin: Option<PathBuf>,
    #[command(flatten)]
    settings: Said,
}

impl Serve {
    /// The settings that the command line says, as often as it says them.
    pub(crate) fn said(&self) -> Vec<(&'static str, String)> {
        self.settings.0.clone()
    }
}

/// What the command line says of settings, whose table is in the proxy.
#[derive(Clone, Debug, Default)]
struct Said(Vec<(&'static str, String)>);

impl ClapArgs for Said {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(ROWS.iter().map(arg))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Said::augment_args(command)
    }
}

impl FromArgMatches for Said {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Said, clap::Error> {
        let mut said = Said::default();
        said.update_from_arg_matches(matches)?;
        Ok(said)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for row in ROWS {
            let values = matches.get_many::<String>(row.flag).into_iter().flatten();
            self.0.extend(values.map(|value| (row.flag, value.clone())));
        }
        Ok(())
    }
}

/// A setting as an argument: the flag or, without dashes, the place.
fn arg(row: &Row) -> Arg {
    let help = format!("{} [default: {}]", row.help, row.default());
    let arg = Arg::new(row.flag)
        .value_name(row.value)
        .help(help)
        .allow_hyphen_values(true);
    let arg = match row.flag.strip_prefix("--") {
        Some(long) => arg.long(long),
        None => arg,
    };
    let arg = if row.is_list() {
        arg.action(ArgAction::Append)
    } else {
        arg
    };
    match row.table {
        "" => arg,
        "tls" => arg.help_heading("Inbound TLS"),
        "limits" => arg.help_heading("Limits of what clients may send"),
        "upstream" => arg.help_heading("Connections to endpoints"),
        "drain" => arg.help_heading("The end"),
        table => arg.help_heading(if table == "log" { "Logs" } else { table }),
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new key once, and what the policy says of it
    ///
    /// The key has 256 random bits. The policy gets its SHA-256 hash, from which nobody finds the key.
    #[command(after_help = "Example:\n  tollgate key new --tenant acme --role batch >> acme.txt")]
    New(NewKey),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NewKey {
    /// Whose key it is
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: String,
    /// A word that routes and limits may match
    #[arg(long, value_name = "WORD")]
    pub(crate) role: Option<String>,
    /// Where the tenant's requests come from, a word that routes and limits may match
    #[arg(long, value_name = "WORD")]
    pub(crate) region: Option<String>,
    /// How urgent the tenant's requests are: low, normal or high
    #[arg(long, value_name = "WORD")]
    pub(crate) priority: Option<String>,
}

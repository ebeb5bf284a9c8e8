//! The load generator: the workload of a scenario against a real endpoint, as a client sees it.
//!
//! Calls begin when the scenario says, whether or not earlier ones were answered, and every latency counts from that
//! instant: a target that stalls is charged with everybody who came meanwhile, and a machine that sends late says how late.
//! Arrivals, lengths, tenants and the retries of SDKs are those of the simulator, by the same numbers and the same dice, so
//! that a run can be laid beside a simulated one.
//!
//! One thread does it all. A request is a task while it is open and nothing before or after.
//!
//! | Law | Test |
//! |---|---|
//! | The same seed sends the same requests at the same instants as the simulator. | `requests_are_those_of_the_simulator` |
//! | A stall shows in the latencies of all who came in it. | `a_stall_is_charged_to_all_who_came_in_it` |
//! | Every request that was begun ends in one count. | `counts_are_whole` |
//! | Nothing waits for ever. | `a_target_that_never_answers_is_cut_off` |

mod answer;
mod body;
mod clients;
mod exchange;
mod failure;
mod ledger;
mod notes;
mod pace;
mod pool;
mod result;
mod stream;
mod world;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tollgate_core::dice::Dice;
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::clock::{Clock as _, SystemClock};
use tollgate_proxy::provider::Target;
use tollgate_proxy::settings::Upstream;
use tollgate_proxy::upstream::{Address, Tcp};
use tollgate_reports::result::ClientSummary;
use tollgate_sim::experiment::{Progress, Strategy};
use tollgate_sim::record::{Quiet, Record};

use body::Writer;
use ledger::Ledger;
use pace::Pacer;
use pool::Pool;
use world::World;

pub use body::{BadHeader, Keys};
pub use failure::Failure;
pub use result::result_set;

/// Most users of a closed workload: each is a task.
pub const MOST_USERS: u32 = 100_000;
/// Connections that are opened before the first call, at most.
const MOST_WARM: usize = 64;
/// Requests in a row that may fail without an answer before a target is given up that has never given one.
const MOST_IN_VAIN: u64 = 200;
/// How often a run looks up from its work.
const BREATH: Duration = Duration::from_millis(20);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where requests go.
    pub target: Target,
    /// What is asked, and the targets of its answers.
    pub strategy: Strategy,
    /// Which of the independent runs, as the simulator counts them.
    pub replication: u64,
    /// How many seconds of the scenario pass in one of the machine.
    pub time_scale: f64,
    /// The date at which the clock begins, where it has to be that of others; otherwise it begins with the load.
    pub begins: Option<SystemTime>,
    /// Whether requests say which dice they have, for a mock.
    pub mock_dice: bool,
    /// What is asked for where the workload says nothing.
    pub model: String,
    /// Whose key is whose.
    pub keys: Keys,
    /// Most connections.
    pub connections: usize,
    /// Most calls that are open at once, beside users of a closed workload.
    pub in_flight: u64,
    /// How long answers are waited for once no further call begins, in seconds of the scenario.
    pub grace: Nanos,
    /// Certificates to trust instead of Mozilla's list.
    pub ca_file: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub struct Loaded {
    /// What it asked, and for how long, as it was.
    pub strategy: Strategy,
    /// What was seen, as the simulator takes it down.
    pub record: Record<Quiet>,
    /// What only a client sees.
    pub client: ClientSummary,
    /// What a reader must know beside the numbers.
    pub notes: Vec<String>,
    /// How long it took.
    pub wall: Duration,
    /// Whether anything was answered at all.
    pub is_answered: bool,
}

/// Why nothing was measured.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The clock cannot run at this speed.
    Scale(f64),
    /// More users than there can be tasks.
    Users(u32),
    /// A tenant has a header that cannot be sent.
    Header(BadHeader),
    /// The file of certificates is wrong.
    Certificates(io::Error),
    /// The machine has no means left.
    Machine(io::Error),
    /// The target cannot be reached.
    Unreachable(Address, Failure),
    /// The target takes connections and answers nobody.
    Silent(Address, Failure, u64),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Scale(scale) => write!(
                f,
                "a clock cannot run {scale} times as fast\n  = help: a number between 0.001 and 1,000,000"
            ),
            LoadError::Users(users) => write!(
                f,
                "{users} users are more than the {MOST_USERS} that one process can be\n  = help: fewer users that think \
                 less, or several processes with seeds of their own"
            ),
            LoadError::Header(BadHeader { tenant, name }) => write!(
                f,
                "the header `{name}` of tenant `{tenant}` cannot be sent\n  = help: names and values of headers are plain \
                 ASCII"
            ),
            LoadError::Certificates(error) => write!(
                f,
                "the certificates cannot be read: {error}\n  = help: --ca-file names a file in PEM"
            ),
            LoadError::Machine(error) => write!(f, "the load cannot be started: {error}"),
            LoadError::Unreachable(address, failure) => write!(
                f,
                "{address} cannot be reached: {failure}\n  = help: {}",
                failure.way_out()
            ),
            LoadError::Silent(address, failure, requests) => write!(
                f,
                "{address} gave no answer to {requests} requests: {failure}\n  = help: {}",
                failure.way_out()
            ),
        }
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// Whether what was asked for is wrong, so that nothing was started.
    #[must_use]
    pub const fn is_wrong(&self) -> bool {
        match self {
            LoadError::Scale(_) | LoadError::Users(_) | LoadError::Header(_) | LoadError::Certificates(_) => true,
            LoadError::Machine(_) | LoadError::Unreachable(..) | LoadError::Silent(..) => false,
        }
    }
}

/// Sends the load; `progress` says how far it is, and is told to stop.
///
/// # Errors
///
/// If nothing could be measured.
pub fn run(load: Load, progress: &Arc<Progress>) -> Result<Loaded, LoadError> {
    let users = load.strategy.plan.workload().closed().map(|closed| closed.users);
    if let Some(users) = users.filter(|users| MOST_USERS < *users) {
        return Err(LoadError::Users(users));
    }
    // What the machine refuses shows when connections are opened.
    let _as_it_is = world::raise_files();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(LoadError::Machine)?;
    let grace = load.grace;
    let world = runtime.block_on(prepare(load, users))?;
    let stopped = runtime.block_on(drive(&world, users, grace, progress));
    finish(&world, runtime, stopped)
}

async fn prepare(load: Load, users: Option<u32>) -> Result<Arc<World>, LoadError> {
    let settings = Upstream {
        ca_file: load.ca_file.clone(),
        http2: false,
        ..tollgate_proxy::settings::Settings::default().upstream
    };
    let connect = Tcp::new(&settings).map_err(LoadError::Certificates)?;
    let seed = load.strategy.plan.root();
    let root = (seed, load.replication);
    let workload = load.strategy.plan.workload();
    let writer = Writer::new(&load.target, workload, &load.keys, &load.model, root, load.mock_dice);
    let writer = writer.map_err(LoadError::Header)?;
    let address = Address::of(&load.target);
    let pool = Pool::new(Box::new(connect), address.clone(), load.connections);
    let warm = users.map_or(MOST_WARM, |users| users as usize);
    let warmed = pool.warm_up(warm.min(load.connections)).await;
    warmed.map_err(|failure| LoadError::Unreachable(address, failure))?;
    let mut clock = SystemClock::scaled(load.time_scale).map_err(|_| LoadError::Scale(load.time_scale))?;
    if let Some(begins) = load.begins {
        clock = clock.beginning(begins);
    }
    Ok(Arc::new(World {
        dice: Dice::new(seed).branch(load.replication),
        clock,
        began: clock.start(),
        scale: load.time_scale,
        pacer: Pacer::new().map_err(LoadError::Machine)?,
        pool,
        writer,
        most_open: load.in_flight,
        ledger: Mutex::new(Ledger::new(&load.strategy)),
        strategy: load.strategy,
        in_flight: AtomicU64::new(0),
        most_in_flight: AtomicU64::new(0),
        live: AtomicU64::new(0),
        idle: Notify::new(),
        begun: AtomicU64::new(0),
        thinking: AtomicU64::new(0),
        skipped: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        is_cut: AtomicBool::new(false),
    }))
}

/// Runs to the end; says when, if somebody stopped it.
async fn drive(world: &Arc<World>, users: Option<u32>, grace: Nanos, progress: &Arc<Progress>) -> Option<Instant> {
    let calls = async {
        match users {
            Some(users) => clients::settle(world, users),
            None => clients::arrive(world).await,
        }
        // Those who are still at it say so when the last of them is gone.
        while 0 < world.live.load(Ordering::Relaxed) {
            world.idle.notified().await;
        }
    };
    tokio::select! {
        biased;
        () = world.pacer.ring() => unreachable!("it rings for ever"),
        stopped = watch(world, users.is_some(), grace, progress) => stopped,
        () = calls => None,
    }
}

/// Watches for the end of a run that does not come by itself.
async fn watch(world: &World, is_closed: bool, grace: Nanos, progress: &Progress) -> Option<Instant> {
    let (duration, _) = world.strategy.plan.bounds();
    let mut moved = ((0, 0), Instant::EPOCH);
    loop {
        tokio::time::sleep(BREATH).await;
        let now = world.clock.now();
        let (begun, in_vain) = {
            let ledger = world.ledger();
            let is_vain = ledger.answered == 0 && MOST_IN_VAIN <= ledger.in_vain;
            (ledger.begun(), is_vain)
        };
        progress.requests.store(begun, Ordering::Relaxed);
        let open = world.in_flight.load(Ordering::Relaxed);
        if progress.stop.load(Ordering::Relaxed) {
            return Some(now);
        }
        if in_vain {
            return None;
        }
        // With a duration, the grace begins where that ends; without one, when nothing begins or ends any more.
        let ended = begun.saturating_sub(open);
        if moved.0 != (begun, ended) {
            moved = ((begun, ended), now);
        }
        let until = match duration {
            Some(duration) => Instant::EPOCH + duration + grace,
            None if is_closed || world.is_over.load(Ordering::Relaxed) => moved.1 + grace,
            None => Instant::FAR,
        };
        if until < now {
            world.is_cut.store(true, Ordering::Relaxed);
            return None;
        }
    }
}

fn finish(world: &World, runtime: Runtime, stopped: Option<Instant>) -> Result<Loaded, LoadError> {
    let end = world.clock.now();
    let wall = world.began.elapsed();
    // Whatever is open is dropped here, and takes itself down.
    drop(runtime);
    let ledger = std::mem::replace(
        &mut *world.ledger.lock().unwrap_or_else(PoisonError::into_inner),
        Ledger::new(&world.strategy),
    );
    let failures = ledger.failures();
    let is_answered = 0 < ledger.answered;
    if let (false, Some((failure, _))) = (is_answered, failures.first()) {
        let address = world.pool.address().clone();
        return Err(LoadError::Silent(address, *failure, ledger.begun()));
    }
    let notes = notes::of(world, &ledger, stopped, end);
    let plan = &world.strategy.plan;
    let (duration, _) = plan.bounds();
    let horizon = match (duration, stopped) {
        (Some(duration), Some(stopped)) => Some(duration.min(stopped.since(Instant::EPOCH))),
        (None, Some(stopped)) => Some(stopped.since(Instant::EPOCH)),
        (duration, None) => duration,
    };
    let (record, mut client) = ledger.finish(end, horizon, plan.left_out());
    let count = |number: &AtomicU64| float(number.load(Ordering::Relaxed));
    client.intended = client.sent + count(&world.skipped);
    client.connections = count(&world.pool.opened);
    client.most_in_flight = count(&world.most_in_flight);
    Ok(Loaded {
        strategy: world.strategy.clone(),
        record,
        client,
        notes,
        wall,
        is_answered,
    })
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

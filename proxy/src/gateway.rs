//! What all requests of a process share: policy and gate, clock and dice, connections, observers.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::{fmt, io};

use tollgate_core::dice::{Dice, Purpose, RequestDice};
use tollgate_core::gate::{Gate, GateInput, Snapshot};
use tollgate_core::id::EndpointId;
use tollgate_core::lifecycle::{Effects, Outcome};
use tollgate_core::memory::Shared;
use tollgate_core::policy::{Limit, Partition, Policy, Store, Word};
use tollgate_core::time::Instant;

use crate::auth::{MissingKey, ProviderKeys};
use crate::clock::{Clock, SystemClock};
use crate::intake::Room;
use crate::keeper::{Keeper, Keeping};
use crate::mailbox::Mailboxes;
use crate::observe::Observer;
use crate::request::{Estimator, NoTokenizer};
use crate::settings::Settings;
use crate::tasks::Tasks;
use crate::thread;
use crate::upstream::{Check, Connect, Tcp, Unreachable, Upstreams, World};

/// What all requests of a process share.
///
/// One for all threads and runtimes; see [`router`](crate::router) for what is done with it.
pub struct Gateway {
    pub(crate) gate: Gate<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) observer: Arc<Observer>,
    pub(crate) watch: Option<Arc<dyn Watch>>,
    pub(crate) tasks: Tasks,
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) upstreams: Upstreams,
    pub(crate) keys: ProviderKeys,
    /// Room for the bodies of requests.
    pub(crate) room: Arc<Room>,
    pub(crate) estimator: Estimator,
    /// Headers that the policy names, in lower case.
    pub(crate) named: Vec<String>,
    /// What the policy calls models by name.
    pub(crate) models: Vec<String>,
    dice: Dice,
    /// Keeps keys of limits, and names of requests, from being guessed.
    secret: Dice,
    /// Requests so far that had a lifecycle.
    requests: AtomicU64,
    /// Requests so far, of all kinds.
    names: AtomicU64,
    begun: Once,
    /// It is about to end.
    draining: AtomicBool,
}

/// Somebody who watches every request, for tests that ask more than metrics do.
pub trait Watch: Send + Sync {
    /// The request that is called `id` is over, `outcome` is its record.
    fn finished(&self, id: &str, outcome: &Outcome);
}

/// What a gateway is made of.
pub struct Builder {
    policy: Policy,
    settings: Settings,
    clock: Option<Arc<dyn Clock>>,
    connect: Option<Arc<dyn Connect>>,
    observer: Option<Arc<Observer>>,
    watch: Option<Arc<dyn Watch>>,
    dice: Option<Dice>,
    look_up: LookUp,
}

/// Finds what a variable holds.
type LookUp = Box<dyn Fn(&str) -> Option<String>>;

/// Why a gateway cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// The file of certificates is of no use.
    Certificates(io::Error),
    /// Variables that should hold a provider's key hold none.
    Keys(Vec<MissingKey>),
    /// An endpoint cannot be reached, whatever happens.
    Endpoint(Unreachable),
    /// What the settings ask for is not in this build.
    Tokenizer(NoTokenizer),
    /// A limit needs what can be simulated and not be served.
    Limit {
        /// Its name.
        limit: String,
        /// What it needs.
        needs: &'static str,
    },
}

impl Gateway {
    /// A gateway that decides by `policy`.
    #[must_use]
    pub fn builder(policy: Policy) -> Builder {
        Builder {
            policy,
            settings: Settings::default(),
            clock: None,
            connect: None,
            observer: None,
            watch: None,
            dice: None,
            look_up: Box::new(|variable| std::env::var(variable).ok()),
        }
    }

    /// Begins to keep the gate: its wake-ups and health checks, as a task of the present runtime.
    ///
    /// The first request does so where nobody has. A second call changes nothing.
    pub fn begin(self: &Arc<Gateway>) {
        self.begun.call_once(|| {
            self.advance(self.clock.now(), GateInput::Start, &mut Effects::new());
            // Outside of a runtime nothing can be kept; requests cannot be served there either.
            let _is_kept =
                tokio::runtime::Handle::try_current().map(|runtime| runtime.spawn(Keeping::new(self).keep()));
        });
    }

    /// The policy that it decides by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.gate.policy()
    }

    /// What it was told beside its policy.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who tells it the time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Who is told what happens.
    #[must_use]
    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// What requests share, as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.gate.snapshot(self.clock.now())
    }

    /// Requests that have begun and are not over, those included whose client has gone.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.mailboxes.in_use()
    }

    /// Connections to `endpoint` that are open or on their way.
    #[must_use]
    pub fn connections(&self, endpoint: EndpointId) -> u32 {
        self.upstreams.connections(endpoint)
    }

    /// Bytes of request bodies that are held.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        self.room.taken()
    }

    /// From now on `/readyz` says no; requests are still served.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until nothing runs any more that no client waits for.
    pub async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// Delivers one input to the gate and performs what it asks for.
    pub(crate) fn advance(&self, now: Instant, input: GateInput, effects: &mut Effects) {
        self.gate.handle(now, input, effects);
        for effect in effects.drain() {
            self.perform(None, now, effect);
        }
    }

    /// A health check of `endpoint` that begins now, if its pool has any.
    pub(crate) fn check(&self, endpoint: EndpointId, now: Instant) -> Option<Check> {
        let policy = self.policy();
        let probe = policy.pool(policy.endpoint(endpoint).pool).probe.as_ref()?;
        Some(self.upstreams.check(endpoint, &probe.path, now + probe.timeout))
    }

    /// The dice of a further request.
    pub(crate) fn roll(&self) -> RequestDice {
        self.dice.request(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// A name for a further request, which nobody else has.
    pub(crate) fn name(&self) -> u128 {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let mut rng = self.secret.request(number).roll(Purpose::Client, 0);
        u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
    }

    /// The seed of the keys that limits count by.
    pub(crate) fn seed(&self) -> u64 {
        self.secret.request(u64::MAX).to_bits()
    }
}

impl Builder {
    /// Uses `settings` instead of the default ones.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Builder {
        self.settings = settings;
        self
    }

    /// Asks `clock` for the time instead of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Builder {
        self.clock = Some(clock);
        self
    }

    /// Reaches endpoints by `connect` instead of TCP.
    #[must_use]
    pub fn connect(mut self, connect: Arc<dyn Connect>) -> Builder {
        self.connect = Some(connect);
        self
    }

    /// Tells `observer` what happens, instead of one of its own.
    #[must_use]
    pub fn observer(mut self, observer: Arc<Observer>) -> Builder {
        self.observer = Some(observer);
        self
    }

    /// Lets `watch` see every request.
    #[must_use]
    pub fn watch(mut self, watch: Arc<dyn Watch>) -> Builder {
        self.watch = Some(watch);
        self
    }

    /// Draws with `dice`, whatever the settings say: those of one run of a simulator make the same run of this.
    #[must_use]
    pub fn dice(mut self, dice: Dice) -> Builder {
        self.dice = Some(dice);
        self
    }

    /// Finds variables that hold keys by `look_up` instead of in the environment.
    #[must_use]
    pub fn look_up(mut self, look_up: impl Fn(&str) -> Option<String> + 'static) -> Builder {
        self.look_up = Box::new(look_up);
        self
    }

    /// The gateway.
    ///
    /// # Errors
    ///
    /// If it could not serve: an endpoint without an address, a key that is not there, certificates of no use.
    pub fn build(self) -> Result<Arc<Gateway>, BuildError> {
        if let Some(wrong) = self.policy.limits.iter().find_map(unserved) {
            return Err(wrong);
        }
        let connect = match self.connect {
            Some(connect) => connect,
            None => Arc::new(Tcp::new(&self.settings.upstream).map_err(BuildError::Certificates)?),
        };
        let observer = match self.observer {
            Some(observer) => observer,
            None => Arc::new(Observer::new(&self.policy, &self.settings)),
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let tasks = Tasks::default();
        let world = World {
            connect,
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
        };
        let settings = self.settings;
        Ok(Arc::new(Gateway {
            upstreams: Upstreams::new(&self.policy, &settings.upstream, world).map_err(BuildError::Endpoint)?,
            keys: ProviderKeys::read(&self.policy, self.look_up).map_err(BuildError::Keys)?,
            named: named(&self.policy),
            models: models(&self.policy),
            gate: Gate::with_lanes(self.policy, thread::lanes(settings.threads)),
            observer,
            watch: self.watch,
            tasks,
            mailboxes: Mailboxes::new(),
            keeper: Arc::new(Keeper::new(&clock)),
            clock,
            room: Room::new(settings.limits.max_buffered),
            estimator: Estimator::new(settings.estimate).map_err(BuildError::Tokenizer)?,
            dice: self
                .dice
                .unwrap_or_else(|| Dice::new(settings.seed.unwrap_or_else(entropy))),
            secret: Dice::new(entropy()),
            requests: AtomicU64::new(0),
            names: AtomicU64::new(0),
            begun: Once::new(),
            draining: AtomicBool::new(false),
            settings,
        }))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.keeper.end();
    }
}

/// What is wrong with a limit that would be counted by nothing, or nowhere.
fn unserved(limit: &Limit) -> Option<BuildError> {
    let has_claim = limit.per.iter().any(|word| matches!(word, Partition::Claim(_)));
    let needs = match limit.store {
        Store::Strict { .. } => "a store that several gateways share",
        Store::Local | Store::Leased { .. } if has_claim => "claims of tokens, by `per = [\"claim:…\"]`",
        Store::Local | Store::Leased { .. } => return None,
    };
    let limit = limit.name.clone();
    Some(BuildError::Limit { limit, needs })
}

/// Headers and claims that `policy` matches or counts by.
fn named(policy: &Policy) -> Vec<String> {
    let words = policy.routes.iter().map(|route| &route.matches);
    let words = words.chain(policy.limits.iter().map(|limit| &limit.when));
    let matched = words
        .flat_map(|matches| &matches.words)
        .filter_map(|(word, _)| match word {
            Word::Header(name) => Some(name),
            Word::Path | Word::Model | Word::Tenant | Word::Role | Word::Region => None,
        });
    let partitions = policy.limits.iter().flat_map(|limit| &limit.per);
    let counted = partitions.filter_map(|partition| match partition {
        Partition::Header(name) => Some(name),
        Partition::Tenant
        | Partition::Model
        | Partition::Key
        | Partition::Role
        | Partition::Region
        | Partition::Route
        | Partition::Path
        | Partition::Claim(_)
        | Partition::ClientIp => None,
    });
    let names: BTreeSet<&String> = matched.chain(counted).collect();
    names.into_iter().cloned().collect()
}

/// Models that `policy` calls by name: in routes, and at endpoints.
fn models(policy: &Policy) -> Vec<String> {
    let words = policy.routes.iter().flat_map(|route| &route.matches.words);
    let routed = words.filter_map(|(word, pattern)| match word {
        Word::Model if pattern.is_literal() => Some(pattern.as_str()),
        Word::Model | Word::Path | Word::Tenant | Word::Role | Word::Region | Word::Header(_) => None,
    });
    let served = policy.endpoints.iter().filter_map(|endpoint| endpoint.model.as_deref());
    let names: BTreeSet<&str> = routed.chain(served).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// 64 bits that nobody can guess: the keys that the standard library draws for each of its maps.
fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("policy", &self.policy().hash)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("policy", &self.policy.hash)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Certificates(error) => write!(f, "`upstream.ca_file` is of no use: {error}"),
            BuildError::Keys(missing) => missing.iter().enumerate().try_for_each(|(at, missing)| {
                let between = if at == 0 { "" } else { "\n" };
                write!(f, "{between}{missing}")
            }),
            BuildError::Endpoint(endpoint) => write!(f, "{endpoint}"),
            BuildError::Limit { limit, needs } => {
                write!(
                    f,
                    "limit `{limit}` needs {needs}: that can be simulated, and is not served yet"
                )
            }
            BuildError::Tokenizer(error) => write!(f, "`estimate` asks for a tokenizer: {error}"),
        }
    }
}

impl std::error::Error for BuildError {}

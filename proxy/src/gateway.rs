//! What all requests of a process share: policy and gate, clock and dice, connections, observers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use tollgate_core::gate::{Gate, Snapshot};
use tollgate_core::memory::Shared;
use tollgate_core::policy::Policy;

use crate::clock::{Clock, SystemClock};
use crate::observe::Observer;
use crate::settings::Settings;
use crate::upstream::{Connect, Tcp};

/// What all requests of a process share.
///
/// One for all threads and runtimes; see [`router`](crate::router) for what is done with it.
pub struct Gateway {
    pub(crate) gate: Gate<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    #[expect(dead_code, reason = "the driver, which uses it, comes next")]
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) settings: Settings,
    pub(crate) observer: Arc<Observer>,
    /// It is about to end.
    draining: AtomicBool,
}

/// What a gateway is made of.
pub struct Builder {
    policy: Policy,
    settings: Settings,
    clock: Option<Arc<dyn Clock>>,
    connect: Option<Arc<dyn Connect>>,
    observer: Option<Arc<Observer>>,
}

/// Why a gateway cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// The file of certificates is of no use.
    Certificates(io::Error),
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
        }
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

    /// From now on `/readyz` says no; requests are still served.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
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

    /// The gateway.
    ///
    /// # Errors
    ///
    /// If the settings name a file of certificates that is of no use.
    pub fn build(self) -> Result<Arc<Gateway>, BuildError> {
        let connect = match self.connect {
            Some(connect) => connect,
            None => Arc::new(Tcp::new(&self.settings.upstream).map_err(BuildError::Certificates)?),
        };
        let observer = match self.observer {
            Some(observer) => observer,
            None => Arc::new(Observer::new(&self.policy, &self.settings)),
        };
        Ok(Arc::new(Gateway {
            gate: Gate::new(self.policy),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            connect,
            settings: self.settings,
            observer,
            draining: AtomicBool::new(false),
        }))
    }
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
        }
    }
}

impl std::error::Error for BuildError {}

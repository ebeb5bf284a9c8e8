//! How an attempt fails, in the few classes that decisions tell apart.

/// A classified failure of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// No connection: refused, unreachable, not connected in time.
    Connect,
    /// Every connection that we may have to the endpoint was taken, for as long as connecting may take.
    NoConnection,
    /// Connected, but the first or the next token did not come in time.
    Timeout,
    /// 429: a quota, which refills.
    RateLimited,
    /// 503 and 529: no capacity.
    Overloaded,
    /// Other 5xx.
    Server,
    /// 4xx: the request itself is wrong, and would be wrong anywhere.
    Client,
    /// The answer broke off.
    Stream,
    /// A quota that does not refill by itself: never retried on its account.
    QuotaExhausted,
    /// Our key was not accepted.
    Credential,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 10] = [
        Fault::Connect,
        Fault::NoConnection,
        Fault::Timeout,
        Fault::RateLimited,
        Fault::Overloaded,
        Fault::Server,
        Fault::Client,
        Fault::Stream,
        Fault::QuotaExhausted,
        Fault::Credential,
    ];

    /// The word for it in policies, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Connect => "connect",
            Fault::NoConnection => "no-connection",
            Fault::Timeout => "timeout",
            Fault::RateLimited => "rate-limited",
            Fault::Overloaded => "overloaded",
            Fault::Server => "server",
            Fault::Client => "client",
            Fault::Stream => "stream",
            Fault::QuotaExhausted => "quota-exhausted",
            Fault::Credential => "credential",
        }
    }
}

/// A set of [`Fault`]s.
///
/// ```
/// use tollgate_core::fault::{Fault, FaultSet};
///
/// let set = FaultSet::NONE.with(Fault::Connect);
/// assert!(set.has(Fault::Connect) && !set.has(Fault::Server));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u16);

impl FaultSet {
    /// No fault.
    pub const NONE: FaultSet = FaultSet(0);

    /// What a policy may retry after, and does by default.
    pub const RETRIABLE: FaultSet = FaultSet::NONE
        .with(Fault::Connect)
        .with(Fault::NoConnection)
        .with(Fault::Timeout)
        .with(Fault::RateLimited)
        .with(Fault::Overloaded)
        .with(Fault::Server)
        .with(Fault::Stream);

    /// This set and `fault`.
    #[must_use]
    pub const fn with(self, fault: Fault) -> FaultSet {
        FaultSet(self.0 | 1 << fault as u16)
    }

    /// Whether `fault` is in the set.
    #[must_use]
    #[inline]
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u16 != 0
    }
}

//! Names of things as small numbers: no strings on the hot path.

use core::num::NonZeroU32;

/// Which of the threads that share a gate drives a request; chosen by the driver, and the same as long as the request
/// lives. Leases are held by lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub u16);

/// Whom a driver is talking about; chosen by the driver, given back in effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

macro_rules! index {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl $name {
            /// The position in the policy's list.
            #[must_use]
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The thing at `index` of the policy's list.
            ///
            /// # Panics
            ///
            /// If the list is longer than a checked policy can be.
            #[must_use]
            #[inline]
            pub fn at(index: usize) -> $name {
                $name(<$inner>::try_from(index).expect("a checked policy bounds every list"))
            }
        }
    };
}

index! {
    /// A tenant of the policy.
    TenantId(u32)
}
index! {
    /// A limit of the policy.
    LimitId(u16)
}
index! {
    /// A pool of the policy.
    PoolId(u16)
}
index! {
    /// An endpoint of the policy, whatever its pool.
    EndpointId(u16)
}
index! {
    /// A route of the policy.
    RouteId(u16)
}
index! {
    /// A quota scope: endpoints that share an account.
    ScopeId(u16)
}
index! {
    /// An attempt of a request; 0 is the first.
    AttemptId(u8)
}

index! {
    /// A key of an endpoint, by its place among them; 0 also where there is none.
    KeyId(u8)
}

/// What a limit is counted per, hashed once per request by the driver.
///
/// The simulator and the proxy both compute it with [`KeyHash::of`]; the proxy seeds it per process, against
/// collisions by intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// The hash of `parts` under `seed`. Parts are told apart: `["ab", "c"]` differs from `["a", "bc"]`.
    ///
    /// FNV-1a over the bytes, scattered at the end.
    #[must_use]
    pub fn of<'a>(seed: u64, parts: impl IntoIterator<Item = &'a [u8]>) -> KeyHash {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
        for part in parts {
            for byte in part {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
            }
            hash = (hash ^ 0x100).wrapping_mul(PRIME);
        }
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        KeyHash(hash ^ (hash >> 32))
    }
}

/// Whose answers are learned from together: a hash of tenant and model.
///
/// It travels with every request, so it is short: of a hundred thousand keys one pair or so learns together by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputKey(pub NonZeroU32);

impl OutputKey {
    /// The hash of `tenant` and `model` under `seed`.
    #[must_use]
    pub fn of(seed: u64, tenant: &str, model: &str) -> OutputKey {
        let KeyHash(hash) = KeyHash::of(seed, [tenant.as_bytes(), model.as_bytes()]);
        let [a, b, c, d, ..] = hash.to_be_bytes();
        OutputKey(NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN))
    }
}

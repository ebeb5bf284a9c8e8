//! How much a policy may hold.

/// Most tenants.
pub const TENANTS: usize = 100_000;
/// Most limits.
pub const LIMITS: usize = 256;
/// Most pools.
pub const POOLS: usize = 256;
/// Most endpoints, of all pools together.
pub const ENDPOINTS: usize = 4_096;
/// Most routes.
pub const ROUTES: usize = 1_024;
/// Most words of a `match` or `when`, partitions of a limit, keys of a tenant and of an endpoint.
pub const WORDS: usize = 32;

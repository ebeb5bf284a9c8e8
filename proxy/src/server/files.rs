//! How many files, and so connections, the process may have.

/// Allows this process as many files as it may allow itself; how many that is, where anybody can tell.
///
/// Shells start programs with a low bound for the sake of some that count in small numbers. We do not.
#[cfg(unix)]
pub(super) fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(not(unix))]
pub(super) fn raise() -> Option<u64> {
    None
}

//! How a test says that it cannot run here: in one form everywhere, by its name, and never silently.
//!
//! A test that needs what Rust alone does not bring says `skip("why")` and returns. With `TOLLGATE_NO_SKIP` set, as
//! in `.ci/run`, skipping is failing. Tests of other crates include this file with `#[path]`.

use std::io::Write as _;

/// Says that the test of this thread does not run, and why.
///
/// # Panics
///
/// If `TOLLGATE_NO_SKIP` is set: there, everything that a test needs has to be there.
pub(crate) fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(
        std::env::var_os("TOLLGATE_NO_SKIP").is_none(),
        "`{test}` would be skipped, and TOLLGATE_NO_SKIP is set: {why}"
    );
    // Past the capture of the test harness, so that it is seen.
    let said = writeln!(std::io::stderr().lock(), "skipped: {test}: {why}");
    said.expect("standard error is open");
}

//! After warm-up a simulated request allocates nothing.

use tollgate_bench::model;
use tollgate_sim::engine::Engine;
use tollgate_sim::record::Quiet;

/// Allocations of a run of so many requests.
fn allocations(requests: u64) -> u64 {
    let plan = model::plan(7, requests);
    let info = allocation_counter::measure(|| {
        let record = Engine::new(&plan, 0, Quiet).run(|_| true).expect("nobody stops it");
        assert_eq!(record.counts.offered, requests);
    });
    info.count_total
}

/// What is left grows with simulated time and with the most that was ever in flight, doubling each time: bins and slabs.
#[test]
fn steady_state_allocates_nothing() {
    let (some, more) = (allocations(100_000), allocations(600_000));
    assert!(0 < some, "the counter counts");
    assert!(
        more - some < 50,
        "{some} allocations in 100,000 requests, {more} in 600,000"
    );
}

//! Every hot path, in nanoseconds a round; `--bin instructions` counts the same.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_bench::paths::Path;

fn paths(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("paths");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for mut path in Path::all() {
        let name = path.name.clone();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let began = Instant::now();
                path.run(u32::try_from(rounds).expect("a second has fewer rounds"));
                began.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, paths);
criterion_main!(benches);

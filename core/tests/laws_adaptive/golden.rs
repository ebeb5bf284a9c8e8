//! Known answers: the reference series, limit by limit.

use tollgate_core::dice::Rng;
use tollgate_core::limit::{
    Aimd, ConcurrencyLaw, EnvoyGradient, EnvoyGradientState, Gradient2, Sample, Vegas, Windowed, WindowedState,
};
use tollgate_core::policy::Bounds;
use tollgate_core::time::{Instant, Nanos};

/// So many samples alike: latency in milliseconds, in flight, dropped.
type Run = (usize, u64, u32, bool);

fn limits(law: &impl ConcurrencyLaw, series: &[Run]) -> Vec<u32> {
    let (mut state, mut rng) = (Default::default(), Rng::new(7));
    let now = Instant::from_secs(1);
    let mut limits = Vec::new();
    for (times, millis, in_flight, dropped) in series {
        for _ in 0..*times {
            let sample = Sample {
                now,
                started: now,
                in_flight: *in_flight,
                latency: Some(Nanos::from_millis(*millis)),
                dropped: *dropped,
            };
            limits.push(law.sample(&mut state, &sample, &mut rng));
        }
    }
    limits
}

/// `dev-golden-aimd`.
#[test]
fn golden_aimd() {
    let series = [
        (5, 100, 20, false),
        (2, 100, 5, false),
        (1, 100, 30, true),
        (1, 6000, 30, false),
        (4, 100, 18, false),
    ];
    let expected = [21, 22, 23, 24, 25, 25, 25, 22, 20, 21, 22, 23, 24];
    assert_eq!(limits(&Aimd::new(Bounds::AIMD), &series), expected);
}

/// `dev-golden-vegas`, which has no probes.
#[test]
fn golden_vegas() {
    let series = [
        (6, 100, 20, false),
        (6, 150, 30, false),
        (4, 115, 35, false),
        (2, 100, 30, true),
    ];
    let expected = [20, 26, 32, 38, 44, 44, 43, 42, 41, 40, 39, 38, 38, 38, 38, 38, 37, 36];
    assert_eq!(limits(&Vegas::new(Bounds::VEGAS).without_probes(), &series), expected);
}

/// `dev-golden-gradient2`.
#[test]
fn golden_gradient2() {
    let series = [(15, 100, 20, false), (10, 200, 30, false), (5, 100, 40, false)];
    let expected = [
        20, 21, 22, 23, 24, 24, 25, 26, 27, 28, 28, 29, 30, 31, 32, 31, 30, 29, 29, 28, 28, 27, 27, 26, 26, 27, 27, 28,
        29, 30,
    ];
    assert_eq!(limits(&Gradient2::new(Bounds::GRADIENT), &series), expected);
}

/// The first sample ends an empty window. Then the windows of a second have eleven samples, and five, and fourteen.
#[test]
fn a_window_is_a_second_with_ten_samples() {
    let law = Windowed::new(Gradient2::new(Bounds::GRADIENT));
    let (mut state, mut rng) = (WindowedState::default(), Rng::new(7));
    let mut feed = |instants: &mut dyn Iterator<Item = u64>| {
        let limits = instants.map(|millis| {
            let now = Instant::EPOCH + Nanos::from_millis(millis);
            let sample = Sample {
                now,
                started: now,
                in_flight: 20,
                latency: Some(Nanos::from_millis(100)),
                dropped: false,
            };
            law.sample(&mut state, &sample, &mut rng)
        });
        limits.last().expect("there are instants")
    };
    // Each window moves it by 0.8 if it counts: once for the eleven, twice with the fourteen.
    assert_eq!(feed(&mut (1000..=2100).step_by(100)), 20);
    assert_eq!(feed(&mut (2300..=3300).step_by(200)), 20);
    assert_eq!(feed(&mut (3400..=4600).step_by(100)), 21);
}

/// Fifty samples of 100 ms while three are let in, then windows of 100 ms: 3 · 1.25 + sqrt(3.75) = 5.68, and so on. Then
/// latency is five times what it was: 5 · 0.5 + sqrt(2.5) = 4.08. Then a minute has passed.
#[test]
fn envoy_measures_then_follows() {
    let law = EnvoyGradient::new(Bounds::ENVOY_GRADIENT);
    let (mut state, mut rng) = (EnvoyGradientState::default(), Rng::new(7));
    let feed = |state: &mut _, rng: &mut Rng, millis: u64, latency: u64| {
        let now = Instant::EPOCH + Nanos::from_millis(millis);
        let latency = Nanos::from_millis(latency);
        let sample = Sample {
            now,
            started: now - latency,
            in_flight: 3,
            latency: Some(latency),
            dropped: false,
        };
        law.sample(state, &sample, rng)
    };
    for turn in 0..50 {
        assert_eq!(feed(&mut state, &mut rng, 1000 + turn * 10, 100), 3);
    }
    let began = 1000 + 490;
    let mut limits = Vec::new();
    for window in 0..4 {
        limits.push(feed(&mut state, &mut rng, began + 50 + window * 100, 100));
    }
    limits.push(feed(&mut state, &mut rng, began + 450, 500));
    limits.push(feed(&mut state, &mut rng, began + 550, 500));
    // The median is interpolated within a bucket of 6 %, so 1.25 may be a little less or more.
    assert_eq!(limits[0], 3);
    assert_eq!(limits[1..5], [5, 8, 13, 20], "3, 5.68, 8.75, 13.2, 20.6");
    assert_eq!(limits[5], 13, "20 · 0.5 + sqrt(10)");
    let minute = began + 60_000 + 9_000;
    assert_eq!(law.limit(&state, Instant::EPOCH + Nanos::from_millis(minute)), 3);
    assert_eq!(
        feed(&mut state, &mut rng, minute, 100),
        3,
        "let in before the measurement: no sample"
    );
}

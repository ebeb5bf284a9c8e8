//! What the length of a prompt explains of the time to its first token.

use proptest::prelude::*;
use tollgate_core::limit::Prompts;
use tollgate_core::time::Nanos;

/// Latency as a line over prompt length, in nanoseconds.
fn line(base: u64, slope: u64, tokens: u32) -> Nanos {
    Nanos::from_nanos(base + slope * u64::from(tokens))
}

proptest! {
    /// On a line nothing is left of the length of the prompt: every sample is as the mean prompt's.
    #[test]
    fn prompts_are_explained(
        base in 30_000_000..500_000_000_u64,
        slope in 0..100_000_u64,
        lengths in prop::collection::vec(1..20_000_u32, 100..400),
    ) {
        let mut prompts = Prompts::default();
        let mut mean = 0.0;
        for (nth, tokens) in lengths.iter().enumerate() {
            let adjusted = prompts.adjust(*tokens, line(base, slope, *tokens)).as_secs_f64();
            let seen = f64::from(u32::try_from(nth).expect("a few") + 1);
            mean += (f64::from(*tokens) - mean) / seen;
            if 50 <= nth {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let usual = (base as f64 + slope as f64 * mean) / 1e9;
                prop_assert!((adjusted / usual - 1.0).abs() < 1e-3, "{adjusted} is not {usual}");
            }
        }
    }

    /// Without spread there is nothing to explain, whatever the latencies.
    #[test]
    fn without_spread_latency_is_latency(tokens in 0..1_000_000_u32, latencies in prop::collection::vec(any::<u64>(), 1..300)) {
        let mut prompts = Prompts::default();
        for latency in latencies {
            let latency = Nanos::from_nanos(latency);
            prop_assert_eq!(prompts.adjust(tokens, latency), latency);
        }
    }

    /// Congestion, which makes every answer so many times slower, is seen whole.
    #[test]
    fn congestion_is_left_in(lengths in prop::collection::vec(1..20_000_u32, 200..400), times in 2..10_u64) {
        let mut prompts = Prompts::default();
        let mut before = 0.0;
        for tokens in &lengths {
            before = prompts.adjust(*tokens, line(50_000_000, 100_000, *tokens)).as_secs_f64();
        }
        let first = lengths[0];
        let slow = Nanos::from_nanos(line(50_000_000, 100_000, first).as_nanos() * times);
        let after = prompts.adjust(first, slow).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "below ten")]
        let expected = before * times as f64;
        prop_assert!((after / expected - 1.0).abs() < 0.2, "{after} is not {expected}");
    }

    /// Anything may come.
    #[test]
    fn any_prompt_is_harmless(samples in prop::collection::vec((any::<u32>(), any::<u64>()), 1..200)) {
        let mut prompts = Prompts::default();
        for (tokens, latency) in samples {
            let (adjusted, latency) = (prompts.adjust(tokens, Nanos::from_nanos(latency)).as_secs_f64(), Nanos::from_nanos(latency).as_secs_f64());
            prop_assert!(adjusted <= latency * 100.0 + 1e-6 && latency / 100.0 <= adjusted + 1e-6, "{latency} became {adjusted}");
        }
    }
}

//! Lengths of time as Go writes them, which is how `OpenAI` writes when a quota is full again.

use tollgate_core::time::Nanos;

/// `length` as Go's `Duration.String` writes it, rounded up to a millisecond: `20ms`, `1.5s`, `6m0s`, `1h0m0s`.
pub(super) fn duration(length: Nanos) -> String {
    const MILLI: u64 = 1_000_000;
    let millis = length.as_nanos().div_ceil(MILLI);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if rest == 0 {
        String::new()
    } else {
        format!(".{rest:03}").trim_end_matches('0').to_owned()
    };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_go_does() {
        let cases = [
            (0, "0s"),
            (1, "1ms"),
            (19_000_001, "20ms"),
            (20_000_000, "20ms"),
            (999_000_001, "1s"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (1_020_000_000, "1.02s"),
            (59_999_999_999, "1m0s"),
            (360_000_000_000, "6m0s"),
            (90_250_000_000, "1m30.25s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_001_000_000, "25h1m1.001s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(Nanos::from_nanos(nanos)), text);
        }
    }
}

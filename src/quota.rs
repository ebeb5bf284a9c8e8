//! A quota as people write it on a command line: `100/s`, `600/1m`.

use tollgate_core::file::kind;
use tollgate_core::time::Nanos;

/// Units and the length of time in which they are allowed.
pub(crate) fn read(text: &str) -> Result<(u64, Nanos), String> {
    let wrong = || "a quota is an amount and a period, such as 100/s, 600/1m or 5000/10s".to_owned();
    let (amount, period) = text.split_once('/').ok_or_else(wrong)?;
    let amount: u64 = amount.trim().replace('_', "").parse().map_err(|_| wrong())?;
    let period = period.trim();
    // A unit alone is one of it.
    let period = match period {
        "s" | "m" | "h" | "d" | "ms" | "us" | "ns" => format!("1{period}"),
        period => period.to_owned(),
    };
    let period = kind::parse_duration(&period).ok_or_else(wrong)?;
    if amount == 0 || period == Nanos::ZERO {
        return Err("a quota of nothing lets nothing through: both numbers must be above 0".to_owned());
    }
    if period < SHORTEST || LONGEST < period {
        return Err("periods from 1us to 365d can be compared; say the same rate with another period".to_owned());
    }
    if period.as_nanos() < amount {
        return Err("more than 1e9 a second: no limit is as good as this one".to_owned());
    }
    Ok((amount, period))
}

/// Arrivals come in whole nanoseconds.
const SHORTEST: Nanos = Nanos::from_micros(1);
/// Traffic is made for many periods.
const LONGEST: Nanos = Nanos::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_read_as_people_write_them() {
        assert_eq!(read("100/s"), Ok((100, Nanos::from_secs(1))));
        assert_eq!(read("600/1m"), Ok((600, Nanos::from_secs(60))));
        assert_eq!(read("100_000 / 10s"), Ok((100_000, Nanos::from_secs(10))));
        for wrong in [
            "",
            "100",
            "/s",
            "100/",
            "-1/s",
            "0/s",
            "1/0s",
            "1/fortnight",
            "1e3/s",
            "1/1ns",
            "100/36500d",
            "2000000000/s",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

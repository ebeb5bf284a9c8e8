//! The most memory that it takes to describe a trace does not grow with its calls, seen from outside: by the operating
//! system. One test, in a process of its own.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;

use tollgate_sim::trace::{ReadOptions, describe};

/// Tables of rates are small and stand for many calls.
#[test]
fn peak_does_not_follow_calls() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join(format!("rates-{}.csv", std::process::id()));
    let described = |calls: u32| {
        let rate = f64::from(calls) / 600.0;
        let text = format!("client,timestamp,rate,cv,pattern,shape,scale\na,0,{rate},1,Exponential,1,1\n");
        fs::write(&file, text).expect("a file");
        let (found, notes) = describe(&file, &ReadOptions::default()).expect("a table of rates");
        assert!(notes.is_empty());
        // Ten standard deviations of a Poisson number.
        let off = f64::from(calls) - found.rate.expect("it lasts") * found.duration_seconds;
        assert!(off.abs() < 10.0 * f64::from(calls).sqrt(), "{off}");
        peak()
    };
    // Both are more than are looked at for the shape of the gaps.
    let few = described(2_000_000);
    let many = described(10_000_000);
    assert!(0 < few && many * 10 <= few * 12, "{few} KiB, then {many} KiB");
    fs::remove_file(&file).expect("it was there");
}

/// The most memory that this process has had so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells every process about itself");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("Linux tells the peak");
    let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    number.expect("a number of KiB")
}

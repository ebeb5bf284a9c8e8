//! What the operating system says of this process. Elsewhere than on Linux it is not asked.

use std::fs;

/// What the operating system says of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    /// Time on processors, in user and system.
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_files: u64,
    /// None: unlimited.
    pub(super) most_files: Option<u64>,
    /// Since 1970.
    pub(super) started: f64,
}

impl Process {
    /// What it is now; nothing where `/proc` does not tell.
    pub(super) fn look() -> Option<Process> {
        let read = |path: &str| fs::read_to_string(path).ok();
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count();
        Process::parse(
            &read("/proc/self/stat")?,
            &read("/proc/self/status")?,
            &read("/proc/self/limits")?,
            &read("/proc/stat")?,
            u64::try_from(open_files).unwrap_or(u64::MAX),
        )
    }

    fn parse(stat: &str, status: &str, limits: &str, machine: &str, open_files: u64) -> Option<Process> {
        /// What the kernel counts time in towards programs, on every architecture.
        const TICKS_PER_SEC: f64 = 100.0;
        // The name of the program may hold anything, blanks and parentheses too.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields are counted from 1, and the first after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let line = |text: &str, start: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(start))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        let kilobytes: u64 = line(status, "VmRSS:")?.parse().ok()?;
        let booted: f64 = line(machine, "btime ")?.parse().ok()?;
        Some(Process {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SEC,
            resident_bytes: kilobytes * 1024,
            threads: line(status, "Threads:")?.parse().ok()?,
            open_files,
            most_files: line(limits, "Max open files")?.parse().ok(),
            started: booted + field(22)? / TICKS_PER_SEC,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1200 1 2 3";
        let status = "Name:\ta) b (c\nVmRSS:\t    2048 kB\nThreads:\t3\n";
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        let found = Process::parse(stat, status, limits, "cpu 1 2\nbtime 1000\n", 9).expect("all is there");
        let expected = Process {
            cpu_seconds: 3.0,
            resident_bytes: 2 << 20,
            threads: 3,
            open_files: 9,
            most_files: Some(1_024),
            started: 1_012.0,
        };
        assert_eq!(found, expected);
        assert_eq!(Process::parse("", status, limits, "", 9), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_there() {
        let process = Process::look().expect("Linux tells");
        assert!(0 < process.resident_bytes && 0 < process.threads && 2 < process.open_files);
    }
}

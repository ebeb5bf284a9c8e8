//! What is asked of every peer, a table each.

use std::io;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::client::{Client, Connection};
use crate::measure::{Bench, Load, Measured};
use crate::peer::{Kind, most_files};
use crate::table::{Table, median, ms, ratio};

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// 64 connections that ask as fast as they are answered: CPU a request.
    Saturated,
    /// 500 requests a second: added time.
    Light,
    /// Half of what the gateway can do: added time.
    Half,
    /// 500 connections, 5,000 requests a second, an upstream that takes 20 ms.
    Steady,
    /// Streams whose chunks come at once: CPU a stream.
    Burst,
    /// 200 streams whose chunks come 5 ms apart: CPU a stream, added time to the first chunk.
    Streams,
    /// Clients that leave in the middle of a stream: how soon the upstream knows.
    Cancel,
    /// Thousands of streams that are open at once: memory a stream.
    Memory,
}

impl Bench<'_> {
    /// Measures `case`; half of the peak is `half` requests a second.
    pub(crate) async fn case(&self, case: Case, half: u32) -> io::Result<()> {
        let table = match case {
            Case::Saturated => self.saturated().await?,
            Case::Light => self.offered("64 connections, 500 requests a second", 500).await?,
            Case::Half => {
                let title = format!("64 connections, {half} requests a second");
                self.offered(&title, half).await?
            }
            Case::Steady => self.steady().await?,
            Case::Burst => self.burst().await?,
            Case::Streams => self.streams().await?,
            Case::Cancel => self.cancel().await?,
            Case::Memory => self.memory().await?,
        };
        table.print()
    }

    async fn saturated(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::ZERO);
        let all = self.rounds(64, &request(false), Load::Saturated).await?;
        Ok(cost("64 connections, as fast as answered", "request", 1e6, "us", &all))
    }

    async fn burst(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::ZERO);
        let all = self.rounds(64, &request(true), Load::Saturated).await?;
        Ok(cost("64 streams of 64 chunks at once", "stream", 1e3, "ms", &all))
    }

    async fn offered(&self, title: &str, rate: u32) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::ZERO);
        let mut all = self.rounds(64, &request(false), Load::Offered(rate)).await?;
        let heads = [
            "peer",
            "p50 ms",
            "p99 ms",
            "added p50 ms",
            "x nginx",
            "added p99 ms",
            "x nginx",
            "CPU us a request",
            "errors",
        ];
        let mut table = Table::new(title, &heads);
        let mut of = |kind: Kind, at: f64| {
            let one = all.iter_mut().find(|one| one.kind == kind);
            one.map_or(f64::NAN, |one| one.whole(at))
        };
        let direct = [of(Kind::Direct, 0.5), of(Kind::Direct, 0.99)];
        let nginx = [of(Kind::Nginx, 0.5) - direct[0], of(Kind::Nginx, 0.99) - direct[1]];
        for one in &mut all {
            let whole = [one.whole(0.5), one.whole(0.99)];
            let added = [whole[0] - direct[0], whole[1] - direct[1]];
            table.row(vec![
                one.kind.name().to_owned(),
                ms(whole[0]),
                ms(whole[1]),
                ms(added[0]),
                ratio(added[0], nginx[0]),
                ms(added[1]),
                ratio(added[1], nginx[1]),
                format!("{:.1}", one.cpu() * 1e6),
                one.errors().to_string(),
            ]);
        }
        Ok(table)
    }

    async fn steady(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::from_millis(20), Duration::ZERO);
        let mut all = self.rounds(500, &request(false), Load::Offered(5_000)).await?;
        let heads = [
            "peer",
            "p50 ms",
            "p99 ms",
            "p99 x direct",
            "answers/s",
            "errors",
            "RSS MiB",
        ];
        let mut table = Table::new("500 connections, 5,000 requests a second, an upstream of 20 ms", &heads);
        let direct = all.iter_mut().find(|one| one.kind == Kind::Direct);
        let direct = direct.map_or(f64::NAN, |one| one.whole(0.99));
        for one in &mut all {
            let p99 = one.whole(0.99);
            table.row(vec![
                one.kind.name().to_owned(),
                ms(one.whole(0.5)),
                ms(p99),
                ratio(p99, direct),
                format!("{:.0}", one.rate()),
                one.errors().to_string(),
                mebi(one.resident),
            ]);
        }
        Ok(table)
    }

    async fn streams(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::from_millis(5));
        let mut all = self.rounds(200, &request(true), Load::Saturated).await?;
        let heads = [
            "peer",
            "CPU ms a stream",
            "x nginx",
            "first chunk p50 ms",
            "p99 ms",
            "added p50 ms",
            "added p99 ms",
            "streams/s",
            "errors",
        ];
        let mut table = Table::new("200 streams of 64 chunks, 5 ms apart", &heads);
        let nginx = cpu_of(&all, Kind::Nginx);
        let direct = all.iter_mut().find(|one| one.kind == Kind::Direct);
        let direct = direct.map_or([f64::NAN; 2], |one| [one.first(0.5), one.first(0.99)]);
        for one in &mut all {
            let first = [one.first(0.5), one.first(0.99)];
            table.row(vec![
                one.kind.name().to_owned(),
                ms(one.cpu()),
                ratio(one.cpu(), nginx),
                ms(first[0]),
                ms(first[1]),
                ms(first[0] - direct[0]),
                ms(first[1] - direct[1]),
                format!("{:.0}", one.rate()),
                one.errors().to_string(),
            ]);
        }
        Ok(table)
    }

    async fn cancel(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::from_millis(200));
        let heads = ["peer", "median ms", "longest ms", "never told"];
        let title = "the upstream learns that a client has left a stream whose next chunk is 200 ms away";
        let mut table = Table::new(title, &heads);
        for peer in self.start()? {
            let mut after = Vec::new();
            let mut never = 0;
            for _ in 0..LEAVERS {
                let mut connection = Connection::open(peer.address).await?;
                connection.begin(request(true).as_bytes()).await?;
                self.upstream.forget();
                let left = Instant::now();
                drop(connection);
                match self.upstream.left(Duration::from_secs(1)) {
                    Some(told) => after.push((told - left).as_secs_f64()),
                    None => never += 1,
                }
            }
            let longest = after.iter().copied().fold(f64::NAN, f64::max);
            table.row(vec![
                peer.kind.name().to_owned(),
                ms(median(after)),
                ms(longest),
                never.to_string(),
            ]);
        }
        Ok(table)
    }

    async fn memory(&self) -> io::Result<Table> {
        self.upstream.behave(Duration::ZERO, Duration::from_secs(600));
        // A peer has a file for the client's side of each stream and one for the upstream's; so have we.
        let count = MOST_STREAMS.min((most_files()? / 2).saturating_sub(100));
        let heads = ["peer", "idle MiB", "with streams MiB", "KiB a stream", "x hyper"];
        let mut table = Table::new(format!("{count} streams open at once"), &heads);
        let mut all = Vec::new();
        for peer in self.start()?.into_iter().filter(|peer| peer.kind != Kind::Direct) {
            let idle = peer.resident()?;
            let mut client = Client::connect(peer.address, count, &request(true)).await?;
            client.hold().await?;
            all.push((peer.kind, idle, peer.resident()?));
        }
        let each = |idle: u64, full: u64| {
            let bytes = u32::try_from(full.saturating_sub(idle) / count as u64).unwrap_or(u32::MAX);
            f64::from(bytes) / 1024.0
        };
        let hyper = all.iter().find(|(kind, ..)| *kind == Kind::Hyper);
        let hyper = hyper.map_or(f64::NAN, |(_, idle, full)| each(*idle, *full));
        for (kind, idle, full) in all {
            table.row(vec![
                kind.name().to_owned(),
                mebi(idle),
                mebi(full),
                format!("{:.1}", each(idle, full)),
                ratio(each(idle, full), hyper),
            ]);
        }
        Ok(table)
    }
}

/// CPU for one `what`, in `unit`s of which a second has so many.
fn cost(title: &str, what: &str, in_a_second: f64, unit: &str, all: &[Measured]) -> Table {
    let (cpu, rate) = (format!("CPU {unit} a {what}"), format!("{what}s/s"));
    let mut table = Table::new(title, &["peer", &cpu, "x nginx", &rate, "errors", "RSS MiB"]);
    let nginx = cpu_of(all, Kind::Nginx);
    for one in all {
        table.row(vec![
            one.kind.name().to_owned(),
            format!("{:.3}", one.cpu() * in_a_second),
            ratio(one.cpu(), nginx),
            format!("{:.0}", one.rate()),
            one.errors().to_string(),
            mebi(one.resident),
        ]);
    }
    table
}

fn cpu_of(all: &[Measured], kind: Kind) -> f64 {
    all.iter().find(|one| one.kind == kind).map_or(f64::NAN, Measured::cpu)
}

fn mebi(bytes: u64) -> String {
    let kibi = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
    format!("{:.1}", f64::from(kibi) / 1024.0)
}

/// What a client of an OpenAI-style API sends.
pub(crate) fn request(stream: bool) -> String {
    let body = format!(
        r#"{{"model":"m","stream":{stream},"max_tokens":256,"messages":[{{"role":"system","content":"You answer in one sentence."}},{{"role":"user","content":"Why is the sky blue, and the evening red?"}}]}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: peers\r\nauthorization: Bearer sk-peers\r\ncontent-type: \
         application/json\r\naccept: application/json\r\nuser-agent: peers/1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Clients that leave, one after the other.
const LEAVERS: usize = 50;

/// Streams that are held open at once.
const MOST_STREAMS: usize = 10_000;

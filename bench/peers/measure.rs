//! Peers in turn, in rounds, under one load: machines drift, so that only what was measured side by side is compared.

use std::io;
use std::time::Duration;

use crate::client::{Client, Heard};
use crate::peer::{Kind, Peer, Place};
use crate::table::{median, quantile};
use crate::upstream::Upstream;

/// What all cases are measured with.
pub(crate) struct Bench<'a> {
    pub(crate) upstream: Upstream,
    pub(crate) place: Place<'a>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    /// How long one peer is loaded in one round.
    pub(crate) length: Duration,
}

/// How a peer is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// As fast as it answers.
    Saturated,
    /// So many requests a second.
    Offered(u32),
}

/// What was measured of one peer.
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    rounds: Vec<Round>,
    /// Memory after all of it, in bytes.
    pub(crate) resident: u64,
}

struct Round {
    heard: Heard,
    cpu: Duration,
}

impl Bench<'_> {
    /// Starts the peers that can be here, and says of the others why they cannot.
    pub(crate) fn start(&self) -> io::Result<Vec<Peer>> {
        let mut peers = Vec::new();
        for kind in &self.kinds {
            match Peer::start(*kind, self.upstream.address, &self.place)? {
                Ok(peer) => peers.push(peer),
                Err(why) => crate::say(&why)?,
            }
        }
        Ok(peers)
    }

    /// Loads every peer in turn, over `count` connections on which `request` is asked.
    pub(crate) async fn rounds(&self, count: usize, request: &str, load: Load) -> io::Result<Vec<Measured>> {
        let mut loaded = Vec::new();
        for peer in self.start()? {
            let mut client = Client::connect(peer.address, count, request).await?;
            client.saturate(WARM_UP).await?;
            loaded.push((peer, client, Vec::new()));
        }
        for _ in 0..self.rounds {
            for (peer, client, rounds) in &mut loaded {
                let before = peer.cpu()?;
                let heard = match load {
                    Load::Saturated => client.saturate(self.length).await?,
                    Load::Offered(rate) => client.offer(rate, self.length).await?,
                };
                rounds.push(Round {
                    heard,
                    cpu: peer.cpu()?.saturating_sub(before),
                });
            }
        }
        let measured = |(peer, _, rounds): (Peer, Client, Vec<Round>)| {
            Ok(Measured {
                kind: peer.kind,
                rounds,
                resident: peer.resident()?,
            })
        };
        loaded.into_iter().map(measured).collect()
    }
}

impl Measured {
    /// Seconds of CPU for one request.
    pub(crate) fn cpu(&self) -> f64 {
        self.middle(|round| round.cpu.as_secs_f64() / number(round.heard.whole.len()))
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.middle(|round| number(round.heard.whole.len()) / round.heard.took.as_secs_f64())
    }

    pub(crate) fn errors(&self) -> usize {
        self.rounds.iter().map(|round| round.heard.errors).sum()
    }

    /// Seconds to the end of an answer, at a quantile.
    pub(crate) fn whole(&mut self, at: f64) -> f64 {
        self.middle_of(|round| quantile(&mut round.heard.whole, at).as_secs_f64())
    }

    /// Seconds to the first byte of the body of an answer, at a quantile.
    pub(crate) fn first(&mut self, at: f64) -> f64 {
        self.middle_of(|round| quantile(&mut round.heard.first, at).as_secs_f64())
    }

    fn middle(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    fn middle_of(&mut self, of: impl FnMut(&mut Round) -> f64) -> f64 {
        median(self.rounds.iter_mut().map(of).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of some seconds")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Before the first round: connections to the upstream are opened, and buffers.
const WARM_UP: Duration = Duration::from_millis(300);

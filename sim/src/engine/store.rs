//! The store of limits that several gateways share, as a model: exact, one round trip away, sometimes not there.

use std::collections::HashMap;

use tollgate_core::dice::{Dice, RequestDice};
use tollgate_core::gate::{Granted, Limits, Reach, Used};
use tollgate_core::lifecycle::{Input, Request, Ruling, Ticket};
use tollgate_core::memory::Local;
use tollgate_core::policy::Policy;
use tollgate_core::time::Instant;
use tollgate_core::usage::{PicoUsd, Usage};

use super::wire::Parcel;
use super::{Engine, Key, LANE_BACK, LANE_OUT};
use crate::record::Observer;

/// The store: the limits that a policy keeps elsewhere, and what is charged there.
pub(super) struct Store {
    limits: Limits<Local>,
    /// Looked up by ticket, never gone through.
    open: HashMap<Ticket, (Request, Granted)>,
    dice: RequestDice,
    letters: u32,
    /// When the last letter of each direction arrives.
    last: [Instant; 2],
}

/// Word to or from the store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letter {
    /// Charge this request.
    Ask { life: Key, ticket: Ticket },
    /// What the store said.
    Ruled { life: Key, ticket: Ticket, ruling: Ruling },
    /// True up, or give back.
    Settle { ticket: Ticket, used: Option<Usage> },
}

impl Store {
    pub(super) fn new(policy: &Policy, dice: Dice) -> Store {
        Store {
            limits: Limits::new(policy),
            open: HashMap::new(),
            dice: dice.request(u64::MAX - 1),
            letters: 0,
            last: [Instant::EPOCH; 2],
        }
    }

    /// A draw of its own for every letter.
    fn letter(&mut self) -> (RequestDice, u32) {
        self.letters = self.letters.wrapping_add(1);
        (self.dice, self.letters)
    }
}

impl<O: Observer> Engine<'_, O> {
    /// A request asks the store.
    pub(super) fn ask(&mut self, life: Key, ticket: Ticket) {
        self.post(LANE_OUT, Letter::Ask { life, ticket });
    }

    /// A request settles with the store.
    pub(super) fn settle(&mut self, ticket: Ticket, used: Option<Usage>) {
        self.post(LANE_OUT, Letter::Settle { ticket, used });
    }

    /// A letter has come.
    pub(super) fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Ask { life, ticket } => {
                let Some(request) = self.lives.find(life).map(|life| *life.lifecycle.request()) else {
                    return;
                };
                let ruling = self.rule(ticket, request);
                self.post(LANE_BACK, Letter::Ruled { life, ticket, ruling });
            }
            Letter::Ruled { life, ticket, ruling } => {
                self.inbox.push_back((life, Input::Rule { ticket, ruling }));
            }
            Letter::Settle { ticket, used } => {
                if let Some((request, granted)) = self.store.open.remove(&ticket) {
                    let (class, estimate) = (&request.class, request.estimate);
                    let limits = &self.store.limits;
                    match used {
                        Some(usage) => {
                            // A store elsewhere counts no money: a checked policy has no such limit.
                            let spent = PicoUsd::default();
                            // Nor does it learn: limits that do are the gateway's own.
                            let complete = false;
                            let used = Used { usage, spent, complete };
                            limits.settle_all(class, granted, estimate, used, self.now);
                        }
                        None => limits.undo_all(class, granted, estimate, self.now),
                    }
                }
            }
        }
    }

    fn rule(&mut self, ticket: Ticket, request: Request) -> Ruling {
        match self
            .store
            .limits
            .take_all(&request.class, Reach::Remote, request.estimate, self.now)
        {
            Ok(granted) => {
                self.store.open.insert(ticket, (request, granted));
                Ruling::Allow { at: granted.at }
            }
            Err(refusal) if refusal.never => Ruling::Never { limit: refusal.limit },
            Err(refusal) => Ruling::Wait {
                limit: refusal.limit,
                until: refusal.until,
            },
        }
    }

    fn post(&mut self, lane: usize, letter: Letter) {
        let (dice, number) = self.store.letter();
        let way = self.plan.network.gateway_to_store.draw(dice, number);
        // One connection: what was sent later does not arrive earlier.
        let last = &mut self.store.last[usize::from(lane == LANE_OUT)];
        *last = (self.now + way).max(*last);
        let way = last.since(self.now);
        self.send(lane, way, Parcel::Store(letter));
    }
}

//! What makes no sense: wrong, late, doubled. None of it may do harm.

use tollgate_core::gate::GateInput;
use tollgate_core::id::{AttemptId, EndpointId, LimitId, RequestId};
use tollgate_core::lifecycle::{AttemptEvent, Input, Ruling, Ticket, Verdict};
use tollgate_core::memory::Memory;
use tollgate_core::usage::Usage;

use super::entropy::Entropy;
use super::{SECOND, Watch, World};

impl<M: Memory, E: Entropy, W: Watch> World<'_, M, E, W> {
    /// Something wrong for somebody, who may be long settled.
    pub(super) fn stray(&mut self) {
        if self.dice.chance(10) {
            let endpoint = EndpointId::at(self.dice.index(self.policy().endpoints.len() + 1));
            let ok = self.dice.chance(50);
            let input = self
                .dice
                .pick(&[GateInput::Wake, GateInput::Probe { endpoint, ok }, GateInput::Start]);
            return self.tell_gate(input);
        }
        if self.lives.is_empty() {
            return;
        }
        let id = self.dice.index(self.lives.len());
        let input = self.any_input(id);
        self.tell(id, input);
    }

    fn any_input(&mut self, id: usize) -> Input {
        let own = Ticket(RequestId(u64::try_from(id).expect("a few")));
        let verdict = self.dice.pick(&[Verdict::Admitted, Verdict::Shed, Verdict::Expired]);
        match self.dice.below(9) {
            0 => Input::Start,
            1 | 2 => Input::Wake,
            3 => Input::Dequeue { verdict },
            // The answer of a store: of the wrong ticket, or unasked for.
            4 => Input::Rule {
                ticket: Ticket(RequestId(self.dice.below(1_000) + 1_000_000)),
                ruling: self.any_ruling(),
            },
            5 if !self.lives[id].asked || self.lives[id].ruled.is_some() => Input::Rule {
                ticket: own,
                ruling: self.any_ruling(),
            },
            6 | 7 => {
                // Of an attempt that is not open: stopped, or never launched.
                let attempt = AttemptId(u8::try_from(self.dice.below(9)).expect("small"));
                let is_open = self.lives[id].open.iter().any(|(open, _)| *open == attempt);
                let event = if self.dice.chance(50) {
                    self.misfortune()
                } else {
                    self.dice.pick(&[
                        AttemptEvent::Waiting,
                        AttemptEvent::Connecting,
                        AttemptEvent::Connected,
                        AttemptEvent::FirstToken,
                        AttemptEvent::Tokens { count: u32::MAX },
                        AttemptEvent::Finish {
                            usage: Usage {
                                input: u32::MAX,
                                output: u32::MAX,
                            },
                        },
                    ])
                };
                if is_open && matches!(event, AttemptEvent::Finish { .. }) {
                    return Input::Wake;
                }
                Input::Attempt { id: attempt, event }
            }
            _ if self.is_over(id) => Input::Abandon,
            _ => Input::Wake,
        }
    }

    fn any_ruling(&mut self) -> Ruling {
        let n_limits = self.policy().limits.len() + 1;
        let limit = LimitId::at(self.dice.index(n_limits));
        let until = self.now + SECOND;
        self.dice.pick(&[
            Ruling::Allow { at: self.now },
            Ruling::Wait { limit, until },
            Ruling::Never { limit },
            Ruling::Unavailable,
        ])
    }
}

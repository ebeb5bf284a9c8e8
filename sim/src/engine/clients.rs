//! Those who call: arrivals, users who think, SDKs that retry, people who leave.

use tollgate_core::id::RequestId;
use tollgate_core::lifecycle::{End, Input, Lifecycle, Request, Timer};
use tollgate_core::policy::{Needs, Operation};
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Estimate;

use super::plan::{Classified, Delay, Plan};
use super::{Engine, Event, Key, LANE_ARRIVE, LANE_TIME_OUT, Life};
use crate::record::Observer;
use crate::workload::{Answer, Arrivals, Call};

/// A call: what a person wanted once.
pub(super) struct CallState {
    pub(super) call: Call,
    /// When its first request reached the gateway.
    pub(super) started: Instant,
    /// Requests sent after the first.
    retries: u32,
    /// The request in flight.
    life: Option<Key>,
    /// Why the request in flight was abandoned.
    gone: Gone,
    user: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    No,
    TimedOut,
    Left,
}

impl<O: Observer> Engine<'_, O> {
    /// Plans the first arrival, or the first thoughts of all users.
    pub(super) fn schedule_first(&mut self) {
        if let Some(closed) = self.plan.workload.closed() {
            for user in 0..closed.users {
                let think = self.plan.workload.think(self.dice, u64::from(user));
                self.plan_thought(user, 0, think);
            }
        }
        self.schedule_arrival();
    }

    /// Users of a closed workload who are thinking.
    pub(super) fn thinking(&self) -> u32 {
        self.recorder.thinking
    }

    /// The next call of the arrival process comes.
    pub(super) fn arrive(&mut self) {
        let number = self.begun;
        self.begun += 1;
        let life = self.start_call(number, None);
        self.schedule_arrival();
        self.start(life);
    }

    /// A user has thought enough: their next call.
    pub(super) fn ask_again(&mut self, user: u32) {
        self.recorder.thinking -= 1;
        let number = self.plan.workload.user_call(user, self.recorder.user_calls(user));
        self.begun += 1;
        let life = self.start_call(number, Some(user));
        self.start(life);
    }

    /// A request of a call reaches the gateway.
    pub(super) fn reach(&mut self, key: Key) {
        let life = self.begin(key);
        self.start(life);
    }

    /// A request that has just been made begins its life.
    fn start(&mut self, life: Option<Key>) {
        if let Some(life) = life {
            self.deliver(life, Input::Start);
        }
    }

    /// Makes a request of a call, if there still is one.
    fn begin(&mut self, key: Key) -> Option<Key> {
        let now = self.now;
        let plan = self.plan;
        let state = self.calls.find(key)?;
        if state.started.is_far() {
            state.started = now;
            self.recorder.call_began(now);
        }
        let asked = state.call;
        let dice = self.dice.request(asked.request(state.retries));
        let life = self.lives.insert(|life| Life {
            lifecycle: Lifecycle::new(RequestId(life.pack()), request(plan, &asked), dice),
            asked,
            call: key,
            wanted: Instant::FAR,
            reason: Timer::Total,
            scheduled: Instant::FAR,
            jobs: [None; 3],
        });
        state.life = Some(life);
        state.gone = Gone::No;
        let timeout = plan.workload.client().timeout();
        if !timeout.is_forever() {
            self.events
                .push_lane(LANE_TIME_OUT, now + timeout, Event::TimeOut { life });
        }
        self.recorder.arrived(now, asked.tenant);
        Some(life)
    }

    /// The client waits no longer for this request; it may send another.
    pub(super) fn time_out(&mut self, life: Key) {
        let Some(call) = self.lives.find(life).map(|life| life.call) else {
            return;
        };
        if let Some(state) = self.calls.find(call) {
            state.gone = Gone::TimedOut;
        }
        self.deliver_progress(life);
        self.inbox.push_back((life, Input::Abandon));
    }

    /// The person waits no longer for this call.
    pub(super) fn leave(&mut self, key: Key) {
        let Some(state) = self.calls.find(key) else {
            return;
        };
        state.gone = Gone::Left;
        match state.life {
            Some(life) => {
                self.deliver_progress(life);
                self.inbox.push_back((life, Input::Abandon));
            }
            None => self.end_call(key, false),
        }
    }

    /// A request is over: so is the call, unless the client sends another.
    pub(super) fn finish(&mut self, key: Key) {
        let (now, plan) = (self.now, self.plan);
        let Some(life) = self.lives.find(key) else {
            return;
        };
        let (outcome, call) = (life.lifecycle.outcome(), life.call);
        let Some(state) = self.calls.find(call) else {
            self.lives.discard(key);
            return;
        };
        self.recorder.finished(&life.asked, outcome);
        state.life = None;
        let slo = outcome.route.map(|route| &plan.policy.route(route).slo);
        // A person waits from their first request on.
        let attained = slo.is_some_and(|slo| outcome.attains_since(state.started.min(outcome.arrived), slo));
        let again = match outcome.end {
            End::Abandoned if state.gone == Gone::TimedOut => Some(Answer::default()),
            End::Completed | End::Open | End::Abandoned => None,
            // What has begun to stream is not sent again by any SDK.
            End::Failed { .. } if outcome.stream && !outcome.first_token.is_far() => None,
            End::Failed { refusal } | End::Refused { refusal } => {
                let advice = refusal.advice(now);
                Some(Answer {
                    status: Some(refusal.status()),
                    retry_after: advice.retry_after,
                    should_retry: advice.should_retry,
                })
            }
        };
        let (retries, number) = (state.retries, life.asked.number);
        self.lives.discard(key);
        match again.and_then(|answer| self.retry(retries, answer, number)) {
            None => self.end_call(call, attained),
            Some(wait) => {
                let state = self.calls.find(call).expect("it was just there");
                state.retries += 1;
                let hop = &plan.network.client_to_gateway;
                let dice = self.dice.request(number);
                let way = hop.draw(dice, 2 * state.retries) + hop.draw(dice, 2 * state.retries + 1);
                self.events.push(now + wait + way, Event::Begin { call });
            }
        }
    }

    fn retry(&self, retries: u32, answer: Answer, number: u64) -> Option<Nanos> {
        self.plan.workload.retry(self.dice, number, retries, &answer)
    }

    fn end_call(&mut self, key: Key, attained: bool) {
        let Some(state) = self.calls.find(key) else {
            return;
        };
        let (started, user) = (state.started, state.user);
        self.calls.discard(key);
        self.recorder.call_ended(started, attained);
        if let Some(user) = user {
            let round = self.recorder.count_user_call(user);
            let number = self.plan.workload.user_call(user, round);
            let think = self.plan.workload.think(self.dice, number);
            self.plan_thought(user, round, think);
        }
    }

    fn plan_thought(&mut self, user: u32, _round: u64, think: Nanos) {
        let at = self.now + think;
        if self.may_begin(at) {
            self.recorder.thinking += 1;
            self.events.push(at, Event::Think { user });
        }
    }

    /// A call comes into being; its first request, if that is at the gateway at once.
    fn start_call(&mut self, number: u64, user: Option<u32>) -> Option<Key> {
        let call = self.plan.workload.call(self.dice, number);
        let key = self.calls.insert(|_| CallState {
            call,
            started: Instant::FAR,
            retries: 0,
            life: None,
            gone: Gone::No,
            user,
        });
        if let Some(patience) = self.plan.workload.patience(self.dice, number) {
            self.events.push(self.now + patience, Event::Leave { call: key });
        }
        let way = match &self.plan.network.client_to_gateway {
            Delay::Zero => return self.begin(key),
            way @ (Delay::Constant(_) | Delay::Drawn(_)) => way.draw(self.dice.request(number), 0),
        };
        if way == Nanos::ZERO {
            return self.begin(key);
        }
        self.events.push(self.now + way, Event::Begin { call: key });
        None
    }

    fn schedule_arrival(&mut self) {
        let next = self.arrivals.as_mut().and_then(Arrivals::next);
        match next.filter(|at| self.may_begin(*at)) {
            Some(at) => self.events.push_lane(LANE_ARRIVE, at, Event::Arrive),
            None => self.arrivals = None,
        }
    }

    /// Whether another call may begin at `at`.
    fn may_begin(&self, at: Instant) -> bool {
        let in_time = self
            .plan
            .duration
            .is_none_or(|duration| at <= Instant::EPOCH + duration);
        in_time
            && self
                .plan
                .requests
                .is_none_or(|requests| self.begun + u64::from(self.recorder.thinking) < requests)
    }
}

/// What a gateway makes of a call.
#[inline]
fn request(plan: &Plan, call: &Call) -> Request {
    let Classified {
        class,
        priority,
        tenant,
    } = plan.class(call);
    let output = plan.max_tokens(class.route, call.max_tokens);
    Request {
        class: *class,
        estimate: Estimate {
            input: call.prompt,
            output,
            more: 0,
        },
        needs: Needs {
            operation: Operation::Chat,
            input: call.prompt,
            output: output.unwrap_or(0),
            ..Needs::default()
        },
        stream: call.stream,
        priority: *priority,
        tenant: *tenant,
    }
}

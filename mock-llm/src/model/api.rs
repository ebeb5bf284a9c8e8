//! An LLM service seen from outside: the latency of an attempt is drawn as it arrives.
//!
//! | Law | Test |
//! |---|---|
//! | TTFT and TPOT have the stated distributions. | `latencies_are_those_of_the_profile` |
//! | An answer costs two wake-ups if it streams and one if it comes whole. | `wakes_are_few` |
//! | Tokens sent only grow, and are complete at the end. | `progress_only_grows` |
//! | What is admitted in the long run is the tightest quota. | `quota_0` |
//!
//! The gap between two tokens is even within an answer: what a gateway can see is the lump that a read returns. The
//! time to connect belongs to the network.

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{AttemptEvent, Status};
use tollgate_core::limit::Standing;
use tollgate_core::math::sqrt;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use super::answer::{Answer, Step, share_of};
use super::busy::Busy;
use super::load_factor::{Factors, LoadProcess};
use super::quota::{Charge, Exceeded, Quotas};
use super::reception::Reception;
use super::slab::Slab;
use super::stream::Segment;
use super::timeline::{Down, Level, Mishap, Timeline, scaled};
use super::{ApiSpec, Backend, Count, FaultSpec, Job, JobId, OnCancel, Output, Probe, Sent, WakeKey};
use crate::draw::OutOfRange;

/// An LLM service.
#[derive(Clone, Debug)]
pub struct Api {
    spec: ApiSpec,
    on_cancel: OnCancel,
    dice: Dice,
    load: Option<LoadProcess>,
    quotas: Quotas,
    timeline: Timeline,
    answers: Slab<Answer>,
    busy: Busy,
    now: Instant,
}

impl Api {
    pub(super) fn new(spec: &ApiSpec, on_cancel: OnCancel, faults: &[FaultSpec], dice: Dice) -> Api {
        let varies = |factor: &super::LoadFactor| 0.0 < factor.sigma;
        Api {
            load: spec
                .load_factor
                .filter(varies)
                .map(|factor| LoadProcess::new(factor, dice)),
            quotas: Quotas::new(&spec.quota),
            timeline: Timeline::new(faults),
            spec: spec.clone(),
            on_cancel,
            dice,
            answers: Slab::new(),
            busy: Busy::default(),
            now: Instant::EPOCH,
        }
    }

    /// Moves to `now`, through every boundary of a fault on the way.
    #[inline]
    fn move_to(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        while let Some((before, after)) = self.timeline.step(self.now) {
            self.cross(before, after, out);
        }
    }

    #[cold]
    fn cross(&mut self, before: Level, after: Level, out: &mut Vec<Output>) {
        // In the order in which they came, so that slots, which are used again, decide nothing.
        for slot in self.answers.by_key(|answer| answer.arrived) {
            if let Some(down) = after.down_since(before) {
                self.strike(slot, down, out);
            } else if let Some(ratio) = after.slower_than(before) {
                self.stretch(slot, ratio, out);
            }
        }
    }

    /// A boundary that nobody has foreseen.
    fn meet(&mut self, before: Level, after: Level, out: &mut Vec<Output>) {
        self.cross(before, after, out);
        if !self.answers.is_empty() {
            self.timeline.arm(out);
        }
    }

    /// The backend goes down under a running answer.
    fn strike(&mut self, slot: u32, down: Down, out: &mut Vec<Output>) {
        let now = self.now;
        let answer = self.answers.at_mut(slot);
        if !answer.step.is_running() {
            return;
        }
        if down == Down::Silent && answer.heard {
            answer.segment = Segment::still(answer.sent(now).last, answer.produced(now));
            answer.step = Step::Silence;
            self.answers.stamp(slot);
            self.busy.lower(now);
            return;
        }
        let begun = answer.has_begun();
        match down {
            Down::Silent => {}
            Down::Refused | Down::Answers(_) if begun => self.break_off(slot, out),
            Down::Refused => self.say(slot, AttemptEvent::Fail { fault: Fault::Connect }, out),
            Down::Answers(status) => self.open(slot, status, out),
        }
        self.end(slot);
    }

    /// What is left of a running answer takes `ratio` times as long.
    fn stretch(&mut self, slot: u32, ratio: f64, out: &mut Vec<Output>) {
        let now = self.now;
        let root = sqrt(ratio);
        let answer = self.answers.at_mut(slot);
        let left = answer.until.since(now);
        match &mut answer.step {
            Step::Rebuff { .. } | Step::Silence => return,
            Step::Pause => {
                answer.rest = scaled(answer.rest, root);
                self.tell_pace(slot, out);
                return;
            }
            Step::Prefill => {
                answer.until = now + scaled(left, ratio);
                answer.rest = scaled(answer.rest, root);
            }
            Step::Whole { first } => {
                let decode = scaled(answer.until.since((*first).max(now)), root);
                if now < *first {
                    *first = now + scaled(first.since(now), ratio);
                    answer.until = *first + decode;
                    answer.segment = Segment::new(*first, 1, answer.until, answer.usage.output);
                } else {
                    answer.until = now + decode;
                    answer.segment = answer.segment.repaced(now, answer.until);
                }
            }
            Step::Decode => {
                answer.until = now + scaled(left, root);
                answer.rest = scaled(answer.rest, root);
                answer.segment = answer.segment.repaced(now, answer.until);
            }
        }
        self.tell_pace(slot, out);
        self.wake_at_end(slot, out);
    }

    fn tell_pace(&self, slot: u32, out: &mut Vec<Output>) {
        let answer = self.answers.at(slot);
        if answer.heard && answer.stream {
            out.push(Output::Repaced { tag: answer.tag });
        }
    }

    fn begin(&mut self, job: &Job, charge: Charge) -> Answer {
        let slowdown = self.timeline.level().slowdown;
        let factors = self.load.as_mut().map_or(Factors::NONE, |load| load.at(self.now));
        let tokens = job.output.min(job.max_output.unwrap_or(u32::MAX));

        let mut rng = job.dice.roll(Purpose::Service, job.attempt);
        let mut ttft = self.spec.ttft.sample(&mut rng) * factors.ttft;
        if 0.0 < self.spec.slow_share && rng.uniform() < self.spec.slow_share {
            ttft *= self.spec.slow_factor.sample(&mut rng);
        }
        ttft += self.spec.prefill * f64::from(job.input.saturating_sub(job.cached));
        let first = self.now + Nanos::from_secs_f64(ttft * slowdown);

        let further = tokens.saturating_sub(1);
        let mut pace = self.spec.tpot.sample(&mut job.dice.roll(Purpose::Pace, job.attempt)) * factors.tpot;
        if 1.0 < slowdown {
            pace *= sqrt(slowdown);
        }
        let rest = Nanos::from_secs_f64(pace * f64::from(further));
        let mishap = self.timeline.mishap(job.dice, job.attempt, tokens);

        let whole = !job.stream && mishap.is_none();
        let (step, until) = if whole {
            (Step::Whole { first }, first + rest)
        } else {
            (Step::Prefill, first)
        };
        Answer {
            tag: job.tag,
            arrived: self.now,
            usage: Usage {
                input: job.input,
                output: tokens,
            },
            stream: job.stream,
            heard: true,
            charge: Some(charge),
            step,
            until,
            segment: if whole {
                Segment::new(first, 1, first + rest, tokens)
            } else {
                Segment::none(self.now)
            },
            rest,
            mishap,
        }
    }

    /// An attempt that gets an error, or nothing.
    fn turn_away(&mut self, job: &Job, charge: Option<Charge>, step: Step, after: Nanos) -> Answer {
        Answer {
            tag: job.tag,
            arrived: self.now,
            usage: Usage {
                input: job.input,
                output: 0,
            },
            stream: job.stream,
            heard: true,
            charge,
            step,
            until: self.now + after,
            segment: Segment::none(self.now),
            rest: Nanos::ZERO,
            mishap: None,
        }
    }

    fn keep(&mut self, answer: Answer, out: &mut Vec<Output>) -> JobId {
        if answer.step.is_running() {
            self.busy.raise(self.now);
        }
        let id = self.answers.insert(answer);
        self.wake_at_end(id.slot, out);
        self.timeline.arm(out);
        id
    }

    fn wake_at_end(&mut self, slot: u32, out: &mut Vec<Output>) {
        let at = self.answers.at(slot).until;
        let key = self.answers.stamp(slot);
        if !at.is_far() {
            out.push(Output::WakeAt { at, key });
        }
    }

    /// The step of an answer is over.
    fn advance(&mut self, slot: u32, out: &mut Vec<Output>) {
        let now = self.now;
        let answer = self.answers.at_mut(slot);
        match answer.step {
            Step::Silence => {}
            Step::Rebuff { status } => {
                self.open(slot, status, out);
                self.end(slot);
            }
            Step::Whole { .. } => self.finish(slot, out),
            Step::Prefill => {
                let stream = answer.stream;
                let single = answer.usage.output <= 1;
                if stream {
                    self.open(slot, 200, out);
                    self.say(slot, AttemptEvent::FirstToken, out);
                }
                if single && self.answers.at(slot).mishap.is_none() {
                    self.finish(slot, out);
                } else {
                    self.decode(slot, 1, out);
                }
            }
            Step::Decode => match answer.mishap.take() {
                None => self.finish(slot, out),
                Some(Mishap::Cut { .. }) => {
                    self.break_off(slot, out);
                    self.end(slot);
                }
                Some(Mishap::Pause { tokens, pause }) => {
                    answer.step = Step::Pause;
                    answer.segment = Segment::still(answer.segment.sent(now).1, tokens);
                    answer.until += pause;
                    if answer.until.is_far() && !answer.heard {
                        // Never to go on, and nobody there to hang up.
                        self.end(slot);
                        return;
                    }
                    self.wake_at_end(slot, out);
                }
            },
            Step::Pause => {
                let tokens = answer.segment.sent(now).0;
                self.decode(slot, tokens, out);
            }
        }
    }

    /// Tokens begin to come, `from` of them already there, up to the next mishap or the end.
    fn decode(&mut self, slot: u32, from: u32, out: &mut Vec<Output>) {
        let answer = self.answers.at_mut(slot);
        let all = answer.usage.output.max(from);
        let goal = answer.mishap.map_or(all, Mishap::tokens);
        let part = share_of(answer.rest, goal - from, all - from);
        answer.rest = answer.rest - part;
        answer.step = Step::Decode;
        // From the instant that was planned, not from that of the call: a late driver must not slow an answer down.
        let begin = answer.until;
        answer.until = begin + part;
        answer.segment = Segment::new(begin, from, answer.until, goal);
        self.wake_at_end(slot, out);
    }

    fn finish(&mut self, slot: u32, out: &mut Vec<Output>) {
        let Answer {
            stream,
            heard,
            tag,
            usage,
            ..
        } = *self.answers.at(slot);
        if stream {
            self.say(slot, AttemptEvent::Finish { usage }, out);
        } else if heard {
            out.push(Output::Answer { tag, usage });
        }
        self.forget(slot, usage.output);
    }

    fn break_off(&self, slot: u32, out: &mut Vec<Output>) {
        let answer = self.answers.at(slot);
        if answer.heard && answer.has_begun() {
            out.push(Output::Sent {
                tag: answer.tag,
                sent: answer.sent(self.now),
            });
        }
        self.say(slot, AttemptEvent::Fail { fault: Fault::Stream }, out);
    }

    fn open(&self, slot: u32, status: Status, out: &mut Vec<Output>) {
        self.say(slot, AttemptEvent::Connected, out);
        self.say(
            slot,
            AttemptEvent::Open {
                status,
                code: None,
                retry_after: None,
            },
            out,
        );
    }

    fn say(&self, slot: u32, event: AttemptEvent, out: &mut Vec<Output>) {
        let answer = self.answers.at(slot);
        if answer.heard {
            out.push(Output::Progress { tag: answer.tag, event });
        }
    }

    fn end(&mut self, slot: u32) {
        let produced = self.answers.at(slot).produced(self.now);
        self.forget(slot, produced);
    }

    /// Forgets an answer and settles what it was charged.
    fn forget(&mut self, slot: u32, produced: u32) {
        let answer = self.answers.remove(slot);
        if answer.step.is_running() {
            self.busy.lower(self.now);
        }
        if let Some(charge) = answer.charge {
            self.quotas.settle(self.now, charge, produced);
        }
    }
}

impl Backend for Api {
    fn submit(&mut self, now: Instant, job: Job, out: &mut Vec<Output>) -> JobId {
        self.move_to(now, out);
        match self.timeline.receive(job.dice, job.attempt) {
            Reception::Welcome => {}
            Reception::Refused => return JobId::refuse_connection(&job, out),
            Reception::Silence => {
                let answer = self.turn_away(&job, None, Step::Silence, Nanos::FOREVER);
                return self.keep(answer, out);
            }
            Reception::Answer {
                status,
                code,
                after: Nanos::ZERO,
            } => {
                return JobId::answer(&job, status, code, None, out);
            }
            Reception::Answer { status, after, .. } => {
                let answer = self.turn_away(&job, None, Step::Rebuff { status }, after);
                return self.keep(answer, out);
            }
        }
        let charge = match self.quotas.admit(self.now, &job) {
            Ok(charge) => charge,
            Err(Exceeded { retry_after }) => return JobId::answer(&job, 429, None, retry_after, out),
        };
        let answer = match Step::background(&self.spec, &job) {
            None => self.begin(&job, charge),
            Some((step, after)) => self.turn_away(&job, Some(charge), step, after),
        };
        self.keep(answer, out)
    }

    fn wake(&mut self, now: Instant, key: WakeKey, out: &mut Vec<Output>) {
        self.move_to(now, out);
        if Timeline::owns(key) {
            self.timeline.woken(key);
            if !self.answers.is_empty() {
                self.timeline.arm(out);
            }
        } else if self.answers.awaits(key) {
            if self.now < self.answers.at(key.slot).until {
                self.wake_at_end(key.slot, out);
            } else {
                self.advance(key.slot, out);
            }
        }
    }

    fn cancel(&mut self, now: Instant, job: JobId, out: &mut Vec<Output>) {
        self.move_to(now, out);
        if self.answers.find(job).is_none() {
            return;
        }
        let answer = self.answers.at_mut(job.slot);
        let goes_on = answer.step.is_running() && !answer.until.is_far();
        if goes_on && self.on_cancel == OnCancel::Finish {
            answer.heard = false;
        } else {
            self.end(job.slot);
        }
    }

    fn progress(&self, now: Instant, job: JobId) -> Option<Sent> {
        self.answers
            .find(job)
            .filter(|answer| answer.heard)
            .map(|answer| answer.sent(now.max(self.now)))
    }

    fn next_token(&self, now: Instant, job: JobId) -> Option<Instant> {
        self.answers
            .find(job)
            .filter(|answer| answer.heard)
            .and_then(|answer| answer.next_token(now.max(self.now)))
    }

    fn inject(&mut self, now: Instant, fault: FaultSpec, out: &mut Vec<Output>) -> Result<(), OutOfRange> {
        self.move_to(now, out);
        let (before, after) = self.timeline.inject(self.now, fault)?;
        self.meet(before, after, out);
        Ok(())
    }

    fn clear(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.move_to(now, out);
        let (before, after) = self.timeline.clear(self.now);
        self.meet(before, after, out);
    }

    fn standings(&self, now: Instant) -> Vec<(Count, Standing)> {
        self.quotas.standings(now.max(self.now))
    }

    fn probe(&self, now: Instant) -> Probe {
        self.timeline.probe(now, self.dice.request(now.as_nanos()))
    }

    fn busy(&self, now: Instant) -> u128 {
        self.busy.at(now)
    }

    fn capacity(&self) -> Option<u32> {
        None
    }

    fn jobs(&self) -> usize {
        self.answers.len()
    }
}

//! Servers and a queue, as in queueing theory.
//!
//! | Law | Test |
//! |---|---|
//! | First come, first served with exponential service is M/M/c. | `mm1`, `mmc` |
//! | With a bound on the system it is M/M/c/K. | `mmck` |
//! | Shared servers do not feel the distribution of service. | `ps_is_insensitive` |
//! | Last come, first served waits as long on average, and less evenly. | `lifo` |
//! | The urgent wait less. | `priority` |
//! | Without a bound on servers nobody waits. | `mginf` |
//! | Servers are busy for as long as there was work, exactly. | `busy_is_the_work_done` |
//!
//! A job says nothing until its service is complete, and then everything at once.

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::AttemptEvent;
use tollgate_core::limit::Standing;
use tollgate_core::policy::Priority;
use tollgate_core::time::{Instant, Nanos};
use tollgate_core::usage::Usage;

use super::busy::Busy;
use super::line::Line;
use super::reception::Reception;
use super::sharing::Sharing;
use super::slab::{RESERVED, Slab};
use super::timeline::{Down, Level, Mishap, Timeline, scaled};
use super::work::{Place, Work};
use super::{
    Backend, Count, Discipline, FaultSpec, Job, JobId, OnCancel, Output, Probe, QueueSpec, Sent, Servers, WakeKey,
};
use crate::draw::OutOfRange;

/// Servers and a queue.
#[derive(Clone, Debug)]
pub struct Queue {
    spec: QueueSpec,
    on_cancel: OnCancel,
    dice: Dice,
    timeline: Timeline,
    jobs: Slab<Work>,
    line: Line,
    sharing: Option<Sharing>,
    servers: u32,
    /// Jobs being served, and those that wait or are served.
    served: u32,
    present: u32,
    busy: Busy,
    now: Instant,
}

/// The keys of shared servers.
const SHARED: u32 = RESERVED + 1;

impl Queue {
    pub(super) fn new(spec: &QueueSpec, on_cancel: OnCancel, faults: &[FaultSpec], dice: Dice) -> Queue {
        let servers = match spec.servers {
            Servers::Bounded(servers) => servers.get(),
            Servers::Unbounded => u32::MAX,
        };
        Queue {
            sharing: (spec.discipline == Discipline::Ps).then(|| Sharing::new(servers)),
            spec: spec.clone(),
            on_cancel,
            dice,
            timeline: Timeline::new(faults),
            jobs: Slab::new(),
            line: Line::EMPTY,
            servers,
            served: 0,
            present: 0,
            busy: Busy::default(),
            now: Instant::EPOCH,
        }
    }

    /// Moves to `now`, through every boundary of a fault and every end of shared service on the way.
    #[inline]
    fn move_to(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        if self.sharing.is_some() || self.timeline.is_due(self.now) {
            self.catch_up(out);
        }
    }

    fn catch_up(&mut self, out: &mut Vec<Output>) {
        while let Some((before, after)) = self.timeline.step(self.now) {
            self.cross(before, after, out);
        }
        while let Some(slot) = self
            .sharing
            .as_mut()
            .and_then(|sharing| sharing.done(self.now, &self.jobs))
        {
            self.complete(slot, self.now, out);
        }
    }

    #[cold]
    fn cross(&mut self, before: Level, after: Level, out: &mut Vec<Output>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.set_slowdown(self.now, after.slowdown);
        }
        // In the order in which they came, so that slots, which are used again, decide nothing.
        for slot in self.jobs.by_key(|work| work.arrived) {
            if !self.jobs.is_live(slot) {
                continue;
            }
            if let Some(down) = after.down_since(before) {
                self.strike(slot, down, out);
            } else if let Some(ratio) = after.slower_than(before)
                && let Place::Served { until } = &mut self.jobs.at_mut(slot).place
            {
                *until = self.now + scaled(until.since(self.now), ratio);
                let until = *until;
                self.wake_at(slot, until, out);
            }
        }
    }

    /// The backend goes down with a job in it; it leaves, as all others do.
    fn strike(&mut self, slot: u32, down: Down, out: &mut Vec<Output>) {
        let work = *self.jobs.at(slot);
        if matches!(work.place, Place::Rebuff { .. } | Place::Silence) {
            return;
        }
        self.withdraw(slot);
        match down {
            Down::Silent if work.heard => {
                self.jobs.at_mut(slot).place = Place::Silence;
                self.jobs.stamp(slot);
                return;
            }
            Down::Silent => {}
            Down::Refused => work.say(AttemptEvent::Fail { fault: Fault::Connect }, out),
            Down::Answers(status) => work.open(status, out),
        }
        self.jobs.discard(slot);
    }

    /// Takes a job out of the line or off its server. Its slot stays.
    #[inline]
    fn withdraw(&mut self, slot: u32) {
        let Work { place, priority, .. } = *self.jobs.at(slot);
        match place {
            Place::Held { .. } | Place::Rebuff { .. } | Place::Silence => return,
            Place::Waiting => self.line.leave(slot, priority, &mut self.jobs),
            Place::Served { .. } => self.served -= 1,
            Place::Shared => {
                self.served -= 1;
                let sharing = self.sharing.as_mut().expect("only shared servers are shared");
                sharing.leave(self.now, &self.jobs);
            }
        }
        self.present -= 1;
        self.count_busy();
    }

    #[inline]
    fn count_busy(&mut self) {
        self.busy.set(self.now, u64::from(self.served.min(self.servers)));
    }

    /// Service is over; the next may begin at `free`.
    #[inline]
    fn complete(&mut self, slot: u32, free: Instant, out: &mut Vec<Output>) {
        self.withdraw(slot);
        let work = self.jobs.at_mut(slot);
        match work.mishap.filter(|_| work.heard) {
            Some(Mishap::Pause { pause, .. }) => {
                let until = self.now + pause;
                work.place = Place::Held { until };
                self.wake_at(slot, until, out);
            }
            Some(Mishap::Cut { .. }) => {
                work.open(200, out);
                work.say(AttemptEvent::Fail { fault: Fault::Stream }, out);
                self.jobs.discard(slot);
            }
            None => {
                work.answer(out);
                self.jobs.discard(slot);
            }
        }
        self.serve_next(free, out);
    }

    /// Fills the servers that are free since `free`.
    #[inline]
    fn serve_next(&mut self, free: Instant, out: &mut Vec<Output>) {
        while self.served < self.servers
            && let Some(slot) = self.next()
        {
            let Work { heard, arrived, .. } = *self.jobs.at(slot);
            if !heard && self.spec.drop_expired {
                self.withdraw(slot);
                self.jobs.discard(slot);
            } else {
                let priority = self.jobs.at(slot).priority;
                self.line.leave(slot, priority, &mut self.jobs);
                // Not from the instant of the call: a late driver must not slow the servers down.
                self.serve(slot, free.max(arrived), out);
            }
        }
    }

    /// Whose turn it is.
    #[inline]
    fn next(&self) -> Option<u32> {
        match self.spec.discipline {
            Discipline::Fifo | Discipline::Priority => self.line.first(),
            Discipline::Lifo => self.line.last(),
            Discipline::Ps => None,
        }
    }

    #[inline]
    fn serve(&mut self, slot: u32, begin: Instant, out: &mut Vec<Output>) {
        let slowdown = self.timeline.level().slowdown;
        let work = self.jobs.at_mut(slot);
        let until = begin + scaled(work.service, slowdown);
        work.place = Place::Served { until };
        self.served += 1;
        self.count_busy();
        self.wake_at(slot, until, out);
    }

    fn enter(&mut self, job: &Job, out: &mut Vec<Output>) -> JobId {
        let id = self.jobs.insert(Work {
            usage: Usage {
                input: job.input,
                output: job.output.min(job.max_output.unwrap_or(u32::MAX)),
            },
            priority: if self.spec.discipline == Discipline::Priority {
                job.priority
            } else {
                Priority::Normal
            },
            service: self
                .spec
                .service
                .sample_secs(&mut job.dice.roll(Purpose::Service, job.attempt)),
            mishap: self.timeline.mishap(job.dice, job.attempt, job.output),
            ..Work::new(job, self.now, Place::Waiting)
        });
        self.present += 1;
        let work = self.jobs.at_mut(id.slot);
        if let Some(sharing) = &mut self.sharing {
            work.place = Place::Shared;
            sharing.join(self.now, id, work.service);
            self.served += 1;
            self.count_busy();
        } else if self.served < self.servers {
            self.serve(id.slot, self.now, out);
        } else {
            let priority = work.priority;
            self.line.join(id.slot, priority, &mut self.jobs);
        }
        id
    }

    #[inline]
    fn wake_at(&mut self, slot: u32, at: Instant, out: &mut Vec<Output>) {
        let key = self.jobs.stamp(slot);
        if !at.is_far() {
            out.push(Output::WakeAt { at, key });
        }
    }

    /// Asks for what a change has made necessary.
    #[inline]
    fn arm(&mut self, out: &mut Vec<Output>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.arm(SHARED, &self.jobs, out);
        }
        if !self.jobs.is_empty() {
            self.timeline.arm(out);
        }
    }

    #[inline]
    fn job_woken(&mut self, slot: u32, out: &mut Vec<Output>) {
        let work = self.jobs.at(slot);
        match work.place {
            Place::Served { until } | Place::Held { until } | Place::Rebuff { until, .. } if self.now < until => {
                self.wake_at(slot, until, out);
            }
            Place::Served { until } => self.complete(slot, until, out),
            Place::Held { .. } => {
                work.answer(out);
                self.jobs.discard(slot);
            }
            Place::Rebuff { status, .. } => {
                work.open(status, out);
                self.jobs.discard(slot);
            }
            Place::Waiting | Place::Shared | Place::Silence => {}
        }
    }
}

impl Backend for Queue {
    fn submit(&mut self, now: Instant, job: Job, out: &mut Vec<Output>) -> JobId {
        self.move_to(now, out);
        let id = match self.timeline.receive(job.dice, job.attempt) {
            Reception::Welcome
                if self
                    .spec
                    .capacity
                    .is_some_and(|capacity| capacity.get() <= self.present) =>
            {
                JobId::answer(&job, 503, None, None, out)
            }
            Reception::Welcome => self.enter(&job, out),
            Reception::Refused => JobId::refuse_connection(&job, out),
            Reception::Silence => self.jobs.insert(Work::new(&job, self.now, Place::Silence)),
            Reception::Answer {
                status,
                code,
                after: Nanos::ZERO,
            } => JobId::answer(&job, status, code, None, out),
            Reception::Answer { status, after, .. } => {
                let until = self.now + after;
                let id = self
                    .jobs
                    .insert(Work::new(&job, self.now, Place::Rebuff { status, until }));
                self.wake_at(id.slot, until, out);
                id
            }
        };
        self.arm(out);
        id
    }

    fn wake(&mut self, now: Instant, key: WakeKey, out: &mut Vec<Output>) {
        self.move_to(now, out);
        if Timeline::owns(key) {
            self.timeline.woken(key);
        } else if key.slot == SHARED {
            if let Some(sharing) = &mut self.sharing {
                sharing.woken(key);
            }
        } else if self.jobs.awaits(key) {
            self.job_woken(key.slot, out);
        }
        self.arm(out);
    }

    fn cancel(&mut self, now: Instant, job: JobId, out: &mut Vec<Output>) {
        self.move_to(now, out);
        if self.jobs.find(job).is_some() {
            let work = self.jobs.at_mut(job.slot);
            let goes_on = match work.place {
                Place::Waiting | Place::Served { .. } | Place::Shared => self.on_cancel == OnCancel::Finish,
                Place::Held { .. } | Place::Rebuff { .. } | Place::Silence => false,
            };
            if goes_on {
                work.heard = false;
            } else {
                self.withdraw(job.slot);
                self.jobs.discard(job.slot);
                self.serve_next(self.now, out);
            }
        }
        self.arm(out);
    }

    fn progress(&self, _now: Instant, job: JobId) -> Option<Sent> {
        let work = self.jobs.find(job).filter(|work| work.heard)?;
        Some(Sent {
            connected: true,
            tokens: 0,
            last: work.arrived,
        })
    }

    /// A job says nothing until its service is complete, and then everything at once.
    fn next_token(&self, _now: Instant, _job: JobId) -> Option<Instant> {
        None
    }

    fn inject(&mut self, now: Instant, fault: FaultSpec, out: &mut Vec<Output>) -> Result<(), OutOfRange> {
        self.move_to(now, out);
        let (before, after) = self.timeline.inject(self.now, fault)?;
        self.cross(before, after, out);
        self.arm(out);
        Ok(())
    }

    fn clear(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.move_to(now, out);
        let (before, after) = self.timeline.clear(self.now);
        self.cross(before, after, out);
        self.arm(out);
    }

    /// Servers and a queue have no quotas.
    fn standings(&self, _now: Instant) -> Vec<(Count, Standing)> {
        Vec::new()
    }

    fn probe(&self, now: Instant) -> Probe {
        self.timeline.probe(now, self.dice.request(now.as_nanos()))
    }

    fn busy(&self, now: Instant) -> u128 {
        self.busy.at(now)
    }

    fn capacity(&self) -> Option<u32> {
        match self.spec.servers {
            Servers::Bounded(servers) => Some(servers.get()),
            Servers::Unbounded => None,
        }
    }

    fn jobs(&self) -> usize {
        self.jobs.len()
    }
}

//! Whatever backend a scenario names, without a virtual call.

use tollgate_core::dice::Dice;
use tollgate_core::limit::Standing;
use tollgate_core::time::Instant;

use super::{Api, Backend, BackendSpec, Count, FaultSpec, Job, JobId, Kind, Output, Probe, Queue, Sent, WakeKey};
use crate::draw::OutOfRange;

/// A backend of any kind.
///
/// ```
/// use tollgate_core::dice::Dice;
/// use tollgate_core::policy::Priority;
/// use tollgate_core::time::Instant;
/// use tollgate_mock_llm::draw::Distribution;
/// use tollgate_mock_llm::model::{AnyBackend, ApiSpec, Backend, BackendSpec, Job, Kind, Output};
///
/// let api = ApiSpec::new(Distribution::constant(0.5)?, Distribution::constant(0.01)?);
/// let mut backend = AnyBackend::new(&BackendSpec::new("alpha", Kind::Api(api)), Dice::new(7))?;
///
/// let dice = Dice::new(7).request(0);
/// let job = Job {
///     tag: 3, dice, attempt: 0, input: 600, cached: 0, output: 151, max_output: None, stream: true,
///     priority: Priority::Normal,
/// };
/// let mut out = Vec::new();
/// let id = backend.submit(Instant::EPOCH, job, &mut out);
/// let Output::WakeAt { at, key } = out.remove(0) else { panic!("the answer takes time") };
/// assert_eq!(at.as_secs_f64(), 0.5);
///
/// backend.wake(at, key, &mut out); // connected, open, first token
/// assert_eq!(backend.progress(Instant::from_secs(1), id).map(|sent| sent.tokens), Some(51));
/// # Ok::<(), tollgate_mock_llm::draw::OutOfRange>(())
/// ```
#[derive(Clone, Debug)]
pub enum AnyBackend {
    /// An LLM service seen from outside.
    Api(Box<Api>),
    /// Servers and a queue.
    Queue(Box<Queue>),
}

impl AnyBackend {
    /// The backend of `spec`, with dice of its own: [`Dice::branch`] by its place in the scenario.
    ///
    /// # Errors
    ///
    /// If [`BackendSpec::check`] finds one.
    pub fn new(spec: &BackendSpec, dice: Dice) -> Result<AnyBackend, OutOfRange> {
        spec.check()?;
        Ok(match &spec.kind {
            Kind::Api(api) => AnyBackend::Api(Box::new(Api::new(api, spec.on_cancel, &spec.faults, dice))),
            Kind::Queue(queue) => AnyBackend::Queue(Box::new(Queue::new(queue, spec.on_cancel, &spec.faults, dice))),
        })
    }
}

macro_rules! each {
    ($self:ident, $backend:ident => $call:expr) => {
        match $self {
            AnyBackend::Api($backend) => $call,
            AnyBackend::Queue($backend) => $call,
        }
    };
}

impl Backend for AnyBackend {
    #[inline]
    fn submit(&mut self, now: Instant, job: Job, out: &mut Vec<Output>) -> JobId {
        each!(self, backend => backend.submit(now, job, out))
    }

    #[inline]
    fn wake(&mut self, now: Instant, key: WakeKey, out: &mut Vec<Output>) {
        each!(self, backend => backend.wake(now, key, out));
    }

    #[inline]
    fn cancel(&mut self, now: Instant, job: JobId, out: &mut Vec<Output>) {
        each!(self, backend => backend.cancel(now, job, out));
    }

    #[inline]
    fn progress(&self, now: Instant, job: JobId) -> Option<Sent> {
        each!(self, backend => backend.progress(now, job))
    }

    fn next_token(&self, now: Instant, job: JobId) -> Option<Instant> {
        each!(self, backend => backend.next_token(now, job))
    }

    fn inject(&mut self, now: Instant, fault: FaultSpec, out: &mut Vec<Output>) -> Result<(), OutOfRange> {
        each!(self, backend => backend.inject(now, fault, out))
    }

    fn clear(&mut self, now: Instant, out: &mut Vec<Output>) {
        each!(self, backend => backend.clear(now, out));
    }

    fn standings(&self, now: Instant) -> Vec<(Count, Standing)> {
        each!(self, backend => backend.standings(now))
    }

    fn probe(&self, now: Instant) -> Probe {
        each!(self, backend => backend.probe(now))
    }

    fn busy(&self, now: Instant) -> u128 {
        each!(self, backend => backend.busy(now))
    }

    fn capacity(&self) -> Option<u32> {
        each!(self, backend => backend.capacity())
    }

    fn jobs(&self) -> usize {
        each!(self, backend => backend.jobs())
    }
}

//! A whole workload: checked numbers, and the draws that make calls of them.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tollgate_core::dice::{Dice, Purpose};
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::Distribution;

use super::arrivals::{ArrivalSpec, Arrivals, ClosedSpec};
use super::call::{Call, Model};
use super::client::{Answer, Client, ClientSpec, Patience};
use super::error::{Faults, WorkloadErrors};
use super::lengths::{self, MAX_TOKENS, MaxTokens};
use super::tenants::{Tenant, Tenants, TenantsSpec};
use crate::trace::{ReadOptions, Trace, TraceError};

/// The table `[workload]` of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadSpec {
    /// When calls arrive.
    pub arrivals: ArrivalSpec,
    /// Tokens of prompts, where no trace tells them.
    pub prompt_tokens: Distribution,
    /// Tokens of answers, where no trace tells them.
    pub output_tokens: Distribution,
    /// What clients declare as the most tokens that they want.
    pub max_tokens: MaxTokens,
    /// Whose calls they are.
    pub tenants: TenantsSpec,
    /// Share of calls whose answers are streamed.
    pub stream: f64,
    /// What clients do when an answer is not what they wanted.
    pub client: ClientSpec,
}

impl WorkloadSpec {
    /// Whether every number is possible. Reads no file.
    ///
    /// # Errors
    ///
    /// Every impossible one, by field.
    pub fn check(&self) -> Result<(), WorkloadErrors> {
        let mut faults = Faults::default();
        self.arrivals.check_into(&mut faults);
        for (field, lengths) in [
            ("prompt_tokens", &self.prompt_tokens),
            ("output_tokens", &self.output_tokens),
        ] {
            faults.within(field, lengths.mean(), 0.0, f64::from(MAX_TOKENS));
        }
        if let MaxTokens::Number(number) = self.max_tokens {
            faults.within("max_tokens", f64::from(number), 1.0, f64::from(MAX_TOKENS));
        }
        self.tenants.check_into(&mut faults);
        faults.within("stream", self.stream, 0.0, 1.0);
        self.client.check_into(&mut faults);
        faults.finish()
    }
}

/// A checked workload, shared by every strategy and replication.
#[derive(Clone, Debug)]
pub struct Workload {
    spec: WorkloadSpec,
    client: Client,
    tenants: Tenants,
    trace: Option<Arc<Trace>>,
    streamed_below: u64,
}

/// The draw of patience and that of think time have numbers that no retry has.
const PATIENCE: u32 = u32::MAX;
const THINK: u32 = u32::MAX - 1;

impl Workload {
    /// The trace that is replayed, if one is.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// The same, for another workload on it.
    #[must_use]
    pub fn shared_trace(&self) -> Option<Arc<Trace>> {
        self.trace.clone()
    }

    /// The name of the file that is replayed, if one is.
    #[must_use]
    pub fn trace_name(&self) -> Option<String> {
        let ArrivalSpec::Trace(trace) = &self.spec.arrivals else {
            return None;
        };
        trace.file.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// Checks `spec`, and reads its trace if it names one.
    ///
    /// # Errors
    ///
    /// Every impossible number, or what is wrong with the trace.
    pub fn open(spec: WorkloadSpec) -> Result<Workload, OpenError> {
        Workload::open_for(spec, Nanos::FOREVER)
    }

    /// As [`Workload::open`] for a run in which nothing arrives from `duration` on: a trace is read no further.
    ///
    /// # Errors
    ///
    /// As [`Workload::open`].
    pub fn open_for(spec: WorkloadSpec, duration: Nanos) -> Result<Workload, OpenError> {
        spec.check()?;
        let trace = match &spec.arrivals {
            ArrivalSpec::Trace(trace) => {
                let recorded = Nanos::from_secs_f64(duration.as_secs_f64() * trace.speedup);
                let until = (!duration.is_forever()).then_some(recorded);
                let options = ReadOptions {
                    format: trace.format.clone(),
                    until,
                    ..ReadOptions::default()
                };
                Some(Arc::new(Trace::load(&trace.file, &options)?))
            }
            ArrivalSpec::Deterministic { .. }
            | ArrivalSpec::Poisson { .. }
            | ArrivalSpec::Gamma { .. }
            | ArrivalSpec::Weibull { .. }
            | ArrivalSpec::Mmpp { .. }
            | ArrivalSpec::Hawkes { .. }
            | ArrivalSpec::Schedule { .. }
            | ArrivalSpec::Diurnal { .. }
            | ArrivalSpec::Closed(_) => None,
        };
        Ok(Workload::assemble(spec, trace)?)
    }

    /// Checks `spec`, and replays `trace` where `spec` names one: the file is not read.
    ///
    /// # Errors
    ///
    /// Every impossible number.
    pub fn with_trace(spec: WorkloadSpec, trace: Arc<Trace>) -> Result<Workload, WorkloadErrors> {
        spec.check()?;
        Workload::assemble(spec, Some(trace))
    }

    fn assemble(spec: WorkloadSpec, trace: Option<Arc<Trace>>) -> Result<Workload, WorkloadErrors> {
        let client = Client::new(&spec.client)?;
        let tenants = match &trace {
            Some(trace) if !trace.tenants().is_empty() => Tenants::named(trace.tenants(), &spec.tenants),
            Some(_) | None => Tenants::new(&spec.tenants),
        };
        let streamed_below = threshold(spec.stream);
        Ok(Workload {
            spec,
            client,
            tenants,
            trace,
            streamed_below,
        })
    }

    /// What the scenario says.
    #[must_use]
    pub const fn spec(&self) -> &WorkloadSpec {
        &self.spec
    }

    /// Who there is.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        self.tenants.as_slice()
    }

    /// The models that a trace names; empty without one.
    #[must_use]
    pub fn models(&self) -> &[String] {
        self.trace.as_ref().map_or(&[], |trace| trace.models())
    }

    /// What clients do when an answer is not what they wanted.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The users of a closed workload; none if arrivals do not wait for answers.
    #[must_use]
    pub const fn closed(&self) -> Option<&ClosedSpec> {
        match &self.spec.arrivals {
            ArrivalSpec::Closed(closed) => Some(closed),
            ArrivalSpec::Deterministic { .. }
            | ArrivalSpec::Poisson { .. }
            | ArrivalSpec::Gamma { .. }
            | ArrivalSpec::Weibull { .. }
            | ArrivalSpec::Mmpp { .. }
            | ArrivalSpec::Hawkes { .. }
            | ArrivalSpec::Schedule { .. }
            | ArrivalSpec::Diurnal { .. }
            | ArrivalSpec::Trace(_) => None,
        }
    }

    /// The arrivals of one replication; none for a closed workload, which the simulator drives.
    #[must_use]
    pub fn arrivals(&self, dice: Dice) -> Option<Arrivals> {
        match (&self.spec.arrivals, &self.trace) {
            (ArrivalSpec::Trace(spec), Some(trace)) => Some(Arrivals::replay(Arc::clone(trace), spec.speedup)),
            (spec, _) => Arrivals::new(spec, dice).ok(),
        }
    }

    /// Call `number`, the same whatever was asked before.
    #[must_use]
    #[inline]
    pub fn call(&self, dice: Dice, number: u64) -> Call {
        let dice = dice.request(number);
        let recorded = match &self.trace {
            None => None,
            Some(trace) => usize::try_from(number).ok().and_then(|index| trace.row(index)),
        };
        let recorded = recorded.unwrap_or_default();
        let prompt = match recorded.prompt {
            Some(prompt) => prompt.get(),
            None => lengths::draw(&self.spec.prompt_tokens, dice, Purpose::Prompt),
        };
        let wanted = match recorded.output {
            Some(output) => output.get(),
            None => lengths::draw(&self.spec.output_tokens, dice, Purpose::Output),
        };
        let (max_tokens, output) = match recorded.max_tokens {
            Some(most) => (Some(most.get()), wanted.min(most.get())),
            None => self.spec.max_tokens.apply(wanted),
        };
        let tenant = match recorded.tenant {
            Some(tenant) => tenant,
            None => self.tenants.draw(&mut dice.roll(Purpose::Tenant, 0)),
        };
        let stream = match recorded.stream {
            Some(stream) => stream,
            None => 0 < self.streamed_below && dice.roll(Purpose::Stream, 0).next_u64() < self.streamed_below,
        };
        Call {
            number,
            tenant,
            prompt,
            output,
            max_tokens,
            stream,
            model: recorded.model.map(Model),
        }
    }

    /// How long the person behind call `number` waits for it, from its arrival; none without end.
    #[must_use]
    #[inline]
    pub fn patience(&self, dice: Dice, number: u64) -> Option<Nanos> {
        match self.spec.client.patience {
            Patience::None => None,
            Patience::Within(_) => self
                .client
                .patience(&mut dice.request(number).roll(Purpose::Client, PATIENCE)),
        }
    }

    /// After how long the client of call `number` asks again that has asked again so often; none if it gives up.
    #[must_use]
    pub fn retry(&self, dice: Dice, number: u64, retries: u32, answer: &Answer) -> Option<Nanos> {
        let mut rng = dice.request(number).roll(Purpose::Client, retries);
        self.client.next(retries, answer, &mut rng)
    }

    /// In a closed workload, the number of the call that `user` makes after so many others: users take turns.
    #[must_use]
    pub fn user_call(&self, user: u32, calls: u64) -> u64 {
        let users = u64::from(self.closed().map_or(1, |closed| closed.users));
        calls * users + u64::from(user)
    }

    /// In a closed workload, how long a user thinks before asking call `number`; zero in an open one.
    #[must_use]
    pub fn think(&self, dice: Dice, number: u64) -> Nanos {
        match self.closed() {
            Some(closed) => closed
                .think
                .sample_secs(&mut dice.request(number).roll(Purpose::Client, THINK)),
            None => Nanos::ZERO,
        }
    }
}

/// The number that a share of all 64-bit numbers is below; at 1, all but one in 2^64.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1; the cast saturates at 1"
)]
fn threshold(share: f64) -> u64 {
    (share * 18_446_744_073_709_551_616.0) as u64
}

/// Why a workload cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Impossible numbers.
    Workload(WorkloadErrors),
    /// A trace that cannot be read.
    Trace(TraceError),
}

impl From<WorkloadErrors> for OpenError {
    fn from(errors: WorkloadErrors) -> OpenError {
        OpenError::Workload(errors)
    }
}

impl From<TraceError> for OpenError {
    fn from(error: TraceError) -> OpenError {
        OpenError::Trace(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Workload(errors) => errors.fmt(f),
            OpenError::Trace(error) => error.fmt(f),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OpenError::Workload(errors) => Some(errors),
            OpenError::Trace(error) => Some(error),
        }
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;

//! `[[fault]]`

use tollgate_core::dice::Dice;
use tollgate_core::file::kind;
use tollgate_core::file::{At, Section, nearest};
use tollgate_core::time::{Instant, Nanos};
use tollgate_mock_llm::draw::Distribution;
use tollgate_mock_llm::model::file::FAULTS;
use tollgate_mock_llm::model::{BackendSpec, FaultKind, FaultSpec};

use super::distribution::{self, Measure};
use super::{Folder, RunSpec};

/// What goes wrong, with whom, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// With which backends: positions in the scenario's list. All of them at once.
    pub backends: Vec<usize>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// When.
    pub when: When,
}

/// When something goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Once.
    Once {
        /// From when.
        at: Instant,
        /// For how long.
        lasts: Nanos,
    },
    /// Again and again, drawn anew for each replication.
    Drawn {
        /// Seconds of peace.
        every: Distribution,
        /// Seconds of fault.
        lasts: Distribution,
    },
}

/// The faults of each of `n_backends` in the replication of `dice`, drawn ones included, up to `until`. The backends of
/// one fault have its windows in common.
///
/// # Panics
///
/// Never: reading has checked the numbers.
#[must_use]
pub fn incidents(plans: &[FaultPlan], n_backends: usize, until: Instant, dice: Dice) -> Vec<Vec<FaultSpec>> {
    let in_range = "a fault is checked when it is read";
    let mut incidents = vec![Vec::new(); n_backends];
    for (number, plan) in (0_u64..).zip(plans) {
        let windows = match &plan.when {
            When::Once { at, lasts } => vec![FaultSpec::new(plan.kind, *at, *lasts).expect(in_range)],
            When::Drawn { every, lasts } => {
                let dice = dice.branch(number);
                FaultSpec::drawn(plan.kind, every, lasts, Instant::EPOCH, until, dice).expect(in_range)
            }
        };
        for backend in &plan.backends {
            incidents[*backend].extend_from_slice(&windows);
        }
    }
    incidents
}

pub(super) fn read(
    section: &Section<'_>,
    backends: &[At<BackendSpec>],
    run: &RunSpec,
    folder: &Folder<'_>,
) -> Option<FaultPlan> {
    let hit = hit(section, backends);
    let kind = section.required("kind", kind::one_of(FAULTS, &["store-outage", "store-slow"]));
    let Some(word) = kind else {
        // Which other keys there may be, nobody can say.
        let _: Vec<_> = section.entries();
        return None;
    };
    let kind = word.value.read(section);
    let when = if section.has("every") {
        drawn(section, kind, run, folder)
    } else {
        once(section, kind, run)
    }?;
    Some(FaultPlan {
        backends: hit,
        kind,
        when,
    })
}

/// Whom it hits: one backend by name, or all of a region.
fn hit(section: &Section<'_>, backends: &[At<BackendSpec>]) -> Vec<usize> {
    let backend = section.optional("backend", kind::name);
    let region = section.optional("region", kind::name);
    let report = section.report();
    match (backend, region) {
        (Some(_), Some(region)) => {
            report.error(
                region.span,
                "`backend` and `region` exclude each other",
                "one of them",
                None::<&str>,
            );
            Vec::new()
        }
        (Some(backend), None) => {
            let found = backends.iter().position(|at| at.value.name == backend.value);
            if found.is_none() {
                let help = nearest(&backend.value, backends.iter().map(|at| at.value.name.as_str())).help("backend");
                report.error(
                    backend.span,
                    format!("no backend is called `{}`", backend.value),
                    "unknown backend",
                    help,
                );
            }
            found.into_iter().collect()
        }
        (None, Some(region)) => {
            let regions = || backends.iter().map(|at| at.value.region.as_deref());
            let found: Vec<usize> = regions()
                .enumerate()
                .filter(|(_, of)| *of == Some(&region.value))
                .map(|(at, _)| at)
                .collect();
            if found.is_empty() {
                let help = nearest(&region.value, regions().flatten()).help("region");
                let help = help.unwrap_or_else(|| String::from("give a backend a `region`"));
                report.error(
                    region.span,
                    format!("no backend is in region `{}`", region.value),
                    "unknown region",
                    Some(help),
                );
            }
            found
        }
        (None, None) => {
            if !section.has("backend") && !section.has("region") {
                section.missing("backend");
            }
            Vec::new()
        }
    }
}

fn once(section: &Section<'_>, kind: FaultKind, run: &RunSpec) -> Option<When> {
    let at = section.required("at", kind::duration);
    let lasts = match kind {
        FaultKind::SlowStart { ramp } => Some(ramp),
        FaultKind::ConnectionRefused
        | FaultKind::BlackHole
        | FaultKind::Outage { .. }
        | FaultKind::QuotaExhausted
        | FaultKind::FailFast { .. }
        | FaultKind::ErrorBurst { .. }
        | FaultKind::Brownout { .. }
        | FaultKind::Stall { .. }
        | FaultKind::Truncate { .. } => section.required("for", kind::length).map(|lasts| lasts.value),
    };
    let at = at?;
    if let Some(duration) = run.duration
        && duration <= at.value
    {
        let message = format!("a fault at {} never happens: the run ends at {duration}", at.value);
        let help = Some("an earlier fault, or a longer run");
        section.report().error(at.span, message, "after the end", help);
    }
    let when = When::Once {
        at: Instant::EPOCH + at.value,
        lasts: lasts?,
    };
    Some(when)
}

fn drawn(section: &Section<'_>, kind: FaultKind, run: &RunSpec, folder: &Folder<'_>) -> Option<When> {
    section.forbid(
        "at",
        "`at` and `every` exclude each other",
        "once, or again and again?",
        "leave one of them out",
    );
    let every = distribution::optional(section, "every", Measure::Time, folder);
    let lasts = match kind {
        FaultKind::SlowStart { ramp } => distribution::constant(ramp.as_secs_f64()),
        FaultKind::ConnectionRefused
        | FaultKind::BlackHole
        | FaultKind::Outage { .. }
        | FaultKind::QuotaExhausted
        | FaultKind::FailFast { .. }
        | FaultKind::ErrorBurst { .. }
        | FaultKind::Brownout { .. }
        | FaultKind::Stall { .. }
        | FaultKind::Truncate { .. } => distribution::required(section, "for", Measure::Time, folder),
    };
    let every = every?;
    if run.duration.is_none() {
        let help = Some("add `duration` to [run]");
        let message = "faults can only be drawn for a run whose duration is known";
        section
            .report()
            .error(section.place("every"), message, "until when?", help);
    }
    if every.mean() < LEAST_PEACE {
        let help = Some("at least \"1ms\" on average");
        section.report().error(
            section.place("every"),
            "these faults never come to an end",
            "too often",
            help,
        );
    }
    Some(When::Drawn { every, lasts })
}

/// Seconds between two faults, on average.
const LEAST_PEACE: f64 = 1e-3;

//! A whole trace in memory.

use std::num::NonZeroU32;

use tollgate_core::time::Nanos;

use super::TraceRow;

/// The most tenants of a trace.
pub(crate) const MAX_TENANTS: usize = (1 << TENANT_BITS) - 1;
/// The most models of a trace.
pub(crate) const MAX_MODELS: usize = 255;

const TENANT_BITS: u32 = 22;

/// A recorded workload: 24 bytes a row, to be shared by `Arc`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    rows: Vec<Packed>,
    tenants: Vec<String>,
    models: Vec<String>,
    is_cut: bool,
    notes: Vec<String>,
}

/// Zero stands for "the trace does not tell" in every field but the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    time: u64,
    prompt: u32,
    output: u32,
    max_tokens: u32,
    /// Tenant plus one, then eight bits of model plus one, then two of stream plus one.
    rest: u32,
}

const _: () = assert!(size_of::<Packed>() == 24);

impl Packed {
    fn new(row: &TraceRow) -> Packed {
        let or_zero = |count: Option<NonZeroU32>| count.map_or(0, NonZeroU32::get);
        let tenant = row.tenant.map_or(0, |tenant| tenant + 1);
        let model = row.model.map_or(0, |model| u32::from(model) + 1);
        let stream = match row.stream {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        debug_assert!(tenant < 1 << TENANT_BITS && model < 256, "the reader bounds names");
        Packed {
            time: row.time.as_nanos(),
            prompt: or_zero(row.prompt),
            output: or_zero(row.output),
            max_tokens: or_zero(row.max_tokens),
            rest: tenant | model << TENANT_BITS | stream << (TENANT_BITS + 8),
        }
    }

    #[inline]
    fn row(self) -> TraceRow {
        let tenant = self.rest & ((1 << TENANT_BITS) - 1);
        let [model, ..] = (self.rest >> TENANT_BITS).to_le_bytes();
        TraceRow {
            time: Nanos::from_nanos(self.time),
            prompt: NonZeroU32::new(self.prompt),
            output: NonZeroU32::new(self.output),
            max_tokens: NonZeroU32::new(self.max_tokens),
            tenant: tenant.checked_sub(1),
            model: model.checked_sub(1),
            stream: match self.rest >> (TENANT_BITS + 8) {
                0 => None,
                1 => Some(false),
                _ => Some(true),
            },
        }
    }
}

impl Trace {
    /// Begins a trace with room for `rows`.
    pub(crate) fn with_capacity(rows: usize) -> Trace {
        Trace {
            rows: Vec::with_capacity(rows),
            ..Trace::default()
        }
    }

    pub(crate) fn push(&mut self, row: &TraceRow) {
        self.rows.push(Packed::new(row));
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.rows.reserve_exact(rows);
    }

    /// Puts the rows in order of time, equal times as they were.
    pub(crate) fn sort(&mut self) {
        self.rows.sort_by_key(|packed| packed.time);
    }

    /// Makes every time count from `origin`, which none is before.
    pub(crate) fn shift_back(&mut self, origin: Nanos) {
        for packed in &mut self.rows {
            packed.time = packed.time.saturating_sub(origin.as_nanos());
        }
    }

    /// Leaves out the rows from `until` on; whether there are any.
    pub(crate) fn truncate(&mut self, until: Nanos) -> bool {
        let kept = self.rows.partition_point(|packed| packed.time < until.as_nanos());
        let is_cut = kept < self.rows.len();
        self.rows.truncate(kept);
        is_cut
    }

    pub(crate) fn finish(
        mut self,
        tenants: Vec<String>,
        models: Vec<String>,
        notes: Vec<String>,
        is_cut: bool,
    ) -> Trace {
        self.rows.shrink_to_fit();
        Trace {
            tenants,
            models,
            is_cut,
            notes,
            ..self
        }
    }

    /// Whether the file goes on after the last row, from [`ReadOptions::until`](super::ReadOptions::until) on.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no call. A trace that was loaded has at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Call `index`.
    #[must_use]
    #[inline]
    pub fn row(&self, index: usize) -> Option<TraceRow> {
        self.rows.get(index).map(|packed| packed.row())
    }

    /// Every call, in order of time.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = TraceRow> + '_ {
        self.rows.iter().map(|packed| packed.row())
    }

    /// From the beginning of the trace to its last call.
    #[must_use]
    pub fn duration(&self) -> Nanos {
        self.rows
            .last()
            .map_or(Nanos::ZERO, |packed| Nanos::from_nanos(packed.time))
    }

    /// The names of the tenants; empty if the trace does not tell.
    #[must_use]
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// What whoever uses it should know: what was left out of it, and why.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The names of the models; empty if the trace does not tell.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }
}

//! How long an endpoint was out of its pool, whatever for: the union of its ejections.

use tollgate_core::time::Instant;

/// The ejections of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ejections {
    /// Since when it has been out for failing.
    out: Option<Instant>,
    /// Until when its scope has asked to be left alone.
    cooling: Instant,
    /// Everything before this has been told.
    told: Instant,
}

impl Ejections {
    /// It failed.
    pub(super) fn fail(&mut self, now: Instant) {
        self.out.get_or_insert(now);
    }

    /// Its scope asks to be left alone; returns the part of that which is news.
    pub(super) fn cool(&mut self, now: Instant, until: Instant) -> Option<(Instant, Instant)> {
        self.cooling = self.cooling.max(until);
        if self.out.is_some() {
            return None;
        }
        self.tell(now, until)
    }

    /// It is back from having failed; returns how long it was out, as far as that is news.
    pub(super) fn restore(&mut self, now: Instant) -> Option<(Instant, Instant)> {
        let since = self.out.take()?;
        self.tell(since, now.max(self.cooling))
    }

    /// The run is over.
    pub(super) fn close(&mut self, end: Instant) -> Option<(Instant, Instant)> {
        let since = self.out.take()?;
        self.tell(since, end)
    }

    fn tell(&mut self, from: Instant, until: Instant) -> Option<(Instant, Instant)> {
        let from = from.max(self.told);
        if until <= from {
            return None;
        }
        self.told = until;
        Some((from, until))
    }
}

//! Who waits for a server, in order.

use tollgate_core::policy::Priority;

use super::slab::Slab;
use super::work::Work;

/// Waiting jobs, linked through their own slots: joining and leaving anywhere take constant time and no memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// One list for each priority, the most urgent first.
    lists: [List; 3],
}

/// The neighbors of a waiting job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

/// Nobody.
const NONE: u32 = u32::MAX;

impl Links {
    pub(super) const FREE: Links = Links {
        before: NONE,
        after: NONE,
    };
}

impl Line {
    pub(super) const EMPTY: Line = Line {
        lists: [List {
            first: NONE,
            last: NONE,
        }; 3],
    };

    #[inline]
    pub(super) fn join(&mut self, slot: u32, priority: Priority, jobs: &mut Slab<Work>) {
        let list = &mut self.lists[rank(priority)];
        jobs.at_mut(slot).links = Links {
            before: list.last,
            after: NONE,
        };
        if list.last == NONE {
            list.first = slot;
        } else {
            jobs.at_mut(list.last).links.after = slot;
        }
        list.last = slot;
    }

    #[inline]
    pub(super) fn leave(&mut self, slot: u32, priority: Priority, jobs: &mut Slab<Work>) {
        let list = &mut self.lists[rank(priority)];
        let Links { before, after } = jobs.at(slot).links;
        if before == NONE {
            list.first = after;
        } else {
            jobs.at_mut(before).links.after = after;
        }
        if after == NONE {
            list.last = before;
        } else {
            jobs.at_mut(after).links.before = before;
        }
    }

    /// Who came first among the most urgent.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.lists.iter().map(|list| list.first).find(|slot| *slot != NONE)
    }

    /// Who came last among the most urgent.
    #[inline]
    pub(super) fn last(&self) -> Option<u32> {
        self.lists.iter().map(|list| list.last).find(|slot| *slot != NONE)
    }
}

fn rank(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

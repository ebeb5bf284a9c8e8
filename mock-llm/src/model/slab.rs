//! Where jobs are kept: slots that are used again, and numbers that tell a job from the one that was there before.

use super::{JobId, WakeKey};

/// Jobs by slot. No allocation once it has held as many as it will.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    /// Counts the jobs that were here.
    generation: u32,
    /// Counts what was asked to be woken for; the last is valid.
    stamp: u32,
    job: Option<T>,
}

/// Slots from here on are not slots: their keys belong to the backend itself.
pub(super) const RESERVED: u32 = u32::MAX - 1;

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    #[inline]
    pub(super) fn insert(&mut self, job: T) -> JobId {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).expect("fewer jobs than memory for them");
            assert!(slot < RESERVED, "fewer jobs than memory for them");
            self.slots.push(Slot {
                generation: 0,
                stamp: 0,
                job: None,
            });
            slot
        });
        let place = &mut self.slots[slot as usize];
        place.job = Some(job);
        JobId {
            slot,
            generation: place.generation,
        }
    }

    /// Takes the job out; its id and its keys lose their meaning.
    pub(super) fn remove(&mut self, slot: u32) -> T {
        let place = &mut self.slots[slot as usize];
        place.generation = place.generation.wrapping_add(1);
        place.stamp = place.stamp.wrapping_add(1);
        self.free.push(slot);
        place.job.take().expect("only live jobs are removed")
    }

    /// The same for a job that nobody needs any more.
    #[inline]
    pub(super) fn discard(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        debug_assert!(place.job.is_some(), "only live jobs are removed");
        place.generation = place.generation.wrapping_add(1);
        place.stamp = place.stamp.wrapping_add(1);
        place.job = None;
        self.free.push(slot);
    }

    #[inline]
    pub(super) fn find(&self, id: JobId) -> Option<&T> {
        let place = self.slots.get(id.slot as usize)?;
        if place.generation == id.generation {
            place.job.as_ref()
        } else {
            None
        }
    }

    /// The live job of a slot that somebody in this crate points to.
    #[inline]
    pub(super) fn at(&self, slot: u32) -> &T {
        self.slots[slot as usize]
            .job
            .as_ref()
            .expect("what points to a slot knows that it is live")
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize]
            .job
            .as_mut()
            .expect("what points to a slot knows that it is live")
    }

    /// A new key for the job; older ones lose their meaning.
    #[inline]
    pub(super) fn stamp(&mut self, slot: u32) -> WakeKey {
        let place = &mut self.slots[slot as usize];
        place.stamp = place.stamp.wrapping_add(1);
        WakeKey {
            slot,
            stamp: place.stamp,
        }
    }

    /// Whether `key` is the latest of a live job.
    #[inline]
    pub(super) fn awaits(&self, key: WakeKey) -> bool {
        self.slots
            .get(key.slot as usize)
            .is_some_and(|place| place.stamp == key.stamp && place.job.is_some())
    }

    /// The slots that are live, by what `key` says of them: for walking over all of them, whoever had which slot.
    pub(super) fn by_key<K: Ord>(&self, key: impl Fn(&T) -> K) -> Vec<u32> {
        let slots = (0..).zip(&self.slots);
        let live = slots.filter_map(|(slot, place)| place.job.as_ref().map(|job| (key(job), slot)));
        let mut live: Vec<(K, u32)> = live.collect();
        live.sort_unstable();
        live.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Whether there is a job in `slot`.
    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.slots[slot as usize].job.is_some()
    }
}

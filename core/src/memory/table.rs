//! A bounded hash table of states, written for one thread; both memories keep their keys in it, and a gate its leases.
//!
//! Flat: a slot is a key and its state, side by side, so that finding a key whose state is a word touches one line of
//! memory. Open addressing with linear probing, in a table of any number of slots, so that it is never larger than its
//! keys need: between half and three quarters of it are taken once it has grown, which is 32 to 21 bytes for a key and
//! its word. Deletion shifts followers back, so there are no tombstones to pile up. Nothing
//! is ever iterated to decide, and there is no janitor: each new key inspects the two slots under a clock hand, and
//! forgets the idle states it finds there. Who wants the memory back as well says so, when nothing waits for it.
//!
//! The hand does not go around slot by slot. What is just ahead of such a hand has not been cleaned for a whole round,
//! so keys crowd there, and probing, which slows down with the square of the crowd, took microseconds. Counting with
//! the bits reversed, as a fraction of the table, the hand visits every pair once a round too, but leaves no part of
//! the table behind.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::id::KeyHash;

/// States found by key.
#[derive(Debug)]
pub(crate) struct Table<T> {
    /// An even number of them, or none before the first key.
    slots: Vec<Slot<T>>,
    len: usize,
    max_keys: usize,
    /// Pairs of slots inspected so far.
    hand: u64,
}

#[derive(Debug)]
struct Slot<T> {
    /// [`VACANT`] or a key's [`name`].
    key: u64,
    state: T,
}

impl<T: Default> Slot<T> {
    /// Without a key, and without what the state of one may have allocated.
    fn vacant() -> Slot<T> {
        Slot {
            key: VACANT,
            state: T::default(),
        }
    }
}

/// In place of a key: there is none.
const VACANT: u64 = 0;
/// Slots of the smallest table.
const FEWEST: usize = 8;
/// Pairs of slots that a new key inspects if there is no room.
const SEARCHED: usize = 16;

/// What a key is kept under: itself, but for zero, which marks a vacant slot. The key that zero is taken for is one that
/// nobody numbers his keys up to, and as unlikely a hash as any other.
#[inline]
pub(super) const fn name(key: KeyHash) -> u64 {
    if key.0 == VACANT { 0x5851_f42d_4c95_7f2d } else { key.0 }
}

impl<T: Clone + Default> Table<T> {
    pub(crate) fn new(max_keys: NonZeroU32) -> Table<T> {
        Table {
            slots: Vec::new(),
            len: 0,
            max_keys: usize::try_from(max_keys.get()).unwrap_or(usize::MAX),
            hand: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Looks at the state of `key`, fresh if it has none.
    #[inline]
    pub(crate) fn read<R>(&self, key: KeyHash, f: impl FnOnce(&T) -> R) -> R {
        match self.find(name(key)) {
            Some(index) => f(&self.slots[index].state),
            None => f(&T::default()),
        }
    }

    /// Changes the state of `key`; gives `f` back if it has none and there is no room for one.
    #[inline]
    pub(crate) fn update<R, F: FnOnce(&mut T) -> R>(
        &mut self,
        key: KeyHash,
        idle: impl Fn(&T) -> bool,
        f: F,
    ) -> Result<R, F> {
        if let Some(index) = self.find(name(key)) {
            return Ok(f(&mut self.slots[index].state));
        }
        if !self.make_room(&idle) {
            return Err(f);
        }
        let mut state = T::default();
        let result = f(&mut state);
        if !idle(&state) {
            self.insert(name(key), state);
        }
        Ok(result)
    }

    /// Changes the state of `key`; nothing if it has none, would need one, and there is no room for it.
    #[inline]
    pub(crate) fn amend<R>(&mut self, key: KeyHash, idle: impl Fn(&T) -> bool, f: impl Fn(&mut T) -> R) -> Option<R> {
        if let Some(index) = self.find(name(key)) {
            return Some(f(&mut self.slots[index].state));
        }
        let mut state = T::default();
        let result = f(&mut state);
        if !idle(&state) {
            if !self.make_room(&idle) {
                return None;
            }
            self.insert(name(key), state);
        }
        Some(result)
    }

    /// Shows every state, in no order, under a key that finds it.
    pub(crate) fn each(&mut self, mut f: impl FnMut(KeyHash, &mut T)) {
        for slot in &mut self.slots {
            if slot.key != VACANT {
                f(KeyHash(slot.key), &mut slot.state);
            }
        }
    }

    /// Forgets every idle state, in a table that is as small as it can be.
    pub(crate) fn forget(&mut self, idle: &impl Fn(&T) -> bool) {
        let mut kept = self.slots.iter().filter(|slot| slot.key != VACANT);
        if kept.any(|slot| idle(&slot.state)) {
            self.rebuild(idle);
        }
    }

    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        let mut index = self.home(key);
        loop {
            match self.slots.get(index) {
                Some(slot) if slot.key == key => return Some(index),
                Some(slot) if slot.key == VACANT => return None,
                Some(_) => index += 1,
                // Around the end; a table without slots has nothing but that.
                None if index == 0 => return None,
                None => index = 0,
            }
        }
    }

    /// The slot that `key` is looked for first. Keys need not be scattered: a simulator numbers them.
    #[inline]
    fn home(&self, key: u64) -> usize {
        share(key.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.slots.len())
    }

    /// The slot after `index`.
    fn after(&self, index: usize) -> usize {
        if index + 1 == self.slots.len() { 0 } else { index + 1 }
    }

    /// How many slots one passes from `from` on until `to`.
    fn distance(&self, from: usize, to: usize) -> usize {
        if from <= to {
            to - from
        } else {
            to + self.slots.len() - from
        }
    }

    /// Makes room for one more key, by forgetting idle ones or by growing. False if the table is full of busy ones, as
    /// far as the hand can see.
    fn make_room(&mut self, idle: &impl Fn(&T) -> bool) -> bool {
        self.clean(idle);
        if self.len < self.max_keys {
            if !has_room(self.slots.len(), self.len + 1) {
                self.rebuild(idle);
            }
            return true;
        }
        for _ in 0..SEARCHED {
            self.clean(idle);
            if self.len < self.max_keys {
                return true;
            }
        }
        false
    }

    /// Forgets the idle states of the pair under the hand, and moves the hand on.
    fn clean(&mut self, idle: &impl Fn(&T) -> bool) {
        if self.slots.is_empty() {
            return;
        }
        let first = 2 * share(self.hand.reverse_bits(), self.slots.len() / 2);
        for index in [first, first + 1] {
            // Whatever moves in is inspected as well.
            while self.slots[index].key != VACANT && idle(&self.slots[index].state) {
                self.remove(index);
            }
        }
        self.hand = self.hand.wrapping_add(1);
    }

    /// Empties the slot at `hole` and moves followers back, so that every key is still reached from its home.
    fn remove(&mut self, mut hole: usize) {
        let mut index = hole;
        loop {
            index = self.after(index);
            let key = self.slots[index].key;
            if key == VACANT {
                break;
            }
            if self.distance(hole, index) <= self.distance(self.home(key), index) {
                self.slots.swap(hole, index);
                hole = index;
            }
        }
        self.slots[hole] = Slot::vacant();
        self.len -= 1;
    }

    /// Puts a state where its key, which is not there yet, will be found. There must be room.
    fn insert(&mut self, key: u64, state: T) {
        self.len += 1;
        let mut index = self.home(key);
        while self.slots[index].key != VACANT {
            index = self.after(index);
        }
        self.slots[index] = Slot { key, state };
    }

    /// Moves every busy state to a table that has room for them and half as many more, within the bound.
    fn rebuild(&mut self, idle: &impl Fn(&T) -> bool) {
        let mut old = core::mem::take(&mut self.slots);
        old.retain(|slot| slot.key != VACANT && !idle(&slot.state));
        let n_busy = old.len();

        let keys = (n_busy + n_busy / 2).max(n_busy + 1).min(self.max_keys);
        self.slots.resize_with(slots_for(keys), Slot::vacant);
        self.len = 0;
        self.hand = 0;
        for slot in old {
            self.insert(slot.key, slot.state);
        }
    }
}

/// As much of `whole` as `fraction` is of 2^64, rounded down.
#[inline]
fn share(fraction: u64, whole: usize) -> usize {
    let product = u128::from(fraction) * whole as u128;
    usize::try_from(product >> u64::BITS).expect("less than the whole")
}

/// Whether `keys` keys leave a quarter of a table of `slots` slots vacant, so that probing stays short.
const fn has_room(slots: usize, keys: usize) -> bool {
    keys <= slots - slots.div_ceil(4)
}

/// The fewest slots, in pairs, that have room for `keys` keys.
fn slots_for(keys: usize) -> usize {
    let thirds = keys.div_ceil(3);
    (keys + thirds).next_multiple_of(2).max(FEWEST)
}

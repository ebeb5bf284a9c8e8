//! A bounded hash table of states, written for one thread; both memories keep their keys in it.
//!
//! Open addressing with linear probing. Deletion shifts followers back, so there are no tombstones to pile up. Nothing
//! is ever iterated to decide, and there is no janitor: each new key inspects the two slots under a clock hand, and
//! forgets the idle states it finds there. Who wants the memory back as well says so, when nothing waits for it.
//!
//! The hand does not go around slot by slot. What is just ahead of such a hand has not been cleaned for a whole round,
//! so keys crowd there, and probing, which slows down with the square of the crowd, took microseconds. Counting with
//! the bits reversed, the hand visits every pair once a round too, but leaves no part of the table behind.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::id::KeyHash;

/// States found by key.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// A power of two of them, or none before the first key; then one more, which is the key zero's.
    slots: Vec<Slot<T>>,
    /// Of slots that are found by probing.
    mask: usize,
    /// What is left of a scattered key when this much is shifted out: the slot it belongs to.
    shift: u32,
    len: usize,
    max_keys: usize,
    /// Pairs of slots inspected so far.
    hand: u64,
    /// Whether the key zero has a state.
    has_zero: bool,
}

#[derive(Debug)]
struct Slot<T> {
    /// Zero: vacant.
    key: u64,
    state: T,
}

impl<T: Default> Slot<T> {
    /// Without a key, and without what the state of one may have allocated.
    fn vacant() -> Slot<T> {
        Slot {
            key: 0,
            state: T::default(),
        }
    }
}

/// Slots of the smallest table.
const FEWEST: usize = 8;
/// Pairs of slots that a new key inspects if there is no room.
const SEARCHED: usize = 16;

impl<T: Clone + Default> Table<T> {
    pub(super) fn new(max_keys: NonZeroU32) -> Table<T> {
        Table {
            slots: Vec::new(),
            mask: 0,
            shift: 0,
            len: 0,
            max_keys: usize::try_from(max_keys.get()).unwrap_or(usize::MAX),
            hand: 0,
            has_zero: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Looks at the state of `key`, fresh if it has none.
    #[inline]
    pub(super) fn read<R>(&self, key: KeyHash, f: impl FnOnce(&T) -> R) -> R {
        match self.find(key.0) {
            Some(index) => f(&self.slots[index].state),
            None => f(&T::default()),
        }
    }

    /// Changes the state of `key`; gives `f` back if it has none and there is no room for one.
    #[inline]
    pub(super) fn update<R, F: FnOnce(&mut T) -> R>(
        &mut self,
        key: KeyHash,
        idle: impl Fn(&T) -> bool,
        f: F,
    ) -> Result<R, F> {
        if let Some(index) = self.find(key.0) {
            return Ok(f(&mut self.slots[index].state));
        }
        if !self.make_room(&idle) {
            return Err(f);
        }
        let mut state = T::default();
        let result = f(&mut state);
        if !idle(&state) {
            self.insert(key.0, state);
        }
        Ok(result)
    }

    /// Changes the state of `key`; nothing if it has none, would need one, and there is no room for it.
    #[inline]
    pub(super) fn amend<R>(&mut self, key: KeyHash, idle: impl Fn(&T) -> bool, f: impl Fn(&mut T) -> R) -> Option<R> {
        if let Some(index) = self.find(key.0) {
            return Some(f(&mut self.slots[index].state));
        }
        let mut state = T::default();
        let result = f(&mut state);
        if !idle(&state) {
            if !self.make_room(&idle) {
                return None;
            }
            self.insert(key.0, state);
        }
        Some(result)
    }

    /// Forgets every idle state, in a table that is as small as it can be.
    pub(super) fn forget(&mut self, idle: &impl Fn(&T) -> bool) {
        let is_vacant = |index: usize| self.slots[index].key == 0 && !(self.has_zero && index + 1 == self.slots.len());
        let mut kept = (0..self.slots.len()).filter(|index| !is_vacant(*index));
        if kept.any(|index| idle(&self.slots[index].state)) {
            self.rebuild(idle);
        }
    }

    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        if key == 0 {
            return self.has_zero.then_some(self.slots.len().wrapping_sub(1));
        }
        if self.slots.is_empty() {
            return None;
        }
        let mut index = self.home(key);
        loop {
            let found = self.slots[index].key;
            if found == key {
                return Some(index);
            }
            if found == 0 {
                return None;
            }
            index = (index + 1) & self.mask;
        }
    }

    /// The slot that `key` is looked for first. Keys need not be scattered: a simulator numbers them.
    #[inline]
    fn home(&self, key: u64) -> usize {
        let scattered = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        usize::try_from(scattered).expect("no wider than the mask")
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
        let pair = self.hand.reverse_bits() >> (self.shift + 1);
        let first = 2 * usize::try_from(pair).expect("no wider than the mask");
        for index in [first, first + 1] {
            // Whatever moves in is inspected as well.
            while self.slots[index].key != 0 && idle(&self.slots[index].state) {
                self.remove(index);
            }
        }
        let zero = self.slots.len() - 1;
        if pair == 0 && self.has_zero && idle(&self.slots[zero].state) {
            self.slots[zero] = Slot::vacant();
            self.has_zero = false;
            self.len -= 1;
        }
        self.hand = self.hand.wrapping_add(1);
    }

    /// Empties the slot at `hole` and moves followers back, so that every key is still reached from its home.
    fn remove(&mut self, mut hole: usize) {
        let mut index = hole;
        loop {
            index = (index + 1) & self.mask;
            let key = self.slots[index].key;
            if key == 0 {
                break;
            }
            let probed = index.wrapping_sub(self.home(key)) & self.mask;
            let moved = index.wrapping_sub(hole) & self.mask;
            if moved <= probed {
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
        if key == 0 {
            self.has_zero = true;
            let last = self.slots.len() - 1;
            self.slots[last].state = state;
            return;
        }
        let mut index = self.home(key);
        while self.slots[index].key != 0 {
            index = (index + 1) & self.mask;
        }
        self.slots[index] = Slot { key, state };
    }

    /// Moves every busy state to a table that has room for them and as many more, within the bound.
    fn rebuild(&mut self, idle: &impl Fn(&T) -> bool) {
        let mut old = core::mem::take(&mut self.slots);
        let zero = if self.has_zero { old.pop() } else { None };
        old.retain(|slot| slot.key != 0);
        old.extend(zero);
        old.retain(|slot| !idle(&slot.state));
        let n_busy = old.len();

        let keys = (n_busy * 2).max(n_busy + 1).min(self.max_keys);
        let mut n_slots = FEWEST;
        while !has_room(n_slots + 1, keys) {
            n_slots *= 2;
        }
        self.slots.resize_with(n_slots + 1, Slot::vacant);
        self.mask = n_slots - 1;
        self.shift = u64::BITS - n_slots.ilog2();
        self.len = 0;
        self.hand = 0;
        self.has_zero = false;
        for slot in old {
            self.insert(slot.key, slot.state);
        }
    }
}

/// Whether `keys` keys leave a quarter of a table of `slots` slots vacant, so that probing stays short.
const fn has_room(slots: usize, keys: usize) -> bool {
    keys <= slots.saturating_sub(1) / 4 * 3
}

//! Slots that are used again, under names that are not.

/// A slab: its memory grows with what is in it at once, never with what has been.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// The name of something in a slab; harmless once it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Key {
    #[inline]
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "takes the halves apart")]
    pub(crate) fn unpack(word: u64) -> Key {
        Key {
            slot: word as u32,
            generation: (word >> 32) as u32,
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Puts in what `make` makes of its name.
    #[inline]
    pub(crate) fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.slots[slot as usize];
            let key = Key {
                slot,
                generation: entry.generation,
            };
            entry.value = Some(make(key));
            return key;
        }
        let slot = u32::try_from(self.slots.len()).expect("a simulation holds fewer than 2^32 things at once");
        let key = Key { slot, generation: 0 };
        self.slots.push(Slot {
            generation: 0,
            value: Some(make(key)),
        });
        key
    }

    #[inline]
    pub(crate) fn find(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.slots.get_mut(key.slot as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        entry.value.as_mut()
    }

    /// What is in this slot, if its generation ends like that of `key`.
    #[inline]
    pub(crate) fn find_slot(&mut self, key: Key, mask: u32) -> Option<(Key, &mut T)> {
        let entry = self.slots.get_mut(key.slot as usize)?;
        if entry.generation & mask != key.generation {
            return None;
        }
        let key = Key {
            slot: key.slot,
            generation: entry.generation,
        };
        entry.value.as_mut().map(|value| (key, value))
    }

    /// The names of everything in it.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let entries = (0..).zip(&self.slots).filter(|(_, entry)| entry.value.is_some());
        entries
            .map(|(slot, entry)| Key {
                slot,
                generation: entry.generation,
            })
            .collect()
    }

    #[inline]
    pub(crate) fn has(&self, key: Key) -> bool {
        let entry = self.slots.get(key.slot as usize);
        entry.is_some_and(|entry| entry.generation == key.generation && entry.value.is_some())
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.slots.get_mut(key.slot as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(value)
    }

    /// Places, taken or free.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Takes out what is no longer of use, where it is.
    #[inline]
    pub(crate) fn discard(&mut self, key: Key) {
        if let Some(entry) = self.slots.get_mut(key.slot as usize)
            && entry.generation == key.generation
            && entry.value.is_some()
        {
            entry.value = None;
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(key.slot);
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

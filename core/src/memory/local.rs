//! Memory for one thread: plain cells, for the simulator, tests and examples.

use core::cell::{Cell, RefCell};
use core::num::NonZeroU32;

use super::table::Table;
use super::{Guarded, Keyed, Memory, Packed, Place, Slot};
use crate::id::KeyHash;

/// Memory for one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Memory for Local {
    type Word<T: Packed> = LocalWord<T>;
    type Block<T> = LocalBlock<T>;
    type Table<T: Clone + Default> = LocalTable<T>;
}

/// A word that one thread reads, changes and writes.
#[derive(Debug)]
pub struct LocalWord<T: Copy>(Cell<T>);

impl<T: Packed> Slot<T> for LocalWord<T> {
    fn new(value: T) -> LocalWord<T> {
        LocalWord(Cell::new(value))
    }

    #[inline]
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.get())
    }

    #[inline]
    fn update<R>(&self, f: impl Fn(&mut T) -> R) -> R {
        let mut value = self.0.get();
        let result = f(&mut value);
        self.0.set(value);
        result
    }
}

/// A state that is borrowed while it is used.
#[derive(Debug)]
pub struct LocalBlock<T>(RefCell<T>);

impl<T> Guarded<T> for LocalBlock<T> {
    fn new(value: T) -> LocalBlock<T> {
        LocalBlock(RefCell::new(value))
    }

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }
}

/// States found by key, for one thread.
#[derive(Debug)]
pub struct LocalTable<T> {
    own: RefCell<Table<T>>,
    overflow: RefCell<T>,
}

impl<T: Clone + Default> LocalTable<T> {
    fn in_overflow<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.overflow.borrow_mut())
    }
}

impl<T: Clone + Default> Keyed<T> for LocalTable<T> {
    fn new(max_keys: NonZeroU32) -> LocalTable<T> {
        LocalTable {
            own: RefCell::new(Table::new(max_keys)),
            overflow: RefCell::default(),
        }
    }

    #[inline]
    fn update<R>(&self, key: KeyHash, idle: impl Fn(&T) -> bool, f: impl FnOnce(&mut T) -> R) -> (R, Place) {
        match self.own.borrow_mut().update(key, idle, f) {
            Ok(result) => (result, Place::Own),
            Err(f) => (self.in_overflow(f), Place::Overflow),
        }
    }

    #[inline]
    fn amend<R>(&self, key: KeyHash, place: Place, idle: impl Fn(&T) -> bool, f: impl Fn(&mut T) -> R) -> R {
        match place {
            Place::Own => match self.own.borrow_mut().amend(key, idle, &f) {
                Some(result) => result,
                None => self.in_overflow(f),
            },
            Place::Overflow => self.in_overflow(f),
        }
    }

    fn forget(&self, idle: impl Fn(&T) -> bool) {
        self.own.borrow_mut().forget(&idle);
    }

    #[inline]
    fn read<R>(&self, key: KeyHash, f: impl FnOnce(&T) -> R) -> R {
        self.own.borrow().read(key, f)
    }

    fn len(&self) -> usize {
        self.own.borrow().len()
    }
}

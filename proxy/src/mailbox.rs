//! Word from one request to another: a wait is over.
//!
//! A request that gives a permit back may hand it to one that waits, on any thread. It knows that one's
//! [`RequestId`] only, so the id says where its mailbox is. Places are used again, and each use has another generation:
//! word for a request that is no more is for nobody.
//!
//! | Law | Test |
//! |---|---|
//! | Word that was posted is read, once, in the order in which it was posted. | `word_is_read_once` |
//! | Whoever waits for word is woken. | `who_waits_is_woken` |
//! | Word for a request that is over reaches nobody. | `stale_word_reaches_nobody` |
//! | There are as many places as there were requests at once. | `places_are_used_again` |

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tollgate_core::id::RequestId;
use tollgate_core::lifecycle::Verdict;

use crate::thread::{self, THREADS};

/// The mailboxes of all requests in flight.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    shards: Box<[Shard]>,
}

/// Those that one thread opened, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    word: VecDeque<Verdict>,
    waker: Option<Waker>,
}

/// The mailbox of one request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mailbox {
    all: Arc<Mailboxes>,
    id: RequestId,
}

impl Mailboxes {
    pub(crate) fn new() -> Arc<Mailboxes> {
        Arc::new(Mailboxes {
            shards: (0..THREADS).map(|_| Shard::default()).collect(),
        })
    }

    /// A mailbox for a further request.
    pub(crate) fn open(self: &Arc<Mailboxes>) -> Mailbox {
        let shard = thread::number();
        let mut places = self.lock(shard);
        let at = places.free.pop().unwrap_or_else(|| {
            places.all.push(Place::default());
            u32::try_from(places.all.len() - 1).expect("requests in flight fit memory, and so 32 bits")
        });
        let place = &mut places.all[at as usize];
        place.generation = place.generation.wrapping_add(1);
        let id = pack(shard, at, place.generation);
        drop(places);
        Mailbox {
            all: Arc::clone(self),
            id,
        }
    }

    /// Tells `request` that its wait is over.
    pub(crate) fn post(&self, request: RequestId, verdict: Verdict) {
        let (shard, at, generation) = unpack(request);
        let mut places = self.lock(shard);
        let Some(place) = places.all.get_mut(at as usize) else {
            return;
        };
        if place.generation != generation {
            return;
        }
        place.word.push_back(verdict);
        let waker = place.waker.take();
        drop(places);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many requests have one.
    pub(crate) fn in_use(&self) -> usize {
        let of = |shard| {
            let places = self.lock(shard);
            places.all.len() - places.free.len()
        };
        (0..THREADS).map(of).sum()
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Places> {
        // No call leaves it half changed.
        self.shards[shard].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// Whose it is.
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// The next word, if there is any; else whoever asks is woken when there is.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let (shard, at, _) = unpack(self.id);
        let mut places = self.all.lock(shard);
        let place = &mut places.all[at as usize];
        if let Some(verdict) = place.word.pop_front() {
            return Poll::Ready(verdict);
        }
        match &mut place.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => place.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let (shard, at, _) = unpack(self.id);
        let mut places = self.all.lock(shard);
        let place = &mut places.all[at as usize];
        place.generation = place.generation.wrapping_add(1);
        place.word.clear();
        let waker = place.waker.take();
        places.free.push(at);
        drop(places);
        // A waker may drop a task, which may use a mailbox.
        drop(waker);
    }
}

/// The shard in the lowest bits, the place above it, the generation in the upper half.
fn pack(shard: usize, at: u32, generation: u32) -> RequestId {
    RequestId(u64::from(generation) << 32 | u64::from(at) << SHARD_BITS | shard as u64)
}

#[expect(clippy::cast_possible_truncation, reason = "takes the parts apart again")]
fn unpack(id: RequestId) -> (usize, u32, u32) {
    let low = id.0 as u32;
    ((low as usize) % THREADS, low >> SHARD_BITS, (id.0 >> 32) as u32)
}

const SHARD_BITS: u32 = THREADS.trailing_zeros();

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn read(mailbox: &Mailbox) -> Poll<Verdict> {
        mailbox.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn word_is_read_once() {
        let all = Mailboxes::new();
        let (one, other) = (all.open(), all.open());
        assert_ne!(one.id(), other.id());
        all.post(one.id(), Verdict::Expired);
        all.post(one.id(), Verdict::Admitted);
        assert_eq!(read(&other), Poll::Pending);
        assert_eq!(read(&one), Poll::Ready(Verdict::Expired));
        assert_eq!(read(&one), Poll::Ready(Verdict::Admitted));
        assert_eq!(read(&one), Poll::Pending);
    }

    #[test]
    fn who_waits_is_woken() {
        let all = Mailboxes::new();
        let mailbox = all.open();
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        assert!(mailbox.poll(&mut Context::from_waker(&waker)).is_pending());
        std::thread::scope(|scope| {
            scope.spawn(|| all.post(mailbox.id(), Verdict::Shed));
        });
        assert_eq!(bell.0.load(Ordering::SeqCst), 1);
        assert_eq!(read(&mailbox), Poll::Ready(Verdict::Shed));
    }

    #[test]
    fn stale_word_reaches_nobody() {
        let all = Mailboxes::new();
        let gone = all.open().id();
        let next = all.open();
        assert_ne!(gone, next.id(), "the same place, another generation");
        all.post(gone, Verdict::Admitted);
        all.post(RequestId(u64::MAX), Verdict::Admitted);
        assert_eq!(read(&next), Poll::Pending);
    }

    #[test]
    fn places_are_used_again() {
        let all = Mailboxes::new();
        for _ in 0..1000 {
            let pair = (all.open(), all.open());
            assert_eq!(all.in_use(), 2);
            drop(pair);
        }
        assert_eq!(all.in_use(), 0);
        let places: usize = (0..THREADS).map(|shard| all.lock(shard).all.len()).sum();
        assert_eq!(places, 2);
    }
}

//! The connections of one endpoint: bounded over all threads, kept alive per thread, waited for in order.
//!
//! | Law | Test |
//! |---|---|
//! | No more connections are open than may be, idle ones included. | `connections_are_bounded` |
//! | Whoever waits longest is served first, and nobody who comes later overtakes. | `who_waits_longest_is_served_first` |
//! | Whoever does not wait any more loses nothing for the others. | `who_stopped_waiting_takes_nothing` |
//! | A connection that was idle for too long, or is too old, is not used again. | `connections_expire` |
//!
//! A connection is driven by whoever uses it, on whatever thread that is; each thread keeps what its requests leave, and
//! uses the warmest first. A thread that finds all places taken closes an idle connection of another thread.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tollgate_core::time::{Instant, Nanos};

use super::link::{Http1, Link, Session};
use crate::thread::{self, THREADS};

/// The connections of one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    line: Mutex<Line>,
    bounds: Bounds,
}

/// How many connections there may be, and how long each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Most of them, idle ones included.
    pub(crate) most: u32,
    /// How long one may be idle.
    pub(crate) idle: Nanos,
    /// How old one may be and still be used again.
    pub(crate) age: Nanos,
}

#[derive(Debug)]
struct Line {
    /// Places that are taken.
    open: u32,
    /// Places whose connection does not stand yet.
    dialing: u32,
    /// The endpoint has been seen to speak HTTP/2.
    multiplexes: bool,
    /// Idle connections, by thread; the warmest last.
    idle: Vec<VecDeque<Http1>>,
    /// Connections that are shared, by thread.
    sessions: Vec<Vec<Arc<Session>>>,
    waiters: VecDeque<oneshot::Sender<Turn>>,
    /// How many waiters there may be before those who have gone are looked for.
    prune_at: usize,
}

/// The answer to a wish for a connection.
#[derive(Debug)]
pub(crate) enum Asked {
    /// One that stands.
    Link(Link),
    /// The right to open one.
    Seat(Seat),
    /// All are in use: wait here.
    Wait(Waiting),
    /// One is on its way that can be shared: wait here.
    Share(Waiting),
}

/// What somebody who waited gets.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A connection that stands.
    Link(Link),
    /// The right to open one.
    Seat(Seat),
}

/// A place in the line.
#[derive(Debug)]
pub(crate) struct Waiting(oneshot::Receiver<Turn>);

/// The right to have one connection; it goes on to whoever waits when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pool: Arc<Pool>,
    /// Its connection does not stand yet.
    dialing: bool,
    /// It was never handed over.
    void: bool,
}

impl Pool {
    pub(crate) fn new(bounds: Bounds) -> Arc<Pool> {
        Arc::new(Pool {
            line: Mutex::new(Line {
                open: 0,
                dialing: 0,
                multiplexes: false,
                idle: (0..THREADS).map(|_| VecDeque::new()).collect(),
                sessions: (0..THREADS).map(|_| Vec::new()).collect(),
                waiters: VecDeque::new(),
                prune_at: PRUNE_FROM,
            }),
            bounds,
        })
    }

    /// Asks for a connection.
    pub(crate) fn ask(self: &Arc<Pool>, now: Instant) -> Asked {
        let thread = thread::number();
        // Declared first, so that it is dropped after the lock: whatever leaves gives back its seat.
        let mut expired = Expired::default();
        let mut line = self.lock();
        line.expire(thread, now, self.bounds, &mut expired);
        if let Some(stream) = line.sessions[thread].iter().find_map(|session| session.stream(now)) {
            return Asked::Link(Link::Http2(stream));
        }
        if let Some(link) = line.idle[thread].pop_back() {
            return Asked::Link(Link::Http1(link));
        }
        let sharable = line.multiplexes && 0 < line.dialing;
        if line.waiters.is_empty() && !sharable {
            if line.open < self.bounds.most {
                line.open += 1;
                line.dialing += 1;
                return Asked::Seat(Seat::new(self));
            }
            if let Some(link) = line.idle.iter_mut().find_map(VecDeque::pop_front) {
                line.dialing += 1;
                return Asked::Seat(link.into_seat());
            }
        }
        let (sender, receiver) = oneshot::channel();
        line.prune();
        line.waiters.push_back(sender);
        let waiting = Waiting(receiver);
        if sharable {
            Asked::Share(waiting)
        } else {
            Asked::Wait(waiting)
        }
    }

    /// Takes back a connection that can be used again.
    pub(crate) fn put(&self, mut link: Http1, now: Instant) {
        if self.bounds.age <= now.since(link.born) {
            return;
        }
        link.idle_since = now;
        loop {
            let mut line = self.lock();
            let Some(waiter) = line.waiters.pop_front() else {
                return line.idle[thread::number()].push_back(link);
            };
            drop(line);
            match waiter.send(Turn::Link(Link::Http1(link))) {
                Err(Turn::Link(Link::Http1(back))) => link = back,
                Ok(()) | Err(Turn::Link(Link::Http2(_)) | Turn::Seat(_)) => return,
            }
        }
    }

    /// Takes in a connection that can be shared, and lets those use it who wait.
    pub(crate) fn share(&self, session: &Arc<Session>) {
        let mut line = self.lock();
        line.multiplexes = true;
        line.sessions[thread::number()].push(Arc::clone(session));
        drop(line);
        self.hand_out(session);
    }

    /// Lets those who wait use what `session` has room for.
    pub(super) fn hand_out(&self, session: &Arc<Session>) {
        loop {
            let mut line = self.lock();
            if line.waiters.is_empty() {
                return;
            }
            let Some(stream) = session.stream(Instant::EPOCH) else {
                return;
            };
            let waiter = line.waiters.pop_front();
            drop(line);
            if let Some(waiter) = waiter
                && let Err(Turn::Link(Link::Http2(back))) = waiter.send(Turn::Link(Link::Http2(stream)))
            {
                back.forget();
            }
        }
    }

    /// Closes what has been idle for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut expired = Expired::default();
        let mut line = self.lock();
        for thread in 0..THREADS {
            line.expire(thread, now, self.bounds, &mut expired);
        }
    }

    /// Connections that are open or on their way.
    pub(crate) fn open(&self) -> u32 {
        self.lock().open
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // No call leaves it half changed.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Takes out what may not be used again.
    fn expire(&mut self, thread: usize, now: Instant, bounds: Bounds, expired: &mut Expired) {
        let idle = &mut self.idle[thread];
        let is_cold = |link: &Http1| bounds.idle <= now.since(link.idle_since);
        while idle.front().is_some_and(is_cold) {
            expired.links.extend(idle.pop_front());
        }
        let is_over = |session: &mut Arc<Session>| session.is_over(now, bounds);
        expired.sessions.extend(self.sessions[thread].extract_if(.., is_over));
    }

    /// Forgets those who have stopped waiting, once there may be many.
    fn prune(&mut self) {
        if self.prune_at <= self.waiters.len() {
            self.waiters.retain(|waiter| !waiter.is_closed());
            self.prune_at = PRUNE_FROM.max(2 * self.waiters.len());
        }
    }
}

/// What is closed once the lock is open again.
#[derive(Default)]
struct Expired {
    links: Vec<Http1>,
    sessions: Vec<Arc<Session>>,
}

impl Waiting {
    /// Ready when it is one's turn.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|turn| turn.expect("a pool keeps its waiters until it has something for them"))
    }
}

impl Seat {
    fn new(pool: &Arc<Pool>) -> Seat {
        Seat {
            pool: Arc::clone(pool),
            dialing: true,
            void: false,
        }
    }

    /// Whose it is.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The connection stands.
    pub(crate) fn connected(&mut self) {
        if std::mem::take(&mut self.dialing) {
            self.pool.lock().dialing -= 1;
        }
    }

    /// Its connection was closed, and another is to be opened in its place; the pool has counted that already.
    pub(super) fn vacated(mut self) -> Seat {
        self.dialing = true;
        self
    }

    /// The same, of a connection that was in use.
    pub(crate) fn again(self) -> Seat {
        self.pool.lock().dialing += 1;
        self.vacated()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.void {
            return;
        }
        self.connected();
        loop {
            let mut line = self.pool.lock();
            let Some(waiter) = line.waiters.pop_front() else {
                line.open -= 1;
                return;
            };
            line.dialing += 1;
            drop(line);
            match waiter.send(Turn::Seat(Seat::new(&self.pool))) {
                Err(Turn::Seat(mut back)) => {
                    back.connected();
                    back.void = true;
                }
                Ok(()) | Err(Turn::Link(_)) => return,
            }
        }
    }
}

/// Waiters before those who have gone are looked for.
const PRUNE_FROM: usize = 64;

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;

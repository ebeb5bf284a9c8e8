//! The line before the connections of an endpoint.

use std::task::Waker;

use super::super::connect::{Connected, Connecting, Protocol};
use super::super::link::open;
use super::*;
use crate::tasks::Tasks;

const IDLE: Nanos = Nanos::from_secs(60);
const AGE: Nanos = Nanos::from_secs(600);

fn pool(most: u32) -> Arc<Pool> {
    Pool::new(Bounds {
        most,
        idle: IDLE,
        age: AGE,
    })
}

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

fn seat(pool: &Arc<Pool>) -> Seat {
    let Asked::Seat(seat) = pool.ask(at(0)) else {
        panic!("there was room");
    };
    seat
}

fn wait(pool: &Arc<Pool>) -> Waiting {
    let Asked::Wait(waiting) = pool.ask(at(0)) else {
        panic!("all places were taken");
    };
    waiting
}

fn turn(waiting: &mut Waiting) -> Poll<Turn> {
    waiting.poll(&mut Context::from_waker(Waker::noop()))
}

/// A connection over HTTP/1.1, and what keeps its other end open.
fn link(seat: Seat) -> (Http1, tokio::io::DuplexStream) {
    let (near, far) = tokio::io::duplex(1024);
    let connecting: Connecting = Box::pin(async move {
        Ok(Connected {
            wire: Box::new(near),
            protocol: Protocol::Http1,
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let opened = runtime.block_on(open(connecting, seat, at(0), Tasks::default()));
    match opened.expect("nothing can fail") {
        Link::Http1(link) => (link, far),
        Link::Http2(stream) => panic!("it speaks HTTP/1.1, and yet {stream:?}"),
    }
}

#[test]
fn connections_are_bounded() {
    let pool = pool(2);
    let (one, other) = (seat(&pool), seat(&pool));
    let mut waiting = wait(&pool);
    assert_eq!(pool.open(), 2);
    assert!(turn(&mut waiting).is_pending());
    drop(one);
    let third = turn(&mut waiting);
    assert!(matches!(third, Poll::Ready(Turn::Seat(_))), "{third:?}");
    assert_eq!(pool.open(), 2, "the place went from one to the other");
    drop((other, third));
    assert_eq!(pool.open(), 0);
    assert_eq!(pool.lock().dialing, 0);
}

#[test]
fn who_waits_longest_is_served_first() {
    let pool = pool(1);
    let (link, _far) = link(seat(&pool));
    let (mut first, mut second) = (wait(&pool), wait(&pool));
    pool.put(link, at(1));
    assert!(turn(&mut second).is_pending());
    let Poll::Ready(Turn::Link(Link::Http1(link))) = turn(&mut first) else {
        panic!("it was the first's turn");
    };
    let mut third = wait(&pool);
    drop(link);
    assert!(turn(&mut third).is_pending());
    assert!(matches!(turn(&mut second), Poll::Ready(Turn::Seat(_))));
    assert!(
        matches!(turn(&mut third), Poll::Ready(Turn::Seat(_))),
        "the second's seat was dropped"
    );
    assert_eq!(pool.open(), 0);
}

#[test]
fn who_stopped_waiting_takes_nothing() {
    let pool = pool(1);
    let taken = seat(&pool);
    let gone: Vec<Waiting> = (0..100).map(|_| wait(&pool)).collect();
    let mut waiting = wait(&pool);
    drop(gone);
    drop(taken);
    let turned = turn(&mut waiting);
    assert!(matches!(turned, Poll::Ready(Turn::Seat(_))), "{turned:?}");
    // Served, and gone before it noticed: the place comes back too.
    let unread = wait(&pool);
    drop(turned);
    drop(unread);
    assert_eq!((pool.open(), pool.lock().dialing), (0, 0));
}

#[test]
fn those_who_have_gone_are_forgotten() {
    let pool = pool(1);
    let _taken = seat(&pool);
    for _ in 0..10_000 {
        drop(wait(&pool));
    }
    assert!(pool.lock().waiters.len() <= PRUNE_FROM);
}

#[test]
fn connections_expire() {
    let pool = pool(4);
    let (fresh, _far) = link(seat(&pool));
    pool.put(fresh, at(10));
    let Asked::Link(Link::Http1(again)) = pool.ask(at(69)) else {
        panic!("it was idle for less than a minute");
    };
    pool.put(again, at(69));
    let late = pool.ask(at(130));
    assert!(matches!(late, Asked::Seat(_)), "{late:?}");
    drop(late);
    let (old, _far) = link(seat(&pool));
    pool.put(old, at(600));
    assert_eq!(pool.open(), 0, "it was ten minutes old");
    let (idle, _far) = link(seat(&pool));
    pool.put(idle, at(0));
    pool.sweep(at(59));
    assert_eq!(pool.open(), 1);
    pool.sweep(at(60));
    assert_eq!(pool.open(), 0);
}

#[test]
fn the_warmest_is_used_first() {
    let pool = pool(4);
    let ((one, _far_one), (other, _far_other)) = (link(seat(&pool)), link(seat(&pool)));
    pool.put(one, at(1));
    pool.put(other, at(2));
    let Asked::Link(Link::Http1(link)) = pool.ask(at(3)) else {
        panic!("there are idle connections");
    };
    assert_eq!(link.idle_since, at(2));
}

#[test]
fn a_full_thread_takes_the_place_of_another_threads_idle_connection() {
    let pool = pool(1);
    let (link, _far) = link(seat(&pool));
    pool.put(link, at(1));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| pool.ask(at(2))).join().expect("no panic");
        assert!(matches!(asked, Asked::Seat(_)), "{asked:?}");
    });
    assert_eq!((pool.open(), pool.lock().dialing), (0, 0));
}

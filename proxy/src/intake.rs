//! The body of a request, as it comes: bounded in size, in time, and in what all requests hold together.
//!
//! | Law | Test |
//! |---|---|
//! | No more bytes are held than one request, and all together, may. | `bodies_are_bounded` |
//! | Room comes back with the request, whatever became of it. | `room_comes_back` |
//! | A client that stops sending is not waited for. | `a_body_that_stops_is_given_up` |

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tollgate_core::time::Nanos;

use crate::clock::{Clock, Timer};

/// Room for the bodies of all requests.
#[derive(Debug)]
pub(crate) struct Room {
    most: u64,
    taken: AtomicU64,
}

/// What one request takes up of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    bytes: u64,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than one may be.
    TooLarge,
    /// All requests together hold as much as they may.
    Crowded,
    /// It stopped coming.
    TooSlow,
    /// It broke off.
    Broken,
}

impl Room {
    pub(crate) fn new(most: u64) -> Arc<Room> {
        Arc::new(Room {
            most,
            taken: AtomicU64::new(0),
        })
    }

    /// Bytes that are held.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    fn none(room: &Arc<Room>) -> Share {
        Share {
            room: Arc::clone(room),
            bytes: 0,
        }
    }

    /// Takes up `bytes` in all, if there is room.
    fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let take = |taken: u64| taken.checked_add(more).filter(|taken| *taken <= self.room.most);
        let taken = self.room.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads `body`, at most `most` bytes of it, each piece within `patience` of the one before.
pub(crate) async fn read<B: Body<Data = Bytes>>(
    body: B,
    most: u64,
    patience: Nanos,
    room: &Arc<Room>,
    clock: &dyn Clock,
) -> Result<(Bytes, Share), Unread> {
    let mut body = pin!(body);
    let mut share = Share::none(room);
    if most < body.size_hint().lower() {
        return Err(Unread::TooLarge);
    }
    // Made once something has to be waited for: most bodies are there with their heads.
    let mut timer = None;
    // The first piece is kept as it came: most bodies have no other.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => {
                let timer = timer.get_or_insert_with(|| begin(clock, patience));
                timer.poll(cx).map(|()| Err(Unread::TooSlow))
            }
        });
        let data = match frame.await? {
            None => break,
            Some(Err(_)) => return Err(Unread::Broken),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_trailers) => continue,
            },
        };
        let so_far = (first.len() + all.len() + data.len()) as u64;
        if most < so_far {
            return Err(Unread::TooLarge);
        }
        if !share.grow_to(so_far) {
            return Err(Unread::Crowded);
        }
        timer = None;
        if all.is_empty() && first.is_empty() {
            first = data;
        } else {
            // Room is made as bytes come, never because a client announces them.
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    let body = if all.is_empty() { first } else { all.freeze() };
    Ok((body, share))
}

/// A timer that rings after `patience`.
fn begin(clock: &dyn Clock, patience: Nanos) -> Box<dyn Timer> {
    let mut timer = clock.timer();
    timer.set(clock.now() + patience);
    timer
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::Context;

    use http_body::Frame;
    use tollgate_core::time::Instant;

    use super::*;
    use crate::clock::ManualClock;

    /// Pieces, and then an end, or nothing ever.
    struct Pieces(VecDeque<&'static [u8]>, bool);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece))))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn run(
        pieces: &[&'static [u8]],
        ends: bool,
        most: u64,
        room: &Arc<Room>,
    ) -> (Result<(Bytes, Share), Unread>, Instant) {
        let clock = ManualClock::new();
        let runtime = clock.runtime().expect("a runtime");
        let body = Pieces(pieces.iter().copied().collect(), ends);
        let patience = Nanos::from_secs(30);
        let read = runtime.block_on(read(body, most, patience, room, &clock));
        (read, clock.now())
    }

    #[test]
    fn pieces_make_a_whole() {
        let room = Room::new(100);
        let cases: [(&[&'static [u8]], &[u8]); 3] = [
            (&[], b""),
            (&[b"one"], b"one"),
            (&[b"one", b"", b", two", b", three"], b"one, two, three"),
        ];
        for (pieces, whole) in cases {
            let (read, _) = run(pieces, true, 100, &room);
            assert_eq!(read.expect("it ends").0, whole);
        }
    }

    #[test]
    fn bodies_are_bounded() {
        let room = Room::new(10);
        let (exact, _) = run(&[b"12345", b"678"], true, 8, &room);
        let (_, share) = exact.expect("just so many");
        assert_eq!(room.taken(), 8);
        let (longer, _) = run(&[b"12345", b"6789"], true, 8, &Room::new(100));
        assert_eq!(longer.err(), Some(Unread::TooLarge));
        let (crowded, _) = run(&[b"123"], true, 8, &room);
        assert_eq!(crowded.err(), Some(Unread::Crowded), "8 of 10 are taken");
        drop(share);
        assert!(run(&[b"123"], true, 8, &room).0.is_ok());
    }

    #[test]
    fn room_comes_back() {
        let room = Room::new(10);
        let cases: [(&[&'static [u8]], bool); 3] = [
            (&[b"1234567890"], true),
            (&[b"12345", b"6789"], true),
            (&[b"1234"], false),
        ];
        for (pieces, ends) in cases {
            drop(run(pieces, ends, 8, &room));
            assert_eq!(room.taken(), 0, "{pieces:?}");
        }
    }

    #[test]
    fn a_body_that_stops_is_given_up() {
        let (read, now) = run(&[b"{"], false, 100, &Room::new(100));
        assert_eq!(read.err(), Some(Unread::TooSlow));
        assert_eq!(now, Instant::from_secs(30));
    }
}

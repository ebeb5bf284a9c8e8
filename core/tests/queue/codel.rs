//! `CoDel` against the pseudocode of RFC 8289, and its known drop instants.

use std::collections::VecDeque;

use proptest::prelude::*;
use tollgate_core::id::{RequestId, TenantId};
use tollgate_core::lifecycle::Verdict;
use tollgate_core::policy::{Needs, Order, Priority, Shedding, Weight};
use tollgate_core::queue::{CoDel, CoDelState, Pass, Waiter};
use tollgate_core::time::{Instant, Nanos};

use super::guests::{permit, queue};

const TEXTBOOK: CoDel = CoDel {
    target: Nanos::from_millis(5),
    interval: Nanos::from_millis(100),
};

/// dev-golden-codel, in milliseconds: everybody has waited 20 ms, one dequeue a millisecond.
const GOLDEN: [u64; 27] = [
    100, 200, 271, 329, 379, 424, 464, 502, 538, 571, 603, 633, 662, 689, 716, 742, 767, 791, 815, 838, 860, 882, 903,
    924, 944, 964, 984,
];

#[test]
fn codel_golden() {
    let mut state = CoDelState::default();
    let mut seen = Vec::new();
    for millis in 0..=1_000 {
        // Time begins later than the epoch; what matters is what has passed.
        let now = Instant::from_secs(7) + Nanos::from_millis(millis);
        let mut pass = Pass::default();
        while TEXTBOOK.sheds(&mut state, &mut pass, now, Nanos::from_millis(20), 100) {
            seen.push(millis);
        }
    }
    assert_eq!(seen, GOLDEN);
}

/// The nth follows the one before after interval / √n, whatever the numbers.
#[test]
fn codel_spaces_by_the_root() {
    let codel = CoDel {
        target: Nanos::from_nanos(3),
        interval: Nanos::from_nanos(1_000_000),
    };
    let mut state = CoDelState::default();
    let (mut shed, mut pass_at) = (Vec::new(), 1_000_u64);
    while shed.len() < 50 {
        let (now, mut pass) = (Instant::from_nanos(pass_at), Pass::default());
        if codel.sheds(&mut state, &mut pass, now, Nanos::from_nanos(10), 9) {
            shed.push(pass_at);
            // Whoever is next is looked at too.
            assert!(!codel.sheds(&mut state, &mut pass, now, Nanos::from_nanos(10), 9));
        }
        pass_at += 1;
    }
    for (nth, pair) in (1_u32..).zip(shed.windows(2)) {
        let expected = 1e6 / f64::from(nth).sqrt();
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let spacing = (pair[1] - pair[0]) as f64;
        assert!((spacing - expected).abs() < 2.0, "{nth}: {spacing}, {expected}");
    }
}

proptest! {
    /// A queue whose waits are below the target, or in which no more than one other waits, sheds nobody.
    #[test]
    fn codel_lets_short_queues_be(gaps in prop::collection::vec((0_u64..200, 0_u64..5, 0_u32..2), 1..200)) {
        let (mut quick, mut short) = (CoDelState::default(), CoDelState::default());
        let mut now = Instant::EPOCH;
        for (gap, waited, others) in gaps {
            now += Nanos::from_millis(gap);
            let mut pass = Pass::default();
            let wait = Nanos::from_nanos(4_999_999).min(Nanos::from_millis(waited));
            prop_assert!(!TEXTBOOK.sheds(&mut quick, &mut pass, now, wait, 100));
            prop_assert!(!TEXTBOOK.sheds(&mut short, &mut pass, now, Nanos::from_secs(9), others));
        }
    }

    /// The queue serves and sheds whom the pseudocode of the RFC delivers and drops.
    #[test]
    fn codel_is_the_rfcs(steps in prop::collection::vec((0_u64..60, 0_u32..7, any::<bool>()), 1..400)) {
        let (target, interval) = (TEXTBOOK.target, TEXTBOOK.interval);
        let mut ours = queue(Order::Fifo, Shedding::CoDel { target, interval }, 10_000);
        let mut theirs = Rfc::default();
        let (mut now, mut number) = (0, 0);
        for (gap, n_pushed, serves) in steps {
            now += gap;
            let at = Instant::EPOCH + Nanos::from_millis(now);
            for _ in 0..n_pushed {
                let waiter = Waiter {
                    request: RequestId(number),
                    needs: Needs::default(),
                    expires: Instant::FAR,
                    tenant: TenantId(0),
                    weight: Weight::ONE,
                    priority: Priority::Normal,
                    deadline: Instant::FAR,
                    cost: 0,
                };
                ours.push(at, waiter).expect("there is room");
                theirs.queue.push_back((number, now));
                number += 1;
            }
            if !serves {
                continue;
            }
            let mut shed = Vec::new();
            let granted = ours.grant(at, permit(0), |_| true, |request, verdict| {
                assert_eq!(verdict, Verdict::Shed);
                shed.push(request.0);
            });
            theirs.dropped.clear();
            let delivered = theirs.deque(now);
            prop_assert_eq!(granted.map(|request| request.0), delivered);
            prop_assert_eq!(&shed, &theirs.dropped);
        }
    }
}

/// The pseudocode of RFC 8289, section 5, in milliseconds: a packet is its number and when it came.
#[derive(Default)]
struct Rfc {
    queue: VecDeque<(u64, u64)>,
    dropped: Vec<u64>,
    first_above_time: f64,
    drop_next: f64,
    count: u32,
    lastcount: u32,
    dropping: bool,
}

const TARGET: f64 = 5.0;
const INTERVAL: f64 = 100.0;

#[expect(clippy::cast_precision_loss, reason = "milliseconds far below 2^53")]
impl Rfc {
    fn dodequeue(&mut self, now: u64) -> (Option<(u64, u64)>, bool) {
        let packet = self.queue.pop_front();
        let Some((_, since)) = packet else {
            self.first_above_time = 0.0;
            return (None, false);
        };
        let mut ok_to_drop = false;
        let sojourn = (now - since) as f64;
        // bytes() <= maxpacket: one packet or none is left.
        if sojourn < TARGET || self.queue.len() <= 1 {
            self.first_above_time = 0.0;
        } else if self.first_above_time <= 0.0 {
            self.first_above_time = now as f64 + INTERVAL;
        } else if self.first_above_time <= now as f64 {
            ok_to_drop = true;
        }
        (packet, ok_to_drop)
    }

    fn deque(&mut self, now: u64) -> Option<u64> {
        let time = now as f64;
        let (mut packet, mut ok_to_drop) = self.dodequeue(now);
        if self.dropping {
            if !ok_to_drop {
                self.dropping = false;
            }
            while self.drop_next <= time && self.dropping {
                self.dropped.push(packet.expect("packets that may be dropped").0);
                self.count += 1;
                (packet, ok_to_drop) = self.dodequeue(now);
                if ok_to_drop {
                    self.drop_next = control_law(self.drop_next, self.count);
                } else {
                    self.dropping = false;
                }
            }
        } else if ok_to_drop {
            self.dropped.push(packet.expect("packets that may be dropped").0);
            (packet, _) = self.dodequeue(now);
            self.dropping = true;
            let delta = self.count - self.lastcount;
            self.count = 1;
            if 1 < delta && time - self.drop_next < 16.0 * INTERVAL {
                self.count = delta;
            }
            self.drop_next = control_law(time, self.count);
            self.lastcount = self.count;
        }
        packet.map(|(number, _)| number)
    }
}

fn control_law(time: f64, count: u32) -> f64 {
    time + INTERVAL / f64::from(count).sqrt()
}

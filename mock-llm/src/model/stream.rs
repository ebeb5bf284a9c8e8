//! How many tokens an answer has sent, from the two instants between which they come evenly.

use tollgate_core::time::{Instant, Nanos};

/// Tokens between two instants, in parts of 2^-20 of a token, so that a change of pace loses none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    from: Instant,
    until: Instant,
    /// Parts at `from` and at `until`.
    base: u64,
    goal: u64,
    /// When the last whole token before `from` was sent.
    last: Instant,
}

const PARTS: u32 = 20;

impl Segment {
    /// `first` tokens at `from`, `goal` at `until`.
    pub(super) fn new(from: Instant, first: u32, until: Instant, goal: u32) -> Segment {
        let (base, goal) = (u64::from(first) << PARTS, u64::from(goal.max(first)) << PARTS);
        Segment {
            from,
            until,
            base,
            goal,
            last: from,
        }
    }

    /// No tokens yet; `arrived` stands for the last.
    pub(super) fn none(arrived: Instant) -> Segment {
        Segment::still(arrived, 0)
    }

    /// So many tokens, the last of them at `last`, and no more.
    pub(super) fn still(last: Instant, tokens: u32) -> Segment {
        Segment::new(last, tokens, last, tokens)
    }

    /// The same tokens so far, and the remaining ones by `until`.
    pub(super) fn repaced(self, now: Instant, until: Instant) -> Segment {
        Segment {
            from: now,
            until,
            base: self.parts(now),
            goal: self.goal,
            last: self.sent(now).1,
        }
    }

    /// Tokens sent by `now`, and when the last of them was.
    pub(super) fn sent(&self, now: Instant) -> (u32, Instant) {
        let whole = self.parts(now) >> PARTS;
        let tokens = u32::try_from(whole).expect("no more than the goal, which fits");
        let target = whole << PARTS;
        if target <= self.base {
            return (tokens, self.last);
        }
        (tokens, self.reaches(target))
    }

    /// When the next token after `now` will be sent; none if there is none.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let target = ((self.parts(now) >> PARTS) + 1) << PARTS;
        (target <= self.goal).then(|| self.reaches(target))
    }

    /// The first nanosecond at which there are `target` parts: more than at first, and no more than the goal.
    fn reaches(&self, target: u64) -> Instant {
        let ahead = u128::from(target - self.base) * u128::from(self.until.since(self.from).as_nanos());
        let nanos = ahead.div_ceil(u128::from(self.goal - self.base));
        let nanos = u64::try_from(nanos).expect("no longer than the segment");
        self.from + Nanos::from_nanos(nanos)
    }

    fn parts(&self, now: Instant) -> u64 {
        if self.until <= now {
            return self.goal;
        }
        let length = u128::from(self.until.since(self.from).as_nanos()).max(1);
        let parts = u128::from(self.goal - self.base) * u128::from(now.since(self.from).as_nanos()) / length;
        self.base + u64::try_from(parts).expect("no more than the goal")
    }
}

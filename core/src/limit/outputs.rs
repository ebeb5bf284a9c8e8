//! How many output tokens to assume of a request that names no maximum, learned from the answers before it.
//!
//! The estimator that TCP sets its retransmission timeout by, fed with output tokens instead of round trips: a mean
//! with gain 1/8, the mean deviation from it with gain 1/4, and mean + 4 deviations for the next (Jacobson, *Congestion
//! Avoidance and Control*, 1988, appendix A; RFC 6298, section 2). In whole numbers as published there: the mean in
//! eighths, the deviation in quarters. What is assumed is at most the longest answer so far, so the first answer is
//! assumed again, not three times.
//!
//! **Where it is wrong.** It follows the last ten answers or so. Where a model answers some with a word and some with a
//! chapter, and long ones come in rows, the first of a row is a debt. What it covers it pays for: of lognormal lengths
//! with a p95 four times the median 96 %, by assuming four times the mean. Answers above [`Outputs::MOST`] tokens teach
//! no more than that many.
//!
//! | Law | Test |
//! |---|---|
//! | Before the first answer nothing is assumed. | `nothing_is_assumed_before_an_answer` |
//! | Answers of one length are assumed to be so long, to three tokens, whatever was before, and never shorter. | `one_length_is_learned` |
//! | Of a stationary lognormal stream, p95 at most four times the median, at least 95 % of the answers are covered. | `most_answers_are_covered` |
//! | What is assumed is at least one token, and at most the longest answer. | `never_beyond_the_longest_answer` |
//! | It is RFC 6298's estimator, to the rounding of its fractions. | `it_is_the_published_estimator` |
//!
//! ```
//! use tollgate_core::limit::Outputs;
//!
//! let mut outputs = Outputs::default();
//! assert_eq!(outputs.assumed(), None);
//! outputs.observe(400);
//! assert_eq!(outputs.assumed(), Some(400));
//! // The mean is 375 then, and the deviation 200: together more than ever was.
//! outputs.observe(200);
//! assert_eq!(outputs.assumed(), Some(400));
//! ```

/// How long the answers of one tenant and model have been: one word. `default()` has seen none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs(u64);

/// What [`Outputs`] packs, each as wide as [`Outputs::MOST`] and its fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    /// In eighths of a token.
    mean: u32,
    /// In quarters of a token.
    deviation: u32,
    /// The longest answer; zero before the first.
    longest: u32,
}

impl Outputs {
    /// The longest answer that is told from longer ones.
    pub const MOST: u32 = (1 << LONGEST_BITS) - 1;

    /// An answer of `output` tokens is complete. One without any teaches as one of a single token.
    pub fn observe(&mut self, output: u32) {
        let output = output.clamp(1, Outputs::MOST);
        let Parts {
            mean,
            deviation,
            longest,
        } = self.parts();
        let next = if longest == 0 {
            Parts {
                mean: output << MEAN_SHIFT,
                deviation: output << DEVIATION_SHIFT >> 1,
                longest: output,
            }
        } else {
            let expected = mean >> MEAN_SHIFT;
            Parts {
                mean: mean - expected + output,
                deviation: deviation - (deviation >> DEVIATION_SHIFT) + output.abs_diff(expected),
                longest: longest.max(output),
            }
        };
        *self = Outputs::packed(next);
    }

    /// Output tokens to assume of the next answer; nothing before the first.
    #[must_use]
    pub fn assumed(self) -> Option<u32> {
        let Parts {
            mean,
            deviation,
            longest,
        } = self.parts();
        // Quarters of a deviation are what four deviations are tokens.
        (longest != 0).then(|| ((mean >> MEAN_SHIFT) + deviation).min(longest))
    }

    fn packed(parts: Parts) -> Outputs {
        debug_assert!(
            parts.mean < 1 << MEAN_BITS && parts.deviation < 1 << DEVIATION_BITS,
            "averages are no longer than the longest"
        );
        let averages = u64::from(parts.mean) << DEVIATION_BITS | u64::from(parts.deviation);
        Outputs(averages << LONGEST_BITS | u64::from(parts.longest))
    }

    fn parts(self) -> Parts {
        let cut = |from: u32, bits: u32| {
            let part = self.0 >> from & ((1 << bits) - 1);
            u32::try_from(part).expect("a part is less than 32 bits")
        };
        Parts {
            mean: cut(LONGEST_BITS + DEVIATION_BITS, MEAN_BITS),
            deviation: cut(LONGEST_BITS, DEVIATION_BITS),
            longest: cut(0, LONGEST_BITS),
        }
    }
}

/// The gain of the mean is 1/8.
const MEAN_SHIFT: u32 = 3;
/// That of the deviation is 1/4.
const DEVIATION_SHIFT: u32 = 2;

const LONGEST_BITS: u32 = 19;
const MEAN_BITS: u32 = LONGEST_BITS + MEAN_SHIFT;
const DEVIATION_BITS: u32 = LONGEST_BITS + DEVIATION_SHIFT;

const _: () = assert!(MEAN_BITS + DEVIATION_BITS + LONGEST_BITS <= u64::BITS);

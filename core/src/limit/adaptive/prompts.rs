//! What the length of a prompt explains of the time to the first token.

use crate::time::Nanos;

/// Adjusts latencies for the length of the prompt, by a regression that is kept up as samples come.
///
/// A prompt of ten thousand tokens has its first token later than one of ten, and that is no congestion. So latency is
/// regressed on prompt length, the last five hundred samples or so counting; and what a law is told is the latency
/// times what the regression predicts for the mean prompt, over what it predicts for this one: about what a prompt of
/// usual length would have taken. Congestion, which makes all of them slower, is left in.
///
/// Until there are thirty samples, and as long as all prompts are of one length, nothing is adjusted. A slope is never
/// negative and never above the one through the origin, and a factor never beyond a hundred or below a hundredth.
///
/// # Where it is wrong
///
/// It follows the mean prompt: if prompts become longer for good, latency does too. Where the endpoint keeps prefixes in
/// a cache, length explains less than it seems.
///
/// ```
/// use tollgate_core::limit::Prompts;
/// use tollgate_core::time::Nanos;
///
/// let mut prompts = Prompts::default();
/// let mut last = Nanos::ZERO;
/// for turn in 0..1000 {
///     // 10 ms, and a millisecond a token; of 100 and of 300 tokens.
///     let tokens = if turn % 2 == 0 { 100 } else { 300 };
///     last = prompts.adjust(tokens, Nanos::from_millis(10 + u64::from(tokens)));
/// }
/// assert!((last.as_secs_f64() - 0.210).abs() < 0.001, "as one of 200 tokens: {last}");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prompts {
    /// How many samples count.
    samples: f64,
    /// The mean prompt, in tokens, and the mean latency, in seconds.
    tokens: f64,
    latency: f64,
    /// The variance of the prompt, and its covariance with latency.
    variance: f64,
    covariance: f64,
}

/// Samples that count at most.
const MOST: f64 = 500.0;
/// Samples from which on a slope means something.
const FEWEST: f64 = 30.0;
/// The largest correction, either way.
const FARTHEST: f64 = 100.0;

impl Prompts {
    /// Learns that a prompt of `tokens` took `latency`, and says what one of usual length would have taken.
    pub fn adjust(&mut self, tokens: u32, latency: Nanos) -> Nanos {
        let (tokens, secs) = (f64::from(tokens), latency.as_secs_f64());
        self.learn(tokens, secs);
        let slope = self.slope();
        if slope == 0.0 {
            return latency;
        }
        let predicted = self.latency + slope * (tokens - self.tokens);
        let factor = if predicted * FARTHEST <= self.latency {
            FARTHEST
        } else {
            (self.latency / predicted).max(1.0 / FARTHEST)
        };
        Nanos::from_secs_f64(secs * factor)
    }

    /// Seconds a token.
    fn slope(&self) -> f64 {
        if self.samples < FEWEST || self.variance <= 0.0 || self.tokens <= 0.0 {
            return 0.0;
        }
        (self.covariance / self.variance).clamp(0.0, self.latency / self.tokens)
    }

    fn learn(&mut self, tokens: f64, latency: f64) {
        self.samples = (self.samples + 1.0).min(MOST);
        let off = tokens - self.tokens;
        self.tokens += off / self.samples;
        self.latency += (latency - self.latency) / self.samples;
        self.variance += (off * (tokens - self.tokens) - self.variance) / self.samples;
        self.covariance += (off * (latency - self.latency) - self.covariance) / self.samples;
    }
}

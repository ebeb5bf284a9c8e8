//! The load of a score.

/// `a / (rtt + 1) + b · (1 - load)`, highest wins: `rtt` is the average time to first token in milliseconds, `load` the
/// attempts in flight over the most that there may be.
///
/// **Where it is wrong:** at the latencies of language models. A first token after 100 ms leaves 1 % of `a`, so that
/// the second term alone decides, and the score is a slow way to write least in-flight. It is for endpoints that
/// answer within a few milliseconds. And where an endpoint has no bound on what is in flight, the second term says
/// nothing.
///
/// ```
/// use tollgate_core::load::Score;
///
/// let score = Score { rtt: 0.6, load: 0.4 };
/// assert!((score.of(45.0, 0.7) - 0.133_043).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// `a`.
    pub rtt: f64,
    /// `b`.
    pub load: f64,
}

impl Score {
    /// The score of an endpoint with an average of `rtt` milliseconds, of whose places the share `load` is taken.
    #[must_use]
    #[inline]
    pub fn of(&self, rtt: f64, load: f64) -> f64 {
        self.rtt / (rtt + 1.0) + self.load * (1.0 - load.clamp(0.0, 1.0))
    }

    /// The score as a load: what is missing to the best that there is.
    #[must_use]
    #[inline]
    pub fn load(&self, rtt: f64, load: f64) -> f64 {
        self.rtt + self.load - self.of(rtt, load)
    }
}

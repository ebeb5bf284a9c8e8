//! The load of weighted response time.

/// The average time, times attempts in flight plus one, divided by the weight: `least_time` of NGINX Plus and Angie, whose
/// published rule is the lowest average response time and the fewest active connections.
///
/// With `ages` those of attempts that are not complete, in seconds, are added to the product: an endpoint that has stopped to
/// answer is noticed before its attempts are over.
///
/// An endpoint without an average has no load but those ages: it is tried at once, by all who come before its first sample.
///
/// **Where it is wrong:** where the time of an answer is the request's doing and not the endpoint's. Measure to the
/// first token unless all answers are of one length.
///
/// ```
/// use tollgate_core::load::LeastTime;
///
/// assert_eq!(LeastTime::load(0.2, 3, 0.0, 2.0), 0.4);
/// assert_eq!(LeastTime::load(0.2, 3, 10.0, 2.0), 5.4);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeastTime;

impl LeastTime {
    /// The load of an endpoint of this average, in seconds, and `weight`, with so many attempts `in_flight`.
    #[must_use]
    #[inline]
    pub fn load(average: f64, in_flight: u32, ages: f64, weight: f64) -> f64 {
        (average * (f64::from(in_flight) + 1.0) + ages) / weight
    }
}

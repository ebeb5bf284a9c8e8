//! Counts in flight, between endpoints that differ in what they can do.

/// What is in flight, divided by the weight: nginx's `least_conn`. Endpoints are filled in proportion to their weights.
///
/// It is exact: equal fractions are equal numbers.
///
/// ```
/// use tollgate_core::load::per_weight;
///
/// assert_eq!(per_weight(6.0, 3.0), per_weight(2.0, 1.0));
/// ```
#[must_use]
#[inline]
pub fn per_weight(in_flight: f64, weight: f64) -> f64 {
    in_flight / weight
}

/// What is in flight and one more, divided by the weight: the shortest expected delay of LVS. Where the weight is the
/// rate of service it is how long one more would stay, were all ahead of it served one after the other.
///
/// Beside [`per_weight`] it tells a fast idle endpoint from a slow idle one.
///
/// ```
/// use tollgate_core::load::expected_delay;
///
/// assert!(expected_delay(0.0, 3.0) < expected_delay(0.0, 1.0));
/// ```
#[must_use]
#[inline]
pub fn expected_delay(in_flight: f64, weight: f64) -> f64 {
    (in_flight + 1.0) / weight
}

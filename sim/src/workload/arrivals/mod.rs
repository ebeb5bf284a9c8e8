//! When calls arrive.
//!
//! Every process is exact: no time grid, no approximation of a rate by steps. The draws of arrival `n` come from the
//! dice of call `n` under [`Purpose::Arrival`](tollgate_core::dice::Purpose::Arrival), so the process never shares
//! a number with anything else. Times are kept as whole nanoseconds and a fraction below one, so that rounding does not add up.
//!
//! | process | method | source |
//! |---|---|---|
//! | deterministic | arrival `n` at `n / rate` | |
//! | poisson, gamma, weibull | renewal: the sum of independent gaps | |
//! | mmpp | competing exponentials in each state; starts in the stationary state | Fischer and Meier-Hellstern 1993 |
//! | hawkes | exact, two uniforms a gap, no thinning | Dassios and Zhao 2013 |
//! | schedule | inversion of the integrated rate, closed form in each step | Çinlar 1975 |
//! | diurnal | inversion by Newton's method, safeguarded by bisection | Çinlar 1975 |

mod clock;
mod diurnal;
mod hawkes;
mod mmpp;
mod process;
mod renewal;
mod schedule;
mod spec;
#[cfg(test)]
mod spec_tests;
#[cfg(test)]
mod tests;

pub use process::Arrivals;
pub(crate) use schedule::count;
pub use spec::{ArrivalSpec, ClosedSpec, MAX_RATE, MAX_STATES, MAX_STEPS, MAX_USERS, Noise, TraceSpec};

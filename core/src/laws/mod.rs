//! The laws as functions, for algorithms of one's own (feature `laws`).
//!
//! Each says nothing of a case, or how the case breaks it. They are the laws that core's own algorithms are held to:
//! whoever implements one of the public traits can hold it to the same.
//!
//! | Laws of | are in |
//! |---|---|
//! | limiters | [`limit`] |
//! | balancers | [`balance`] |

pub mod balance;
pub mod limit;

use alloc::string::String;

/// What a law has to say: nothing, or how it is broken.
pub type Verdict = Result<(), String>;

/// Ends a law with words if what it demands does not hold.
macro_rules! demand {
    ($holds:expr, $($explain:tt)+) => {
        if !$holds {
            return Err(alloc::format!($($explain)+));
        }
    };
}

pub(crate) use demand;

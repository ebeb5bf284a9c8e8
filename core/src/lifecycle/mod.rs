//! The life of one request, from arrival to settlement.

mod input;

pub use input::{AttemptEvent, ErrorCode, Status};

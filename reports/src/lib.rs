//! Result sets, figures and pages.
//!
//! A run that compares policies leaves numbers behind; somebody has to decide something with them. This crate holds the
//! three steps in between: [`result`] is what a run leaves behind (types, and how they are written and read), [`figure`]
//! draws it, [`page`] and [`table`] put it in front of a person. [`lineup`] does all of it for algorithms side by side.
//!
//! The crate knows nothing about how the numbers came to be: no clock, no simulator, no proxy. Whoever measures
//! something fills in a [`ResultSet`]; the same set always gives the same bytes.
//!
//! ```
//! use tollgate_reports::result::{ResultSet, StrategySummary, Summary};
//!
//! let set = ResultSet {
//!     summary: Summary {
//!         scenario: "two-providers-one-outage".into(),
//!         strategies: vec![StrategySummary { name: "round robin".into(), ..Default::default() }],
//!         ..Default::default()
//!     },
//!     ..Default::default()
//! };
//! let json = set.summary.to_json()?;
//! assert!(json.contains("\"scenario\": \"two-providers-one-outage\""));
//! # Ok::<(), tollgate_reports::result::WriteError>(())
//! ```
//!
//! Absent on purpose: system fonts (the figures bring their own), scripts and network addresses in the page, and any
//! number that is not finite (what is undefined is `null`).

#[cfg(test)]
extern crate self as tollgate_reports;

pub mod figure;
pub mod lineup;
pub mod page;
pub mod result;
pub mod table;
pub mod twin;

pub use result::{ResultSet, merge};

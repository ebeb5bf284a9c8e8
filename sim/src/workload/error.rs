//! What can be wrong with a workload, by field.

use std::error::Error;
use std::fmt;

/// One impossible number or list, and the key that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadError {
    /// Path of the key below `[workload]`, as in `arrivals.rate` or `tenants[2].share`.
    pub field: String,
    /// What is wrong with it.
    pub cause: Cause,
}

/// Why a value cannot be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Not a number, or infinite.
    NotFinite,
    /// Must lie in a range and does not.
    OutOfRange {
        /// The value.
        value: f64,
        /// The least that is allowed.
        least: f64,
        /// The most that is allowed.
        most: f64,
    },
    /// A list without elements.
    Empty,
    /// A list with more elements than the limit.
    TooMany {
        /// How many there are.
        len: usize,
        /// How many there may be.
        most: usize,
    },
    /// Two lists that belong together differ in length.
    UnequalLengths {
        /// The other key.
        other: &'static str,
        /// Elements of this list.
        len: usize,
        /// Elements of the other.
        other_len: usize,
    },
    /// Nothing would ever arrive.
    NothingArrives,
    /// Two elements have the same name.
    Duplicate {
        /// The name.
        name: String,
    },
    /// Times of steps must start at zero and increase.
    NotIncreasing,
    /// Holding times so short against the rates that one arrival needs more switches than the limit.
    TooManySwitches {
        /// Mean number of state changes between two arrivals.
        switches: f64,
        /// The limit.
        most: f64,
    },
    /// The kind of arrivals does not fit this use.
    NotOpen,
}

impl WorkloadError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match &self.cause {
            Cause::NotFinite => "write a number".to_owned(),
            Cause::OutOfRange { least, most, .. } => {
                format!("write a number from {} to {}", shown(*least), shown(*most))
            }
            Cause::Empty => "write one, or leave the key out".to_owned(),
            Cause::TooMany { most, .. } => format!("keep {most} of them"),
            Cause::UnequalLengths { .. } => "write as many of the one as of the other".to_owned(),
            Cause::NothingArrives => "write a rate above 0".to_owned(),
            Cause::Duplicate { .. } => "rename one of them".to_owned(),
            Cause::NotIncreasing => "begin at \"0s\" and put the steps in order".to_owned(),
            Cause::TooManySwitches { .. } => "lengthen the holds, or raise the rates".to_owned(),
            Cause::NotOpen => "choose another process".to_owned(),
        }
    }
}

/// A number as people write it, also where it is very large or very small.
fn shown(value: f64) -> String {
    if value == 0.0 || (1e-4..1e7).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = &self.field;
        match &self.cause {
            Cause::NotFinite => write!(f, "`{field}` must be a finite number"),
            Cause::OutOfRange { value, least, most } => {
                let (value, least, most) = (shown(*value), shown(*least), shown(*most));
                write!(f, "`{field}` is {value}, but must lie between {least} and {most}")
            }
            Cause::Empty => write!(f, "`{field}` is empty; it needs at least one element"),
            Cause::TooMany { len, most } => write!(f, "`{field}` has {len} elements; at most {most} are possible"),
            Cause::UnequalLengths { other, len, other_len } => write!(
                f,
                "`{field}` has {len} elements but `{other}` has {other_len}; they belong together, one each"
            ),
            Cause::NothingArrives => write!(f, "`{field}` is zero throughout, so nothing would ever arrive"),
            Cause::Duplicate { name } => write!(f, "`{field}` repeats the name {name:?}; names must differ"),
            Cause::NotIncreasing => write!(
                f,
                "`{field}` is out of order; the first step is at \"0s\" and each further one is later than the one before"
            ),
            Cause::TooManySwitches { switches, most } => write!(
                f,
                "`{field}`: states change {switches:.0} times between two arrivals; at most {most} are possible, \
                 so lengthen the holds or raise the rates"
            ),
            Cause::NotOpen => write!(
                f,
                "`{field}` is driven by completions or by a file, so it has no arrival process of its own"
            ),
        }
    }
}

impl Error for WorkloadError {}

/// Everything that is wrong with a workload; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadErrors(Vec<WorkloadError>);

impl WorkloadErrors {
    /// Every error, in the order of the keys.
    #[must_use]
    pub fn as_slice(&self) -> &[WorkloadError] {
        &self.0
    }
}

impl fmt::Display for WorkloadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index != 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for WorkloadErrors {}

/// Collects errors while a specification is checked.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<WorkloadError>);

impl Faults {
    pub(crate) fn add(&mut self, field: impl Into<String>, cause: Cause) {
        self.0.push(WorkloadError {
            field: field.into(),
            cause,
        });
    }

    /// Reports `value` unless it is a number between `least` and `most`, both included.
    pub(crate) fn within(&mut self, field: impl Into<String>, value: f64, least: f64, most: f64) {
        if !value.is_finite() {
            self.add(field, Cause::NotFinite);
        } else if value < least || most < value {
            self.add(field, Cause::OutOfRange { value, least, most });
        }
    }

    pub(crate) fn len_within(&mut self, field: impl Into<String>, len: usize, most: usize) {
        if len == 0 {
            self.add(field, Cause::Empty);
        } else if most < len {
            self.add(field, Cause::TooMany { len, most });
        }
    }

    pub(crate) fn finish(self) -> Result<(), WorkloadErrors> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WorkloadErrors(self.0))
        }
    }
}

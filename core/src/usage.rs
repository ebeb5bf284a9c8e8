//! What a request uses: tokens, as estimated before and as counted after.

/// Tokens of one request or attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u32,
    /// Tokens of the answer; before it, the most that it may have.
    pub output: u32,
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input as u64 + self.output as u64
    }
}

/// What a request may use, as far as it is known before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens of the prompt.
    pub input: u32,
    /// The most tokens that the answer may have, if the request says so; of several answers, all together.
    pub output: Option<u32>,
    /// How many answers it asks for beyond the first: what is assumed of one is assumed of each.
    pub more: u32,
}

impl Estimate {
    /// The estimate as a usage, `output` tokens an answer being assumed where the request names no maximum.
    ///
    /// ```
    /// use tollgate_core::usage::Estimate;
    ///
    /// let two = Estimate { input: 10, output: None, more: 1 };
    /// assert_eq!(two.or(500).total(), 1_010);
    /// let bounded = Estimate { output: Some(60), ..two };
    /// assert_eq!(bounded.or(500).total(), 70);
    /// ```
    #[must_use]
    pub const fn or(self, output: u32) -> Usage {
        Usage {
            input: self.input,
            output: match self.output {
                Some(output) => output,
                None => output.saturating_mul(self.more.saturating_add(1)),
            },
        }
    }
}

/// Units that one request takes from a limit.
pub type Cost = u64;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// One a request.
    Requests,
    /// Input and output tokens.
    Tokens,
    /// Tokens of the prompt.
    InputTokens,
    /// Tokens of the answer.
    OutputTokens,
    /// One a request, given back when it ends.
    InFlight,
}

impl Unit {
    /// How many units `usage` is worth.
    #[must_use]
    #[inline]
    pub const fn cost(self, usage: Usage) -> Cost {
        match self {
            Unit::Requests | Unit::InFlight => 1,
            Unit::Tokens => usage.total(),
            Unit::InputTokens => usage.input as u64,
            Unit::OutputTokens => usage.output as u64,
        }
    }
}

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
    /// Millionths of a US dollar.
    MicroUsd,
    /// One a request, given back when it ends.
    InFlight,
}

impl Unit {
    /// How many units `usage` is worth; of money, at the dearest of these `rates`.
    #[must_use]
    #[inline]
    pub fn cost(self, usage: Usage, rates: &[Rates]) -> Cost {
        match self {
            Unit::Requests | Unit::InFlight => 1,
            Unit::Tokens => usage.total(),
            Unit::InputTokens => u64::from(usage.input),
            Unit::OutputTokens => u64::from(usage.output),
            Unit::MicroUsd => {
                let costs = rates.iter().map(|rates| rates.cost(usage).micro_usd());
                costs.max().unwrap_or(0)
            }
        }
    }
}

/// What tokens cost: millionths of a millionth of a US dollar each, which a price in dollars per million tokens is with
/// six digits behind the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rates {
    /// A token of the prompt.
    pub input: u64,
    /// A token of the answer.
    pub output: u64,
}

impl Rates {
    /// What `usage` costs, exactly.
    ///
    /// ```
    /// use tollgate_core::usage::{Rates, Usage};
    ///
    /// let rates = Rates { input: 150_000, output: 600_000 };
    /// let cost = rates.cost(Usage { input: 1_001, output: 10 });
    /// assert_eq!(cost.0, 156_150_000);
    /// assert_eq!(cost.micro_usd(), 157);
    /// ```
    #[must_use]
    #[inline]
    pub const fn cost(self, usage: Usage) -> PicoUsd {
        let input = self.input.saturating_mul(usage.input as u64);
        let output = self.output.saturating_mul(usage.output as u64);
        PicoUsd(input.saturating_add(output))
    }
}

/// An amount of money: so many millionths of a millionth of a US dollar. Sums of them are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Both amounts, at most what a number holds.
    #[must_use]
    #[inline]
    pub const fn and(self, other: PicoUsd) -> PicoUsd {
        PicoUsd(self.0.saturating_add(other.0))
    }

    /// In millionths of a dollar, rounded up: done once a request, at its end.
    #[must_use]
    #[inline]
    pub const fn micro_usd(self) -> Cost {
        self.0.div_ceil(1_000_000)
    }

    /// In dollars, for people.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below nine thousand dollars, and read by people beyond"
    )]
    pub const fn usd(self) -> f64 {
        self.0 as f64 / 1e12
    }
}

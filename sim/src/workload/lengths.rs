//! How long prompts and answers are, in tokens.

use tollgate_core::dice::{Purpose, RequestDice};
use tollgate_mock_llm::draw::Distribution;

/// The longest prompt or answer: draws beyond it are cut, so that a heavy tail cannot overflow a count of tokens.
pub const MAX_TOKENS: u32 = 10_000_000;

/// What clients declare as the most tokens that they want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxTokens {
    /// Exactly what the answer will have: an ideal estimate.
    #[default]
    Output,
    /// Nothing.
    None,
    /// This number; answers end there.
    Number(u32),
}

impl MaxTokens {
    /// What is declared for an answer that would have `output` tokens, and how many it then has.
    #[must_use]
    #[inline]
    pub const fn apply(self, output: u32) -> (Option<u32>, u32) {
        match self {
            MaxTokens::Output => (Some(output), output),
            MaxTokens::None => (None, output),
            MaxTokens::Number(most) => (Some(most), if most < output { most } else { output }),
        }
    }
}

/// A number of tokens from `lengths`: the nearest whole number, at least 1 and at most [`MAX_TOKENS`].
#[inline]
pub(crate) fn draw(lengths: &Distribution, dice: RequestDice, purpose: Purpose) -> u32 {
    tokens(match lengths.as_constant() {
        Some(length) => length,
        None => lengths.sample(&mut dice.roll(purpose, 0)),
    })
}

/// The nearest number of tokens to `value`, at least 1 and at most [`MAX_TOKENS`].
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float casts saturate, and the clamp follows"
)]
pub(crate) fn tokens(value: f64) -> u32 {
    ((value + 0.5) as u32).clamp(1, MAX_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_and_bounded() {
        for (value, expected) in [
            (0.0, 1),
            (0.4, 1),
            (1.5, 2),
            (1.49, 1),
            (600.2, 600),
            (1e30, MAX_TOKENS),
            (f64::NAN, 1),
        ] {
            assert_eq!(tokens(value), expected, "{value}");
        }
    }

    #[test]
    fn a_declared_number_ends_the_answer() {
        assert_eq!(MaxTokens::Output.apply(150), (Some(150), 150));
        assert_eq!(MaxTokens::None.apply(150), (None, 150));
        assert_eq!(MaxTokens::Number(100).apply(150), (Some(100), 100));
        assert_eq!(MaxTokens::Number(1000).apply(150), (Some(1000), 150));
    }
}

//! What a prompt costs, before anybody has counted it.
//!
//! | Law | Test |
//! |---|---|
//! | A longer prompt is never estimated at less. | `longer_is_not_less` |
//! | A tokenizer's time is bounded, whatever a prompt says. | `long_texts_are_counted_by_bytes` |

use std::fmt;

use super::prompt::Contents;
use crate::settings;

/// How the tokens of a prompt are estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimator {
    /// By its size: four bytes of JSON are a token. Cheap, and above the truth for most prompts.
    #[default]
    Bytes,
    /// Its texts by the tokenizer of `OpenAI`'s 4o models and later ones.
    #[cfg(feature = "tokenizer")]
    Tokenizer,
}

/// A tokenizer was asked for, and there is none in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTokenizer;

impl fmt::Display for NoTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build has no tokenizer: build it with the feature `tokenizer`, or estimate by `bytes`")
    }
}

impl std::error::Error for NoTokenizer {}

impl Estimator {
    /// The estimator that the settings ask for.
    ///
    /// # Errors
    ///
    /// This build does not have it.
    pub fn new(choice: settings::Estimator) -> Result<Estimator, NoTokenizer> {
        match choice {
            settings::Estimator::Bytes => Ok(Estimator::Bytes),
            #[cfg(feature = "tokenizer")]
            settings::Estimator::Tokenizer => {
                // The dictionary is read at start, not for the first request.
                bpe_openai::o200k_base();
                Ok(Estimator::Tokenizer)
            }
            #[cfg(not(feature = "tokenizer"))]
            settings::Estimator::Tokenizer => Err(NoTokenizer),
        }
    }

    /// The tokens of `text`, which stands after so many `bytes` of other texts.
    #[cfg_attr(
        not(feature = "tokenizer"),
        expect(unused_variables, reason = "only a tokenizer needs a bound")
    )]
    pub(super) fn tokens(self, text: &str, bytes: u64) -> u64 {
        let by_bytes = (text.len() as u64).div_ceil(TOKEN_BYTES);
        match self {
            Estimator::Bytes => by_bytes,
            #[cfg(feature = "tokenizer")]
            Estimator::Tokenizer if MOST_COUNTED < bytes.saturating_add(text.len() as u64) => by_bytes,
            #[cfg(feature = "tokenizer")]
            Estimator::Tokenizer => bpe_openai::o200k_base().count(text) as u64,
        }
    }

    /// The tokens of a prompt that is `bytes` long, of which `contents` are known, and of `others` bytes beside it.
    pub(super) fn input(self, bytes: usize, contents: &Contents, others: usize) -> u32 {
        let media = contents.media.saturating_mul(MEDIUM_TOKENS);
        let text = match self {
            Estimator::Bytes => (bytes as u64)
                .saturating_sub(contents.media_bytes)
                .div_ceil(TOKEN_BYTES),
            #[cfg(feature = "tokenizer")]
            Estimator::Tokenizer => contents.text_tokens,
        };
        let others = (others as u64).div_ceil(TOKEN_BYTES);
        let all = text.saturating_add(media).saturating_add(others);
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

/// Bytes of English or code in a token, as providers say it for planning.
const TOKEN_BYTES: u64 = 4;

/// Tokens of a picture: one of 1024 by 1024 pixels in detail, as `OpenAI` counts it for its 4o models.
const MEDIUM_TOKENS: u64 = 765;

/// Most bytes of one prompt that are given to the tokenizer, which stops everything else on its thread for so long.
#[cfg(feature = "tokenizer")]
const MOST_COUNTED: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use tollgate_core::policy::Operation;

    use super::*;
    use crate::request::Reading;

    fn input(estimator: Estimator, content: &str) -> u32 {
        let messages = serde_json::json!([{"role": "user", "content": content}]);
        let body = Bytes::from(serde_json::json!({"model": "m", "messages": messages}).to_string());
        let reading = Reading::of(Operation::Chat, &body, &estimator);
        reading.expect("a chat").needs().input
    }

    fn estimators() -> Vec<Estimator> {
        let choices = [settings::Estimator::Bytes, settings::Estimator::Tokenizer];
        let estimators = choices.into_iter().filter_map(|choice| Estimator::new(choice).ok());
        estimators.collect()
    }

    #[test]
    fn what_is_asked_for_is_had_or_said() {
        assert_eq!(Estimator::new(settings::Estimator::Bytes), Ok(Estimator::Bytes));
        let tokenizer = Estimator::new(settings::Estimator::Tokenizer);
        assert_eq!(tokenizer.is_ok(), cfg!(feature = "tokenizer"));
    }

    #[test]
    #[cfg(feature = "tokenizer")]
    fn texts_are_counted_as_openai_counts_them() {
        assert_eq!(input(Estimator::Tokenizer, "Hello, world!"), 4 + 4);
        assert_eq!(input(Estimator::Tokenizer, ""), 4);
        let body = Bytes::from_static(b"{\"model\":\"m\",\"input\":[\"Hello, world!\",\"Hello, world!\"]}");
        let reading = Reading::of(Operation::Embeddings, &body, &Estimator::Tokenizer).expect("embeddings");
        assert_eq!(reading.needs().input, 8);
    }

    #[test]
    fn long_texts_are_counted_by_bytes() {
        for estimator in estimators() {
            let long = input(estimator, &"x ".repeat(1024 * 1024));
            assert!(long.abs_diff(512 * 1024) < 100, "{estimator:?}: {long}");
        }
    }

    proptest! {
        #[test]
        fn longer_is_not_less(text in "[a-z ]{0,60}") {
            for estimator in estimators() {
                let twice = format!("{text} {text}");
                prop_assert!(input(estimator, &text) <= input(estimator, &twice));
            }
        }
    }
}

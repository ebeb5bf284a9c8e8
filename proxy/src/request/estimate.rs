//! What a prompt costs, before anybody has counted it.

use super::prompt::Contents;

/// How the tokens of a prompt are estimated.
#[derive(Clone, Debug, Default)]
pub enum Estimator {
    /// By its size: four bytes of JSON are a token. Cheap, and above the truth for most prompts.
    #[default]
    Bytes,
}

impl Estimator {
    /// The tokens of `text`, if texts are counted one by one.
    #[inline]
    pub(super) fn tokens(&self, _text: &str) -> u64 {
        match self {
            Estimator::Bytes => 0,
        }
    }

    /// The tokens of a prompt that is `bytes` long, of which `contents` are known, and of `others` bytes beside it.
    pub(super) fn input(&self, bytes: usize, contents: &Contents, others: usize) -> u32 {
        let media = contents.media.saturating_mul(MEDIUM_TOKENS);
        let text = match self {
            Estimator::Bytes => (bytes as u64)
                .saturating_sub(contents.media_bytes)
                .div_ceil(TOKEN_BYTES),
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

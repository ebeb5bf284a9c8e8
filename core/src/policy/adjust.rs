//! What a route changes of a request before anything is decided about it: parameters, and headers.

use alloc::string::String;
use alloc::vec::Vec;

/// Parameters of a request that a route may fill in or bound; what is absent is left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parameters {
    /// `temperature`
    pub temperature: Option<f64>,
    /// `top_p`
    pub top_p: Option<f64>,
    /// `max_tokens`, by whichever name
    pub max_tokens: Option<u32>,
    /// `n`: how many answers
    pub n: Option<u32>,
}

/// What a route says about parameters.
///
/// | Law | Test |
/// |---|---|
/// | What the client says stays, but for caps. | `adjusting_keeps_what_was_asked` |
/// | Nothing leaves above its cap; a cap alone fills nothing in, but for `max_tokens`. | `caps_hold` |
/// | Adjusting twice is adjusting once. | `adjusting_is_idempotent` |
///
/// A request that names no `max_tokens` may answer without end, so a cap of it is filled in where there is no default.
///
/// ```
/// use tollgate_core::policy::{Adjustment, Parameters};
///
/// let adjustment = Adjustment {
///     defaults: Parameters { max_tokens: Some(1024), ..Parameters::default() },
///     caps: Parameters { max_tokens: Some(4096), ..Parameters::default() },
/// };
/// assert_eq!(adjustment.apply(Parameters::default()).max_tokens, Some(1024));
/// let greedy = Parameters { max_tokens: Some(100_000), ..Parameters::default() };
/// assert_eq!(adjustment.apply(greedy).max_tokens, Some(4096));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Adjustment {
    /// Used where the client says nothing.
    pub defaults: Parameters,
    /// The most that goes through.
    pub caps: Parameters,
}

impl Adjustment {
    /// What goes upstream when a client asks for `asked`. To be known before the request is estimated.
    #[must_use]
    pub fn apply(&self, asked: Parameters) -> Parameters {
        let Adjustment { defaults, caps } = self;
        let max_tokens = asked.max_tokens.or(defaults.max_tokens).or(caps.max_tokens);
        Parameters {
            temperature: real(asked.temperature.or(defaults.temperature), caps.temperature),
            top_p: real(asked.top_p.or(defaults.top_p), caps.top_p),
            max_tokens: whole(max_tokens, caps.max_tokens),
            n: whole(asked.n.or(defaults.n), caps.n),
        }
    }

    /// Whether it changes nothing.
    #[must_use]
    #[inline]
    pub fn is_none(&self) -> bool {
        *self == Adjustment::default()
    }
}

fn real(value: Option<f64>, cap: Option<f64>) -> Option<f64> {
    value.map(|value| cap.map_or(value, |cap| value.min(cap)))
}

fn whole(value: Option<u32>, cap: Option<u32>) -> Option<u32> {
    value.map(|value| cap.map_or(value, |cap| value.min(cap)))
}

/// What a route does to headers, on the way there and on the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderStages {
    /// Of the request, as the endpoint gets it.
    pub request: HeaderStage,
    /// Of the response, as the client gets it.
    pub response: HeaderStage,
}

/// Headers to remove, then headers to set. Names are in lower case; those that frame or authorize a message are not
/// among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderStage {
    /// Names and values.
    pub set: Vec<(String, String)>,
    /// Names.
    pub remove: Vec<String>,
}

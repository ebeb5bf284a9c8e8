//! What requests need and endpoints can do.

use super::RegionId;

/// What an endpoint can do; the default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Kinds of requests.
    pub operations: Operations,
    /// Most tokens of prompt and answer together.
    pub context: u32,
    /// Most tokens of an answer.
    pub max_output: u32,
    /// Tool calls.
    pub tools: bool,
    /// Pictures in the prompt.
    pub vision: bool,
    /// Answers that are JSON by construction.
    pub json: bool,
}

impl Default for Capability {
    fn default() -> Capability {
        Capability {
            operations: Operations::ALL,
            context: u32::MAX,
            max_output: u32::MAX,
            tools: true,
            vision: true,
            json: true,
        }
    }
}

impl Capability {
    /// Whether an endpoint that can do this can serve a request with these `needs`.
    #[must_use]
    #[inline]
    pub fn meets(&self, needs: &Needs) -> bool {
        let fits = needs.output <= self.max_output && needs.input.saturating_add(needs.output) <= self.context;
        let knows = (self.tools || !needs.tools) && (self.vision || !needs.vision) && (self.json || !needs.json);
        fits && knows && self.operations.has(needs.operation)
    }
}

/// What a request needs of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The kind of request.
    pub operation: Operation,
    /// Tokens of the prompt, as estimated.
    pub input: u32,
    /// Most tokens of the answer; 0 if the request names no maximum.
    pub output: u32,
    /// Whether it calls tools.
    pub tools: bool,
    /// Whether it shows pictures.
    pub vision: bool,
    /// Whether it wants JSON by construction.
    pub json: bool,
    /// Where the endpoint must be; taken from the route.
    pub region: Option<RegionId>,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// `/v1/chat/completions`
    #[default]
    Chat = 1,
    /// `/v1/completions`
    Completions = 2,
    /// `/v1/embeddings`
    Embeddings = 4,
}

/// A set of [`Operation`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u8);

impl Operations {
    /// Every operation there is or will be.
    pub const ALL: Operations = Operations(u8::MAX);
    /// No operation.
    pub const NONE: Operations = Operations(0);

    /// This set and `operation`.
    #[must_use]
    pub const fn with(self, operation: Operation) -> Operations {
        Operations(self.0 | operation as u8)
    }

    /// Whether `operation` is in the set.
    #[must_use]
    pub const fn has(self, operation: Operation) -> bool {
        self.0 & operation as u8 != 0
    }
}

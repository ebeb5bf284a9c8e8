//! How traces are written.

use std::fmt;

/// How a trace is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Found out from the first line.
    #[default]
    Auto,
    /// Azure LLM inference traces of 2023 and 2024: `TIMESTAMP,ContextTokens,GeneratedTokens`.
    Azure,
    /// Mooncake: lines of JSON, or CSV, with `timestamp` (ms), `input_length`, `output_length`.
    ///
    /// A trace whose timestamps lie on a grid of 3 s (to the millisecond) gets a uniform jitter of 0 to 3 s, the same at every reading.
    Mooncake,
    /// `BurstGPT`: `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`.
    Burstgpt,
    /// `ServeGen`: rates per client and 600 s window, expanded to calls; lengths come from the workload.
    Servegen,
    /// Ours: `time,prompt,output` and where known `tenant,model,max_tokens,stream`. Seconds.
    Tollgate,
    /// Our access log: lines of JSON, one a request, in the order in which requests ended.
    AccessLog,
    /// Any CSV, with the names of its columns.
    Csv(Columns),
}

/// Which column of a CSV file holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// When a call arrived: seconds, or a date and time.
    pub time: String,
    /// Tokens of the prompt.
    pub prompt: Option<String>,
    /// Tokens of the answer.
    pub output: Option<String>,
    /// Whose it was.
    pub tenant: Option<String>,
    /// What it asked for.
    pub model: Option<String>,
    /// The most tokens that the client said it wants.
    pub max_tokens: Option<String>,
    /// Whether the answer was streamed: true or false.
    pub stream: Option<String>,
}

impl Format {
    /// The word for it in scenarios and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Azure => "azure",
            Format::Mooncake => "mooncake",
            Format::Burstgpt => "burstgpt",
            Format::Servegen => "servegen",
            Format::Tollgate => "tollgate",
            Format::AccessLog => "access-log",
            Format::Csv(_) => "csv",
        }
    }

    /// Whether rows are in another order than that of their times by nature, and are put in order when they are loaded.
    #[must_use]
    pub const fn is_out_of_order(&self) -> bool {
        matches!(self, Format::AccessLog)
    }

    /// The format of that [name](Format::name); `csv` needs columns besides, so it has none.
    #[must_use]
    pub fn named(name: &str) -> Option<Format> {
        [
            Format::Auto,
            Format::Azure,
            Format::Mooncake,
            Format::Burstgpt,
            Format::Servegen,
            Format::Tollgate,
            Format::AccessLog,
        ]
        .into_iter()
        .find(|format| format.name() == name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

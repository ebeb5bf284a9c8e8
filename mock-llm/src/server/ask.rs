//! What a client asks for, as far as a mock cares.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Which answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    Completion,
    Embedding,
}

/// A request that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) operation: Operation,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// Tokens of the prompt: four bytes are one, where they do not come as tokens.
    pub(super) prompt: u32,
    /// The most tokens of one choice.
    pub(super) most: Option<u32>,
    /// Answers to the same prompt, or one each to several.
    pub(super) choices: u32,
    /// What is to be embedded, as the numbers that vectors are drawn from.
    pub(super) inputs: Vec<u64>,
    pub(super) dimensions: u32,
    pub(super) base64: bool,
}

/// Most choices of one request, and prompts of one completion.
const MOST_CHOICES: u64 = 128;
/// Most texts of one request that are embedded.
const MOST_INPUTS: usize = 2_048;
const MOST_DIMENSIONS: u64 = 4_096;
const DIMENSIONS: u32 = 1_536;
const BYTES_PER_TOKEN: u64 = 4;

impl Ask {
    /// Reads the body of a request.
    pub(super) fn read(operation: Operation, body: &[u8]) -> Result<Ask, Refusal> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("the body is not JSON: {error}"), None))?;
        let Value::Object(body) = value else {
            return Err(Refusal::invalid("the body must be a JSON object", None));
        };
        let model = match body.get("model") {
            Some(Value::String(model)) if !model.is_empty() => model.clone(),
            Some(Value::String(_) | Value::Null) | None => {
                return Err(Refusal::invalid("you must provide a model", Some("model")));
            }
            Some(_) => return Err(expected("a string", "model")),
        };
        let mut ask = Ask {
            operation,
            model,
            stream: flag(&body, "stream")?,
            include_usage: match body.get("stream_options") {
                None | Some(Value::Null) => false,
                Some(Value::Object(options)) => flag(options, "include_usage")?,
                Some(_) => return Err(expected("an object", "stream_options")),
            },
            prompt: 0,
            most: most(&body)?,
            choices: 1,
            inputs: Vec::new(),
            dimensions: DIMENSIONS,
            base64: false,
        };
        match operation {
            Operation::Chat => ask.read_chat(&body)?,
            Operation::Completion => ask.read_completion(&body)?,
            Operation::Embedding => ask.read_embedding(&body)?,
        }
        Ok(ask)
    }

    fn read_chat(&mut self, body: &Map<String, Value>) -> Result<(), Refusal> {
        let Some(Value::Array(messages)) = body.get("messages") else {
            return Err(expected("a list of messages", "messages"));
        };
        if messages.is_empty() {
            return Err(Refusal::invalid(
                "`messages` is too short: at least one is needed",
                Some("messages"),
            ));
        }
        let mut bytes = 0;
        for message in messages {
            let Some(Value::String(_)) = message.get("role") else {
                return Err(Refusal::invalid("every message needs a role", Some("messages")));
            };
            bytes += match message.get("content") {
                None | Some(Value::Null) => 0,
                Some(Value::String(text)) => text.len() as u64,
                Some(Value::Array(parts)) => parts.iter().map(|part| length(part.get("text"))).sum(),
                Some(_) => {
                    let message = "the content of a message must be a string or a list of parts";
                    return Err(Refusal::invalid(message, Some("messages")));
                }
            };
        }
        self.prompt = tokens(bytes.div_ceil(BYTES_PER_TOKEN));
        self.choices = choices(body)?;
        Ok(())
    }

    fn read_completion(&mut self, body: &Map<String, Value>) -> Result<(), Refusal> {
        let prompts = match body.get("prompt") {
            None | Some(Value::Null) => vec![0],
            Some(prompt) => texts(prompt, "prompt")?.into_iter().map(|text| text.tokens).collect(),
        };
        let all = u64::from(choices(body)?) * prompts.len() as u64;
        if MOST_CHOICES < all {
            return Err(Refusal::invalid(
                format!("at most {MOST_CHOICES} choices are made at once"),
                Some("n"),
            ));
        }
        self.prompt = tokens(prompts.iter().sum());
        self.choices = tokens(all);
        Ok(())
    }

    fn read_embedding(&mut self, body: &Map<String, Value>) -> Result<(), Refusal> {
        let Some(input) = body.get("input") else {
            return Err(expected("a string or a list", "input"));
        };
        let texts = texts(input, "input")?;
        self.prompt = tokens(texts.iter().map(|text| text.tokens).sum());
        self.inputs = texts.into_iter().map(|text| text.digest).collect();
        if let Some(dimensions) = number(body, "dimensions", MOST_DIMENSIONS)? {
            self.dimensions = dimensions;
        }
        self.base64 = match body.get("encoding_format") {
            None | Some(Value::Null) => false,
            Some(Value::String(format)) if format == "float" => false,
            Some(Value::String(format)) if format == "base64" => true,
            Some(_) => return Err(expected("\"float\" or \"base64\"", "encoding_format")),
        };
        self.stream = false;
        self.most = Some(0);
        Ok(())
    }
}

/// A number of a header, if it is there.
pub(super) fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || Refusal::invalid(format!("the header `{name}` must be a number"), None);
    number.map(Some).ok_or_else(wrong)
}

/// One of several texts: how many tokens, and which.
struct Text {
    tokens: u64,
    digest: u64,
}

impl Text {
    fn new(text: &str) -> Text {
        Text {
            tokens: (text.len() as u64).div_ceil(BYTES_PER_TOKEN),
            digest: digest(text.bytes()),
        }
    }

    /// A text that comes as tokens.
    fn of_tokens(tokens: &[Value], param: &'static str) -> Result<Text, Refusal> {
        let numbers: Option<Vec<u64>> = tokens.iter().map(Value::as_u64).collect();
        let numbers = numbers.ok_or_else(|| expected("strings or tokens", param))?;
        Ok(Text {
            tokens: numbers.len() as u64,
            digest: digest(numbers.iter().flat_map(|token| token.to_le_bytes())),
        })
    }
}

/// A string, a list of strings, a list of tokens, or a list of lists of tokens.
fn texts(value: &Value, param: &'static str) -> Result<Vec<Text>, Refusal> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(Text::new(text)),
        Value::Array(tokens) => Text::of_tokens(tokens, param),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(expected("strings or tokens", param)),
    };
    let list = match value {
        Value::Array(list) if !list.first().is_some_and(Value::is_number) => list,
        Value::Array(tokens) => return Ok(vec![Text::of_tokens(tokens, param)?]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Ok(vec![one(value)?]);
        }
    };
    if list.is_empty() || MOST_INPUTS < list.len() {
        let message = format!("`{param}` must have between 1 and {MOST_INPUTS} elements");
        return Err(Refusal::invalid(message, Some(param)));
    }
    list.iter().map(one).collect()
}

/// The 64 bits of FNV-1a: the same text is the same vector.
fn digest(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The newer name of the maximum wins.
fn most(body: &Map<String, Value>) -> Result<Option<u32>, Refusal> {
    let newer = number(body, "max_completion_tokens", u64::from(u32::MAX))?;
    let older = number(body, "max_tokens", u64::from(u32::MAX))?;
    Ok(newer.or(older))
}

fn choices(body: &Map<String, Value>) -> Result<u32, Refusal> {
    Ok(number(body, "n", MOST_CHOICES)?.unwrap_or(1))
}

fn number(body: &Map<String, Value>, param: &'static str, most: u64) -> Result<Option<u32>, Refusal> {
    match body.get(param) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().filter(|number| (1..=most).contains(number));
            let number = number.and_then(|number| u32::try_from(number).ok());
            let wrong = || expected(&format!("a whole number from 1 to {most}"), param);
            number.map(Some).ok_or_else(wrong)
        }
    }
}

fn flag(body: &Map<String, Value>, param: &'static str) -> Result<bool, Refusal> {
    match body.get(param) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(expected("true or false", param)),
    }
}

fn length(text: Option<&Value>) -> u64 {
    text.and_then(Value::as_str).map_or(0, |text| text.len() as u64)
}

fn tokens(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn expected(what: &str, param: &'static str) -> Refusal {
    Refusal::invalid(format!("`{param}` must be {what}"), Some(param))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &str) -> Result<Ask, Refusal> {
        Ask::read(Operation::Chat, body.as_bytes())
    }

    #[test]
    fn what_matters_is_read() {
        let body = r#"{"model": "m", "messages": [{"role": "user", "content": "12345"},
            {"role": "user", "content": [{"type": "text", "text": "1234"}, {"type": "image_url"}]},
            {"role": "assistant", "content": null, "tool_calls": []}],
            "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 9, "max_completion_tokens": 7, "n": 2,
            "temperature": 0.1, "unknown": {}}"#;
        let ask = chat(body).expect("it makes sense");
        assert_eq!((ask.prompt, ask.most, ask.choices), (3, Some(7), 2));
        assert!(ask.stream && ask.include_usage);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (body, param) in [
            ("", None),
            ("[]", None),
            (deep.as_str(), None),
            (r#"{"messages": []}"#, Some("model")),
            (r#"{"model": 3, "messages": []}"#, Some("model")),
            (r#"{"model": "m"}"#, Some("messages")),
            (r#"{"model": "m", "messages": []}"#, Some("messages")),
            (r#"{"model": "m", "messages": [3]}"#, Some("messages")),
            (
                r#"{"model": "m", "messages": [{"role": "user", "content": 3}]}"#,
                Some("messages"),
            ),
            (r#"{"model": "m", "messages": [{"role": "user"}], "n": 0}"#, Some("n")),
            (
                r#"{"model": "m", "messages": [{"role": "user"}], "max_tokens": -1}"#,
                Some("max_tokens"),
            ),
            (
                r#"{"model": "m", "messages": [{"role": "user"}], "stream": "yes"}"#,
                Some("stream"),
            ),
            (
                r#"{"model": "m", "messages": [{"role": "user"}], "stream_options": 1}"#,
                Some("stream_options"),
            ),
        ] {
            let refusal = chat(body).expect_err("it makes no sense");
            assert_eq!((refusal.status, refusal.param), (400, param), "{body:.80}");
        }
    }

    #[test]
    fn texts_come_in_four_ways() {
        for (input, tokens, inputs) in [
            (r#""12345678""#, 2, 1),
            (r#"["1234", "12345678"]"#, 3, 2),
            ("[1, 2, 3]", 3, 1),
            ("[[1, 2], [3]]", 3, 2),
        ] {
            let body = format!(r#"{{"model": "m", "input": {input}}}"#);
            let ask = Ask::read(Operation::Embedding, body.as_bytes()).expect("it makes sense");
            assert_eq!((ask.prompt, ask.inputs.len()), (tokens, inputs), "{input}");
        }
        for input in ["[]", "3", "{}", "[[1.5]]", "[null]", r#"[1, "a"]"#] {
            let body = format!(r#"{{"model": "m", "input": {input}}}"#);
            let refusal = Ask::read(Operation::Embedding, body.as_bytes()).expect_err("it makes no sense");
            assert_eq!(refusal.param, Some("input"), "{input}");
        }
    }
}

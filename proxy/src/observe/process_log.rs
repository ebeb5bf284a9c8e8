//! What the process tells of itself on standard error: seldom, and for people first.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use tollgate_mock_llm::clock::Clock;

use crate::settings::{Format, Level, Log};

/// What the process tells of itself.
///
/// No line has anything of a request: keys and prompts cannot get into it.
#[derive(Clone)]
pub struct ProcessLog {
    level: Level,
    format: Format,
    /// Without one, nothing is told.
    clock: Option<Arc<dyn Clock>>,
}

impl ProcessLog {
    /// As `settings` say; `clock` dates the lines.
    #[must_use]
    pub fn new(settings: &Log, clock: Arc<dyn Clock>) -> ProcessLog {
        ProcessLog {
            level: settings.level,
            format: settings.format,
            clock: Some(clock),
        }
    }

    /// One that tells nothing.
    #[must_use]
    pub fn quiet() -> ProcessLog {
        ProcessLog {
            level: Level::Error,
            format: Format::Text,
            clock: None,
        }
    }

    /// Tells `what`, and `fields` that say of whom.
    pub fn tell(&self, level: Level, what: &str, fields: &[(&str, &dyn Display)]) {
        let Some(clock) = &self.clock else {
            return;
        };
        if level <= self.level {
            let line = line(self.format, clock.wall(), level, what, fields);
            // There is nobody left to be told.
            let _gone = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }
}

impl fmt::Debug for ProcessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLog")
            .field("level", &self.level)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Level {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

fn line(format: Format, time: SystemTime, level: Level, what: &str, fields: &[(&str, &dyn Display)]) -> String {
    let time = humantime::format_rfc3339_millis(time).to_string();
    match format {
        Format::Text => {
            let mut line = format!("{time} {}: {what}", level.name());
            for (name, value) in fields {
                let value = value.to_string();
                let is_word = !value.is_empty() && value.chars().all(|char| char.is_ascii_graphic() && char != '"');
                // A string takes everything.
                let _never = if is_word {
                    write!(line, " {name}={value}")
                } else {
                    write!(line, " {name}={value:?}")
                };
            }
            line.push('\n');
            line
        }
        Format::Json => {
            let mut object = serde_json::Map::new();
            object.insert("time".to_owned(), time.into());
            object.insert("level".to_owned(), level.name().into());
            object.insert("message".to_owned(), what.into());
            for (name, value) in fields {
                object.insert((*name).to_owned(), value.to_string().into());
            }
            let mut line = serde_json::Value::Object(object).to_string();
            line.push('\n');
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_single() {
        let name = "two\nlines";
        let fields: [(&str, &dyn Display); 2] = [("endpoint", &name), ("attempts", &3)];
        let told = |format| {
            line(
                format,
                SystemTime::UNIX_EPOCH,
                Level::Warn,
                "an endpoint is ejected",
                &fields,
            )
        };
        assert_eq!(
            told(Format::Text),
            "1970-01-01T00:00:00.000Z warn: an endpoint is ejected endpoint=\"two\\nlines\" attempts=3\n"
        );
        let json: serde_json::Value = serde_json::from_str(&told(Format::Json)).expect("it is JSON");
        assert_eq!(json["endpoint"], name);
        assert_eq!(json["level"], "warn");
    }
}

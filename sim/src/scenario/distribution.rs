//! Distributions as scenarios write them: a plain value, or a table with the key `distribution`.

use std::sync::Arc;

use tollgate_core::file::kind::{self, Wrong};
use tollgate_core::file::{At, Section, Value, nearest};
use tollgate_core::time::Nanos;
use tollgate_mock_llm::draw::{Distribution, OutOfRange};

use super::Folder;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Lengths of time, written as durations and drawn in seconds.
    Time,
    /// Tokens and other plain numbers.
    Number,
}

/// Most values of an empirical distribution.
const MOST_VALUES: usize = 1_000_000;

/// The distribution that `value` says, or none after an error.
pub(super) fn read(value: &Value<'_>, measure: Measure, folder: &Folder<'_>) -> Option<Distribution> {
    if value.toml().is_table() {
        let mut section = value.table(format!("`{}`", value.key()))?;
        return table(&mut section, measure, folder);
    }
    let help = match measure {
        Measure::Time => "a length with its unit, as in \"250ms\", or { distribution = \"lognormal\", .. }",
        Measure::Number => "a plain number, or { distribution = \"lognormal\", .. }",
    };
    let constant = value.read(|value| measured(value, measure).map_err(|wrong| wrong.help(help)));
    Distribution::constant(constant?.value).ok()
}

/// The distribution of `key` in `section`, if it is there and right.
pub(super) fn optional(
    section: &Section<'_>,
    key: &'static str,
    measure: Measure,
    folder: &Folder<'_>,
) -> Option<Distribution> {
    read(&section.value(key)?, measure, folder)
}

/// The distribution of `key` in `section`, which must be there; `nothing` stands for it after an error.
pub(super) fn required(
    section: &Section<'_>,
    key: &'static str,
    measure: Measure,
    folder: &Folder<'_>,
) -> Distribution {
    if !section.has(key) {
        section.missing(key);
    }
    optional(section, key, measure, folder).unwrap_or_else(|| constant(0.0))
}

/// Always `value`, which is a number of at least 0.
pub(super) fn constant(value: f64) -> Distribution {
    Distribution::constant(value).expect("a constant of this program is in range")
}

#[derive(Clone, Copy)]
enum Law {
    Constant,
    Exponential,
    Gamma,
    Weibull,
    Lognormal,
    Empirical,
}

const LAWS: &[(&str, Law)] = &[
    ("constant", Law::Constant),
    ("exponential", Law::Exponential),
    ("gamma", Law::Gamma),
    ("weibull", Law::Weibull),
    ("lognormal", Law::Lognormal),
    ("empirical", Law::Empirical),
];

fn table(table: &mut Section<'_>, measure: Measure, folder: &Folder<'_>) -> Option<Distribution> {
    let law = table.variant("distribution", kind::one_of(LAWS, &[]), None)?;
    let amount = |key| value(table, key, |value| measured(value, measure));
    let number = |key| value(table, key, kind::not_negative(1e9));
    let made = match law {
        Law::Constant => Distribution::constant(amount("value")?),
        Law::Exponential => Distribution::exponential(amount("mean")?),
        Law::Gamma => {
            let (mean, cv) = (amount("mean"), number("cv"));
            Distribution::gamma(mean?, cv?)
        }
        Law::Weibull if table.has("shape") => {
            let (shape, scale) = (number("shape"), amount("scale"));
            Distribution::weibull_shape_scale(shape?, scale?)
        }
        Law::Weibull => {
            let (mean, cv) = (amount("mean"), number("cv"));
            Distribution::weibull(mean?, cv?)
        }
        Law::Lognormal if table.has("mean") => {
            let (mean, cv) = (amount("mean"), number("cv"));
            Distribution::lognormal_mean_cv(mean?, cv?)
        }
        Law::Lognormal if table.has("sigma") => {
            let (median, sigma) = (amount("median"), number("sigma"));
            Distribution::lognormal_median_sigma(median?, sigma?)
        }
        Law::Lognormal => {
            let (median, p95) = (amount("median"), amount("p95"));
            Distribution::lognormal_median_p95(median?, p95?)
        }
        Law::Empirical => Distribution::empirical(empirical(table, folder)?),
    };
    made.map_err(|error| out_of_range(table, &error)).ok()
}

/// Notes a number of `table` that cannot be.
pub(super) fn out_of_range(table: &Section<'_>, error: &OutOfRange) {
    let label = format!("must be {}", error.must_be);
    table
        .report()
        .error(table.place(error.field), error.to_string(), label, None::<&str>);
}

fn value<'a, T>(table: &Section<'a>, key: &'static str, kind: impl Fn(&Value<'a>) -> Result<T, Wrong>) -> Option<T> {
    table.required(key, kind).map(|at| at.value)
}

fn measured(value: &Value<'_>, measure: Measure) -> Result<f64, Wrong> {
    match measure {
        Measure::Time => kind::duration(value).map(Nanos::as_secs_f64),
        Measure::Number => kind::not_negative(1e12)(value),
    }
}

fn empirical(table: &Section<'_>, folder: &Folder<'_>) -> Option<Arc<[f64]>> {
    let file = table.required("file", kind::name);
    let column = table.optional("column", kind::name);
    let file = file?;
    let text = match folder.text(&file.value) {
        Ok(text) => text,
        Err(error) => {
            super::refuse_file(&file.value, file.span, &error, table.report());
            return None;
        }
    };
    let values = values(&text, column.as_ref());
    let refused = |(at, message, help): Refused| {
        let span = at.unwrap_or(file.span);
        table
            .report()
            .error(span, format!("`{}`: {message}", file.value), "cannot be used", help);
    };
    values.map_err(refused).ok()
}

/// Where, if not at the name of the file; what; and a way out.
type Refused = (Option<tollgate_core::file::Span>, String, Option<String>);

fn values(text: &str, column: Option<&At<String>>) -> Result<Arc<[f64]>, Refused> {
    let mut rows = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let broken = |error: csv::Error| (None, error.to_string(), None);
    let names = rows.headers().map_err(broken)?.clone();
    let index = match column {
        Some(column) => names.iter().position(|name| name == column.value).ok_or_else(|| {
            let help = nearest(&column.value, names.iter()).help("column");
            (
                Some(column.span),
                format!("no column is called `{}`", column.value),
                help,
            )
        })?,
        None if names.len() == 1 => 0,
        None => {
            let help = nearest("", names.iter()).help("column");
            return Err((
                None,
                String::from("it has several columns: say which with `column`"),
                help,
            ));
        }
    };
    let mut values = Vec::new();
    for row in rows.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let field = row.get(index).unwrap_or_default();
        let number = field
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && 0.0 <= *number);
        let number = number.ok_or_else(|| {
            let message = format!("line {line} says \"{field}\" where a number of at least 0 must be");
            (None, message, Some(String::from("correct or remove the line")))
        })?;
        if values.len() == MOST_VALUES {
            return Err((None, format!("it has more than {MOST_VALUES} values"), None));
        }
        values.push(number);
    }
    if values.is_empty() {
        return Err((None, String::from("it has no values"), None));
    }
    values.sort_by(f64::total_cmp);
    Ok(values.into())
}

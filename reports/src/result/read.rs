//! Reads back from a directory what a report is drawn from.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    Cause, EndpointSeriesRow, Metric, NamedHistogram, PercentileTable, ReadError, ResultSet, SeriesRow, Summary,
    TenantRow,
};

pub(super) fn read(dir: &Path) -> Result<ResultSet, ReadError> {
    let path = dir.join("summary.json");
    let Some(text) = text_of(&path)? else {
        return Err(ReadError::NotAResultSet { dir: dir.to_owned() });
    };
    let malformed = |error: &serde_json::Error| ReadError::Malformed {
        path: path.clone(),
        line: Some(error.line() as u64),
        cause: error.to_string(),
    };
    let summary: Summary = serde_json::from_str(&text).map_err(|error| malformed(&error))?;
    let found: Value = serde_json::from_str(&text).map_err(|error| malformed(&error))?;
    let expected = serde_json::to_value(&summary).map_err(|error| malformed(&error))?;
    if let Some(key) = missing(&expected, &found, "") {
        return Err(ReadError::Malformed {
            path,
            line: None,
            cause: format!("`{key}` is missing"),
        });
    }

    let mut set = ResultSet {
        summary,
        ..ResultSet::default()
    };
    each_row(&dir.join("series.csv"), |row| {
        set.bin_seconds = row.number("bin_seconds")?;
        set.series.push(series_row(row)?);
        Ok(())
    })?;
    each_row(&dir.join("endpoint_series.csv"), |row| {
        set.endpoint_series.push(EndpointSeriesRow {
            strategy: row.text("strategy")?,
            second: row.number("second")?,
            endpoint: row.text("endpoint")?,
            attempts: row.number("attempts")?,
            failed: row.number("failed")?,
            available: row.number("available")?,
        });
        Ok(())
    })?;
    each_row(&dir.join("tenants.csv"), |row| {
        set.tenants.push(TenantRow {
            strategy: row.text("strategy")?,
            tenant: row.text("tenant")?,
            offered: row.number("offered")?,
            admitted: row.maybe("admitted")?,
            completed: row.number("completed")?,
            refused: row.number("refused")?,
            failed: row.number("failed")?,
            abandoned: row.number("abandoned")?,
            tokens: row.number("tokens")?,
            cost_usd: row.maybe("cost_usd")?,
        });
        Ok(())
    })?;

    for (strategy, slug) in set.summary.strategies.iter().zip(set.summary.slugs()) {
        for metric in Metric::ALL {
            let path = dir.join(format!("{slug}.{}.hgrm", metric.name()));
            let Some(text) = text_of(&path)? else {
                continue;
            };
            let table: PercentileTable =
                text.parse()
                    .map_err(|error: super::hgrm::MalformedTable| ReadError::Malformed {
                        path,
                        line: Some(error.line),
                        cause: error.cause,
                    })?;
            set.histograms.push(NamedHistogram {
                strategy: strategy.name.clone(),
                metric,
                table,
            });
        }
    }
    Ok(set)
}

fn series_row(row: &Row<'_>) -> Result<SeriesRow, ReadError> {
    let mut refused = BTreeMap::new();
    for cause in Cause::ALL {
        let n = row.number(&format!("refused_{}", cause.name()))?;
        if n != 0.0 {
            refused.insert(cause, n);
        }
    }
    Ok(SeriesRow {
        strategy: row.text("strategy")?,
        second: row.number("second")?,
        offered: row.number("offered")?,
        admitted: row.maybe("admitted")?,
        refused,
        completed: row.number("completed")?,
        failed: row.number("failed")?,
        in_flight: row.number("in_flight")?,
        queued: row.maybe("queued")?,
        ttft_p50: row.maybe("ttft_p50")?,
        ttft_p99: row.maybe("ttft_p99")?,
        e2e_p50: row.maybe("e2e_p50")?,
        e2e_p99: row.maybe("e2e_p99")?,
    })
}

/// The first key of `expected`, by its path, that `found` lacks: what is not said is not nothing.
fn missing(expected: &Value, found: &Value, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().find_map(|(key, expected)| {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{key}");
            match found.get(key) {
                Some(found) => missing(expected, found, &path),
                None => Some(path),
            }
        }),
        (Value::Array(expected), Value::Array(found)) => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(at, (expected, found))| missing(expected, found, &format!("{path}[{at}]")))
        }
        (_, _) => None,
    }
}

/// The text of a file, `None` if there is no such file.
fn text_of(path: &Path) -> Result<Option<String>, ReadError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Hands every row of a CSV file to `take`; a file that is missing has none.
fn each_row(path: &Path, mut take: impl FnMut(&Row<'_>) -> Result<(), ReadError>) -> Result<(), ReadError> {
    let Some(text) = text_of(path)? else {
        return Ok(());
    };
    let malformed = |error: &csv::Error| ReadError::Malformed {
        path: path.to_owned(),
        line: error.position().map(csv::Position::line),
        cause: error.to_string(),
    };

    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns: BTreeMap<String, usize> = reader
        .headers()
        .map_err(|error| malformed(&error))?
        .iter()
        .enumerate()
        .map(|(i, name)| (name.to_owned(), i))
        .collect();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(&error))?;
        take(&Row {
            path,
            columns: &columns,
            record: &record,
        })?;
    }
    Ok(())
}

/// One row of a CSV file; fields are found by the name of their column.
struct Row<'a> {
    path: &'a Path,
    columns: &'a BTreeMap<String, usize>,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn field(&self, column: &str) -> Result<&str, ReadError> {
        self.columns
            .get(column)
            .and_then(|i| self.record.get(*i))
            .ok_or_else(|| self.malformed(format!("there is no column `{column}`")))
    }

    fn text(&self, column: &str) -> Result<String, ReadError> {
        self.field(column).map(str::to_owned)
    }

    fn number(&self, column: &str) -> Result<f64, ReadError> {
        self.maybe(column)?
            .ok_or_else(|| self.malformed(format!("`{column}` is empty")))
    }

    fn maybe(&self, column: &str) -> Result<Option<f64>, ReadError> {
        let field = self.field(column)?;
        if field.is_empty() {
            return Ok(None);
        }
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            Ok(_) | Err(_) => Err(self.malformed(format!("`{column}` is not a number: `{field}`"))),
        }
    }

    fn malformed(&self, cause: String) -> ReadError {
        let line = self.record.position().map(csv::Position::line);
        ReadError::Malformed {
            path: PathBuf::from(self.path),
            line,
            cause,
        }
    }
}

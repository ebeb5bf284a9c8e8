//! A lineup as data.

use serde_json::{Map, Number, Value};

use super::{Lineup, Table};

impl Lineup {
    /// As JSON: the figures of each algorithm by table and column; `null` where there is nothing to tell.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for row in self.tables.iter().flat_map(|table| &table.rows) {
            if !names.contains(&row.name.as_str()) {
                names.push(&row.name);
            }
        }
        let contenders = names.iter().map(|name| {
            let tables = self
                .tables
                .iter()
                .filter_map(|table| Some((table.key.clone(), figures(table, name)?)));
            let mut contender = Map::from_iter([("name".to_owned(), Value::from(*name))]);
            contender.extend(tables);
            Value::Object(contender)
        });
        let texts = |texts: &[(String, String)]| {
            let pairs = texts
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            Value::Object(pairs.collect())
        };
        let of = Map::from_iter([
            ("tollgate".to_owned(), Value::from(env!("CARGO_PKG_VERSION"))),
            ("lineup".to_owned(), Value::from(self.name.as_str())),
            ("answer".to_owned(), Value::from(self.answer.as_str())),
            ("conditions".to_owned(), texts(&self.conditions)),
            ("notes".to_owned(), self.notes.iter().map(String::as_str).collect()),
            ("contenders".to_owned(), contenders.collect()),
        ]);
        format!("{:#}\n", Value::Object(of))
    }

    /// As CSV: one line a figure of an algorithm.
    pub(super) fn to_csv(&self) -> Vec<u8> {
        let mut to = csv::Writer::from_writer(Vec::new());
        let mut line = |fields: [&str; 4]| to.write_record(fields).expect("a vector takes every byte");
        line(["table", "figure", "name", "value"]);
        for table in &self.tables {
            for row in &table.rows {
                for (column, value) in table.columns.iter().zip(&row.values) {
                    let value = value.filter(|value| value.is_finite());
                    let value = value.map_or(String::new(), |value| value.to_string());
                    line([&table.key, column.key, &row.name, &value]);
                }
            }
        }
        to.into_inner().expect("a vector takes every byte")
    }
}

fn figures(table: &Table, name: &str) -> Option<Value> {
    let row = table.rows.iter().find(|row| row.name == name)?;
    let figures = table.columns.iter().zip(&row.values);
    let number = |value: &Option<f64>| value.and_then(Number::from_f64).map_or(Value::Null, Value::Number);
    Some(Value::Object(
        figures
            .map(|(column, value)| (column.key.to_owned(), number(value)))
            .collect(),
    ))
}

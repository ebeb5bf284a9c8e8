//! `tollgate trace`: what recorded traffic holds, and its conversion.

use std::path::PathBuf;

use tollgate_sim::trace::{Columns, Format, ReadOptions, Trace, import as convert};

use crate::args::{Describe, Import, Reading};
use crate::error::Failure;
use crate::term;

/// `tollgate trace describe`.
pub(crate) fn describe(args: &Describe) -> Result<(), Failure> {
    let options = options(&args.reading)?;
    let trace = Trace::load(&args.file, &options).map_err(Failure::wrong)?;
    let description = trace.describe();
    if args.json {
        let json = serde_json::to_string_pretty(&description).expect("figures are finite or absent");
        term::print(&json);
    } else {
        term::print(&description.to_string());
    }
    Ok(())
}

/// `tollgate trace import`.
pub(crate) fn import(args: &Import) -> Result<(), Failure> {
    let options = options(&args.reading)?;
    let out = args.out.clone().unwrap_or_else(|| beside(&args.file));
    let imported = convert(&args.file, &options, &out, &mut |_| ()).map_err(Failure::wrong)?;
    term::print(&format!("{}", out.display()));
    term::tell(&format!(
        "{} rows of format {}, {} tenants, {:.0} s; replay them with `tollgate simulate SCENARIO --trace {}`",
        imported.rows,
        imported.format,
        imported.tenants,
        imported.duration.as_secs_f64(),
        out.display()
    ));
    Ok(())
}

fn options(reading: &Reading) -> Result<ReadOptions, Failure> {
    Ok(ReadOptions {
        format: format(&reading.format, reading.columns.as_deref())?,
        sort: reading.sort,
        ..ReadOptions::default()
    })
}

fn format(name: &str, columns: Option<&str>) -> Result<Format, Failure> {
    const FORMATS: [&str; 7] = ["auto", "azure", "mooncake", "burstgpt", "servegen", "tollgate", "csv"];
    match (name, columns) {
        ("csv", Some(columns)) => parse_columns(columns).map(Format::Csv),
        ("csv", None) => Err(Failure::wrong(
            "--format csv needs to know which column is which\n  = help: --columns time=..,prompt=..,output=..,tenant=..",
        )),
        (_, Some(_)) => Err(Failure::wrong(format!(
            "--columns goes with --format csv only, not with `{name}`\n  = help: the columns of the other formats are known"
        ))),
        (_, None) => Format::named(name).ok_or_else(|| {
            let help = tollgate_core::file::nearest(name, FORMATS).help("format");
            let help = help.unwrap_or_else(|| format!("one of: {}", FORMATS.join(", ")));
            Failure::wrong(format!("there is no trace format `{name}`\n  = help: {help}"))
        }),
    }
}

fn parse_columns(text: &str) -> Result<Columns, Failure> {
    const KEYS: &str = "time, prompt, output, tenant, model, max_tokens, stream";
    let mut columns = Columns::default();
    for pair in text.split(',') {
        let (key, column) = pair.split_once('=').ok_or_else(|| {
            Failure::wrong(format!(
                "`{pair}` in --columns is not KEY=COLUMN\n  = help: keys are {KEYS}"
            ))
        })?;
        let column = column.trim().to_owned();
        match key.trim() {
            "time" => columns.time = column,
            "prompt" => columns.prompt = Some(column),
            "output" => columns.output = Some(column),
            "tenant" => columns.tenant = Some(column),
            "model" => columns.model = Some(column),
            "max_tokens" => columns.max_tokens = Some(column),
            "stream" => columns.stream = Some(column),
            other => {
                return Err(Failure::wrong(format!(
                    "there is no key `{other}` in --columns\n  = help: keys are {KEYS}"
                )));
            }
        }
    }
    if columns.time.is_empty() {
        return Err(Failure::wrong(
            "--columns does not say which column is the time\n  = help: time=COLUMN",
        ));
    }
    Ok(columns)
}

fn beside(file: &std::path::Path) -> PathBuf {
    file.with_extension("tollgate.csv")
}

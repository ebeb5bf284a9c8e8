//! `tollgate trace`: what recorded traffic holds, and its conversion.

use std::path::{Path, PathBuf};

use tollgate_sim::trace::{Columns, Format, ReadOptions, describe as described, import as convert};

use super::out;
use crate::args::{Describe, Import, Reading};
use crate::error::Failure;
use crate::term;

/// `tollgate trace describe`.
pub(crate) fn describe(args: &Describe) -> Result<(), Failure> {
    let options = options(&args.reading)?;
    let (description, notes) = {
        let _waiting = term::Waiting::new(format!("reading {}", args.file.display()));
        described(&args.file, &options).map_err(Failure::wrong)?
    };
    tell_notes(&notes);
    if args.json {
        let json = serde_json::to_string_pretty(&description).expect("figures are finite or absent");
        term::print(&json)
    } else {
        term::print(&description.to_string())
    }
}

/// `tollgate trace import`.
pub(crate) fn import(args: &Import) -> Result<(), Failure> {
    let options = options(&args.reading)?;
    let to = args.out.clone().unwrap_or_else(|| beside(&args.file));
    out::check_file(&to)?;
    if is_same(&args.file, &to) {
        return Err(Failure::wrong(format!(
            "`{}` would be replaced by what is read from it\n  = help: name another file with --out",
            to.display()
        )));
    }
    let imported = {
        let _waiting = term::Waiting::new(format!("converting {}", args.file.display()));
        convert(&args.file, &options, &to, &mut |_| ()).map_err(|error| {
            let is_full = error.file() == to;
            if is_full {
                Failure::failed(error)
            } else {
                Failure::wrong(error)
            }
        })?
    };
    tell_notes(&imported.notes);
    term::print(&format!("{}", to.display()))?;
    term::tell(&format!(
        "{} of format {}, {}, {:.0} s; replay them with `tollgate simulate SCENARIO --trace {}`",
        term::counted(usize::try_from(imported.rows).unwrap_or(usize::MAX), "row", "rows"),
        imported.format,
        term::counted(imported.tenants, "tenant", "tenants"),
        imported.duration.as_secs_f64(),
        to.display()
    ));
    Ok(())
}

/// Says what was left out.
fn tell_notes(notes: &[String]) {
    for note in notes {
        term::tell(&format!("note: {note}"));
    }
}

fn options(reading: &Reading) -> Result<ReadOptions, Failure> {
    Ok(ReadOptions {
        format: format(&reading.format, reading.columns.as_deref())?,
        sort: reading.sort,
        ..ReadOptions::default()
    })
}

fn format(name: &str, columns: Option<&str>) -> Result<Format, Failure> {
    match (name, columns) {
        ("csv", Some(columns)) => parse_columns(columns).map(Format::Csv),
        ("csv", None) => Err(Failure::wrong(
            "--format csv needs to know which column is which\n  = help: --columns time=..,prompt=..,output=..,tenant=..",
        )),
        (_, Some(_)) => Err(Failure::wrong(format!(
            "--columns goes with --format csv only, not with `{name}`\n  = help: the columns of the other formats are known"
        ))),
        (_, None) => Ok(Format::named(name).expect("the command line knows the formats")),
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

fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    whole(a).is_some_and(|a| whole(b) == Some(a))
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("tollgate.csv")
}

//! A lineup as one self-contained HTML page.

use std::fmt::Write as _;

use super::{Lineup, Table};
use crate::figure::Figure;
use crate::page::{escape, head};
use crate::result::WriteError;
use crate::table::Better;

pub(super) fn html(lineup: &Lineup, figures: &[Figure]) -> Result<String, WriteError> {
    let mut page = head(&lineup.title);
    let _ = writeln!(
        page,
        "<header>\n<p class=\"kind\">tollgate · algorithms side by side</p>\n<h1>{}</h1>\n\
         <p class=\"question\">{}</p>\n<p class=\"answer\">{}</p>\n</header>",
        escape(&lineup.title),
        escape(&lineup.question),
        escape(&lineup.answer)
    );
    if !lineup.notes.is_empty() {
        page.push_str("<aside aria-label=\"Notes\"><ul>\n");
        for note in &lineup.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul></aside>\n");
    }
    // A picture a table, in the same order, then those over time.
    for (at, figure) in figures.iter().enumerate() {
        match lineup.tables.get(at) {
            Some(table) => section(&mut page, table, figure)?,
            None => picture(&mut page, figure)?,
        }
    }
    page.push_str("<section>\n<h2>Conditions</h2>\n<dl>\n");
    for (name, value) in &lineup.conditions {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl>\n</section>\n</main>\n</body>\n</html>\n");
    Ok(page)
}

fn section(page: &mut String, table: &Table, figure: &Figure) -> Result<(), WriteError> {
    let _ = writeln!(
        page,
        "<section>\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"wide\" tabindex=\"0\"><table class=\"rows\">\n<thead><tr>\
         <th scope=\"col\"></th>",
        escape(&table.title),
        escape(&table.meaning)
    );
    for column in &table.columns {
        let arrow = match column.better {
            Some(Better::Lower) => " ↓",
            Some(Better::Higher) => " ↑",
            None => "",
        };
        let _ = write!(
            page,
            "<th scope=\"col\">{}{arrow}<small>{}</small></th>",
            escape(column.name),
            escape(column.meaning)
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", escape(&row.name));
        for (at, value) in row.values.iter().enumerate() {
            let (class, mark) = if table.is_best(at, *value) {
                (" class=\"best\"", " <b title=\"best\">★</b>")
            } else {
                ("", "")
            };
            let _ = write!(
                page,
                "<td{class}>{}{mark}</td>",
                escape(&table.columns[at].text(*value))
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    picture(page, figure)?;
    page.push_str("</section>\n");
    Ok(())
}

fn picture(page: &mut String, figure: &Figure) -> Result<(), WriteError> {
    let _ = writeln!(
        page,
        "<figure id=\"{}\">\n<div class=\"wide\" tabindex=\"0\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>",
        figure.name,
        figure.svg()?,
        escape(&figure.caption)
    );
    Ok(())
}

//! A twin as one self-contained HTML page.

use std::fmt::Write as _;

use super::{Sheet, Twin};
use crate::figure::Figure;
use crate::page::{escape, head};
use crate::result::WriteError;

pub(super) fn html(twin: &Twin, figures: &[Figure]) -> Result<String, WriteError> {
    let mut page = head(&twin.title);
    let _ = writeln!(
        page,
        "<header>\n<p class=\"kind\">tollgate · simulated and live, side by side</p>\n<h1>{}</h1>\n\
         <p class=\"question\">{}</p>\n<p class=\"answer\">{}</p>\n</header>",
        escape(&twin.title),
        escape(&twin.question),
        escape(&twin.answer)
    );
    if !twin.notes.is_empty() {
        page.push_str("<aside aria-label=\"Notes\"><ul>\n");
        for note in &twin.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul></aside>\n");
    }
    for (section, figure) in twin.sections.iter().zip(figures) {
        let _ = writeln!(page, "<section>\n<h2>{}</h2>", escape(&section.title));
        for sheet in &section.sheets {
            table(&mut page, sheet);
        }
        for note in &section.notes {
            let _ = writeln!(page, "<p>{}</p>", escape(note));
        }
        let _ = writeln!(
            page,
            "<figure id=\"{}\">\n<div class=\"wide\" tabindex=\"0\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>\n</section>",
            figure.name,
            figure.svg()?,
            escape(&figure.caption)
        );
    }
    page.push_str("<section>\n<h2>Conditions</h2>\n<dl>\n");
    for (name, value) in &twin.conditions {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    page.push_str("</dl>\n</section>\n</main>\n</body>\n</html>\n");
    Ok(page)
}

fn table(page: &mut String, sheet: &Sheet) {
    page.push_str("<div class=\"wide\" tabindex=\"0\"><table class=\"rows\">\n<thead><tr>");
    for cell in &sheet.head {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(cell));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &sheet.rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", escape(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

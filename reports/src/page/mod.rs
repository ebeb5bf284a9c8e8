//! The report as one self-contained HTML page: no script, no network, no other file.
//!
//! It answers first (what did the fault cost, who recovered how fast), then compares, then shows, then states the
//! conditions, so that a number can be quoted with everything it depends on. The two wall-clock figures are left out:
//! the same seed gives the same page.

mod headline;

use std::fmt::Write as _;

use crate::figure::scale::{percent, plain, seconds};
use crate::figure::{self, Figure};
use crate::result::{FaultWindow, Mode, ResultSet, WriteError};
use crate::table::{self, Better, Standing};

pub use headline::headline;

/// The report of a set as an HTML document.
///
/// ```
/// use tollgate_reports::{ResultSet, page};
///
/// let mut set = ResultSet::default();
/// set.summary.scenario = "<b>bold</b>".into();
/// let html = page::html(&set)?;
/// assert!(html.starts_with("<!doctype html>") && !html.contains("<b>bold"));
/// # Ok::<(), tollgate_reports::result::WriteError>(())
/// ```
///
/// # Errors
///
/// When a figure cannot be drawn, which would be a bug.
pub fn html(set: &ResultSet) -> Result<String, WriteError> {
    with_figures(set, &figure::all(set))
}

/// As [`html`], with figures that were laid out already.
pub(crate) fn with_figures(set: &ResultSet, figures: &[Figure]) -> Result<String, WriteError> {
    let summary = &set.summary;
    let title = if summary.scenario.is_empty() {
        "tollgate report"
    } else {
        &summary.scenario
    };

    let mut page = head(title);
    let kind = match summary.mode {
        Mode::Simulated => "simulated in virtual time",
        Mode::Measured => "measured in real time",
        Mode::Twin => "simulated and measured, side by side",
    };
    let _ = writeln!(
        page,
        "<header>\n<p class=\"kind\">tollgate · {kind}</p>\n<h1>{}</h1>",
        escape(title)
    );
    if let Some(question) = &summary.question {
        let _ = writeln!(page, "<p class=\"question\">{}</p>", escape(question));
    }
    let _ = writeln!(
        page,
        "<p class=\"answer\">{}</p>\n</header>",
        escape(&headline(summary))
    );
    if !summary.notes.is_empty() {
        page.push_str("<aside aria-label=\"Notes\"><ul>\n");
        for note in &summary.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        page.push_str("</ul></aside>\n");
    }

    comparison(&mut page, set);
    faults(&mut page, set);
    for figure in figures {
        let _ = writeln!(
            page,
            "<figure id=\"{}\">\n<div class=\"wide\" tabindex=\"0\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>",
            figure.name,
            figure.svg()?,
            escape(&figure.caption)
        );
    }
    conditions(&mut page, set);
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(page)
}

/// The beginning of every page, as far as its content.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        escape(title),
        include_str!("style.css")
    )
}

/// The table that names the winner of every figure: one row a figure, one column a strategy.
fn comparison(page: &mut String, set: &ResultSet) {
    let rows = table::compare(&set.summary);
    if rows.is_empty() {
        page.push_str("<p>No figures: no request was recorded.</p>\n");
        return;
    }

    let is_contest = rows
        .iter()
        .flat_map(|row| &row.cells)
        .any(|cell| cell.standing == Standing::Best);
    page.push_str("<section>\n<h2>Side by side</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th></th>");
    if is_contest {
        page.push_str("<th scope=\"col\" class=\"winner\">best</th>");
    }
    for strategy in &set.summary.strategies {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escape(&strategy.name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let arrow = match row.better {
            Better::Lower => "↓",
            Better::Higher => "↑",
        };
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{}&nbsp;<span title=\"which way is better\">{arrow}</span><small>{}</small></th>",
            escape(row.figure),
            escape(row.meaning)
        );
        if is_contest {
            let best = row.cells.iter().position(|cell| cell.standing == Standing::Best);
            let name = best.map_or("all alike", |best| &set.summary.strategies[best].name);
            let _ = write!(page, "<td class=\"winner\">{}</td>", escape(name));
        }
        for cell in row.cells {
            let (class, mark) = match cell.standing {
                Standing::Best => (" class=\"best\"", " <b title=\"best\">★</b>"),
                Standing::Level => (" class=\"level\"", " <b title=\"not told apart from the best\">≈</b>"),
                Standing::Behind => ("", ""),
            };
            let _ = write!(page, "<td{class}>{}{mark}</td>", escape(&cell.text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    if is_contest {
        page.push_str(
            "<p class=\"legend\">★ best · ≈ not told apart from it: 95 % confidence intervals overlap, or both read the \
             same · ↑ more is better, ↓ less is. Latencies are of completed requests only; attainment counts every \
             call that was refused, failed or abandoned as a miss. Latencies, amplification, cost and waste fall when \
             requests are refused: no strategy wins them with an attainment clearly below the best.</p>\n",
        );
    }
    page.push_str("</section>\n");
}

/// One row a fault window and strategy.
fn faults(page: &mut String, set: &ResultSet) {
    const MOST: usize = 60;

    let windows: Vec<(&str, &FaultWindow)> = set
        .summary
        .strategies
        .iter()
        .flat_map(|strategy| strategy.faults.iter().map(|fault| (strategy.name.as_str(), fault)))
        .collect();
    if windows.is_empty() {
        return;
    }

    page.push_str(
        "<section>\n<h2>Faults</h2>\n<div class=\"wide\" tabindex=\"0\"><table class=\"rows\">\n<thead><tr>\
         <th scope=\"col\">fault</th><th scope=\"col\">strategy</th><th scope=\"col\">failed</th>\
         <th scope=\"col\">refused</th><th scope=\"col\">over a limit</th><th scope=\"col\">abandoned</th>\
         <th scope=\"col\">E2E p99</th><th scope=\"col\">attainment</th>\
         <th scope=\"col\">recovered after</th></tr></thead>\n<tbody>\n",
    );
    for (strategy, fault) in windows.iter().take(MOST) {
        let name = format!(
            "{} {}, {} to {}",
            fault.backend,
            fault.kind,
            seconds(fault.start),
            seconds(fault.end)
        );
        let or_dash = |value: Option<f64>, text: fn(f64) -> String| value.map_or("–".to_owned(), text);
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&name),
            escape(strategy),
            plain(fault.failed),
            plain(fault.turned_away()),
            plain(fault.limited),
            plain(fault.abandoned),
            or_dash(fault.p99, seconds),
            or_dash(fault.attainment, percent),
            fault.recovery_seconds.map_or("not in the run".to_owned(), seconds),
        );
    }
    page.push_str("</tbody></table></div>\n");
    if windows.len() > MOST {
        let _ = writeln!(
            page,
            "<p class=\"legend\">and {} more in summary.json</p>",
            windows.len() - MOST
        );
    }
    page.push_str(
        "<p class=\"legend\">Within the window. Recovered: p99 and attainment back within 10 % of before the fault, \
         counted from its end.</p>\n</section>\n",
    );
}

/// Everything a number of the page depends on.
fn conditions(page: &mut String, set: &ResultSet) {
    let summary = &set.summary;
    page.push_str("<section>\n<h2>Conditions</h2>\n<dl>\n");
    let mut entry = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escape(value));
        }
    };
    entry("Scenario", &summary.scenario);
    entry("Scenario hash", &summary.scenario_hash);
    entry("Seed", &summary.seed.to_string());
    let span = format!(
        "{} of {} each",
        summary.replications,
        seconds(summary.simulated_seconds)
    );
    entry("Replications", &span);
    entry("Warm-up, left out", &seconds(summary.warmup_seconds));
    entry("Trace", summary.trace.as_deref().unwrap_or_default());
    entry("Bins over time", &seconds(set.bin_seconds));
    entry("Made by", &format!("tollgate {}", summary.tollgate));
    page.push_str("</dl>\n<div class=\"wide\" tabindex=\"0\"><table class=\"rows\">\n<thead><tr><th scope=\"col\">strategy</th><th scope=\"col\">policy hash</th><th scope=\"col\">requests offered</th><th scope=\"col\">completed</th><th scope=\"col\">attempts</th></tr></thead>\n<tbody>\n");
    for strategy in &summary.strategies {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&strategy.name),
            escape(&strategy.policy_hash),
            plain(strategy.requests.offered),
            plain(strategy.requests.completed),
            strategy.attempts.map_or_else(|| "–".to_owned(), plain)
        );
    }
    page.push_str(
        "</tbody></table></div>\n<p class=\"legend\">Counts leave out the warm-up and are means over replications. The \
         same seed gives the same page.</p>\n</section>\n",
    );
}

/// `text` with everything that HTML and XML could take for markup written out.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

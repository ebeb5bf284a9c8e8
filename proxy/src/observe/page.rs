//! `docs/metrics.md`, made from the table of metrics.

use std::fmt::Write as _;

use super::table::{Kind, METRICS, Metric};

/// The page about metrics; a test keeps `docs/metrics.md` equal to it.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    let groups: [(&str, &str); 4] = [
        ("What is counted", "tollgate_"),
        ("What is", "tollgate_"),
        ("By OpenTelemetry's names", "gen_ai_"),
        ("Of the process", "process_"),
    ];
    for (title, start) in groups {
        let _never = write!(
            page,
            "\n## {title}\n\n| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n"
        );
        for metric in METRICS.iter().filter(|metric| metric.name.starts_with(start)) {
            let is_present = matches!(metric.kind, Kind::Gauge | Kind::Info);
            if start != "tollgate_" || is_present == (title == "What is") {
                page.push_str(&line(metric));
            }
        }
    }
    page.push_str("\n## Labels\n\n| Label | Of | Values |\n|---|---|---|\n");
    page.push_str(&labels());
    page
}

fn line(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Info => "info",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
    format!(
        "| `{}` | {kind} | {} | {} | {} |\n",
        metric.full_name(),
        metric.unit.unwrap_or("–"),
        if labels.is_empty() {
            "–".to_owned()
        } else {
            labels.join(", ")
        },
        metric.help
    )
}

/// Each label once for each set of values, and the metrics that have it.
fn labels() -> String {
    let mut rows: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for metric in METRICS {
        for label in metric.labels {
            let name = format!("`{}`", metric.full_name());
            let known = rows
                .iter_mut()
                .find(|(known, values, _)| *known == label.name && *values == label.values);
            match known {
                Some((_, _, metrics)) => metrics.push(name),
                None => rows.push((label.name, label.values, vec![name])),
            }
        }
    }
    let line = |(name, values, metrics): &(&str, &str, Vec<String>)| {
        let of = if metrics.len() <= 3 {
            metrics.join(", ")
        } else {
            format!("{} metrics", metrics.len())
        };
        format!("| `{name}` | {of} | {values} |\n")
    };
    rows.iter().map(line).collect()
}

const INTRODUCTION: &str = "\
# Metrics of `tollgate serve`

<!-- Made from proxy/src/observe/table.rs: REWRITE=1 cargo test -p tollgate-proxy --test metrics -->

`/metrics` on the admin address, in the text format of OpenMetrics, which Prometheus reads.

Every figure of a request is from its outcome, the record that the simulator's reports are made of: the same words mean the same there and here.
Times are those of the gateway's clock.
Labels are taken from the policy or from a closed set, never from a request, so that there are no more series than the policy makes.
There is no label for tenants, models or keys that clients name: a line of the access log has them.
All series of a metric are there from the start, at 0; only those of OpenTelemetry's names come as they are first used.
";

//! The page for people at the admin address: it has no script, fetches nothing, and asks for itself again.

use std::fmt::Write as _;

use super::status::{EndpointStatus, LimitStatus, PoolStatus, RouteStatus, Status};

/// What goes on, as a page.
pub(super) fn page(status: &Status) -> String {
    let mut page = String::from(HEAD);
    let state = if status.draining { "draining" } else { "serving" };
    let uptime = std::time::Duration::try_from_secs_f64(status.uptime_seconds.floor()).unwrap_or_default();
    let _never = write!(
        page,
        "<h1>tollgate {} <small>{state} for {} · policy {}</small></h1>\n<p>{} in flight, {} waiting, {} permits out, \
         {} units reserved, {} connections</p>\n",
        escaped(status.tollgate),
        humantime::format_duration(uptime),
        escaped(&status.policy_hash),
        status.in_flight,
        status.queue,
        status.permits,
        status.reservations,
        status.connections,
    );
    table(
        &mut page,
        "Routes",
        &[
            "route",
            "completed",
            "failed",
            "refused",
            "abandoned",
            "retry budget",
            "hedge budget",
        ],
        status.routes.iter().map(route),
    );
    table(
        &mut page,
        "Endpoints",
        &[
            "endpoint",
            "pool",
            "in flight",
            "connections",
            "circuit",
            "ejected until",
            "left alone until",
        ],
        status.endpoints.iter().map(endpoint),
    );
    table(&mut page, "Pools", &["pool", "waiting"], status.pools.iter().map(pool));
    table(
        &mut page,
        "Limits",
        &["limit", "keys", "of at most", "units reserved", "limit now"],
        status.limits.iter().map(limit),
    );
    page.push_str("<p>The same for scripts: <a href=\"/status\">/status</a>, <a href=\"/metrics\">/metrics</a></p>\n");
    page
}

fn route(route: &RouteStatus) -> Vec<String> {
    let budget = |balance: Option<f64>| balance.map_or("–".to_owned(), |balance| format!("{balance:.1}"));
    let counts = [route.completed, route.failed, route.refused, route.abandoned];
    let counts = counts.iter().map(ToString::to_string);
    let budgets = [budget(route.retry_budget), budget(route.hedge_budget)];
    std::iter::once(route.name.clone())
        .chain(counts)
        .chain(budgets)
        .collect()
}

fn endpoint(endpoint: &EndpointStatus) -> Vec<String> {
    let until = match (&endpoint.ejected_until, endpoint.ejected) {
        (Some(date), _) => date.clone(),
        (None, true) => "a probe succeeds".to_owned(),
        (None, false) => "–".to_owned(),
    };
    vec![
        endpoint.name.clone(),
        endpoint.pool.clone(),
        endpoint.in_flight.to_string(),
        endpoint.connections.to_string(),
        endpoint.circuit.to_owned(),
        until,
        endpoint.cooling_until.clone().unwrap_or_else(|| "–".to_owned()),
    ]
}

fn pool(pool: &PoolStatus) -> Vec<String> {
    vec![pool.name.clone(), pool.queue.to_string()]
}

fn limit(limit: &LimitStatus) -> Vec<String> {
    vec![
        limit.name.clone(),
        limit.keys.to_string(),
        limit.max_keys.to_string(),
        limit.reserved.to_string(),
        limit.now.map_or("–".to_owned(), |now| now.to_string()),
    ]
}

fn table(page: &mut String, title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let cells = |tag: &str, cells: &[String]| -> String {
        let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = rows.map(|row| cells("td", &row)).collect();
    if rows.is_empty() {
        return;
    }
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let _never = write!(
        page,
        "<h2>{title}</h2>\n<table>\n{}{rows}</table>\n",
        cells("th", &heads)
    );
}

/// `text` as HTML shows it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            char => escaped.push(char),
        }
    }
    escaped
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"2\">\n\
<title>tollgate</title>\n<style>\nbody { font: 15px system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; \
color: #222; background: #fff }\nsmall { font-weight: normal; color: #666 }\ntable { border-collapse: collapse; width: 100% }\n\
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }\n\
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } th, td { border-color: #333 } a { color: #8bf } }\n\
</style>\n";

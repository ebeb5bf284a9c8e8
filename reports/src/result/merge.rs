//! Several result sets laid side by side as one, so that whatever draws one set draws several.

use std::collections::BTreeMap;

use super::{ResultSet, SeriesRow, Summary};

/// Lays labelled sets side by side.
///
/// Each strategy keeps its name if no other set has one like it and all sets are of one scenario; otherwise the set's
/// label follows in parentheses. Where the sets differ in seed or scenario the notes say so. Series are gathered to
/// the widest bins among the sets: counts add up, levels are averaged, of the p99 the largest is kept, and medians
/// are averaged by what was completed.
///
/// ```
/// use tollgate_reports::result::{ResultSet, StrategySummary, merge};
///
/// let mut set = ResultSet::default();
/// set.summary.strategies.push(StrategySummary { name: "p2c".into(), ..Default::default() });
/// let both = merge(vec![("monday".into(), set.clone()), ("tuesday".into(), set)]);
/// assert_eq!(both.summary.strategies[1].name, "p2c (tuesday)");
/// ```
#[must_use]
pub fn merge(sets: Vec<(String, ResultSet)>) -> ResultSet {
    if sets.len() == 1 {
        return sets.into_iter().map(|(_, set)| set).next().unwrap_or_default();
    }

    let names = names(&sets);
    let bin_seconds = sets
        .iter()
        .map(|(_, set)| set.bin_seconds)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut merged = ResultSet {
        summary: conditions(&sets),
        bin_seconds: if sets.is_empty() { 1.0 } else { bin_seconds },
        ..ResultSet::default()
    };
    for ((_, mut set), names) in sets.into_iter().zip(names) {
        rename(&mut set, &names);
        merged.series.extend(gathered(set.series, set.bin_seconds, bin_seconds));
        merged.endpoint_series.extend(set.endpoint_series);
        merged.summary.strategies.extend(set.summary.strategies);
        merged.tenants.extend(set.tenants);
        merged.histograms.extend(set.histograms);
        merged.requests.extend(set.requests);
    }
    merged
}

/// For each set, the new name of each of its strategies.
fn names(sets: &[(String, ResultSet)]) -> Vec<BTreeMap<String, String>> {
    let hash = |set: &ResultSet| (set.summary.scenario.clone(), set.summary.scenario_hash.clone());
    let is_one_scenario = sets.windows(2).all(|pair| hash(&pair[0].1) == hash(&pair[1].1));
    let uses = |name: &str| {
        sets.iter()
            .filter(|(_, set)| set.summary.strategy(name).is_some())
            .count()
    };

    let mut taken: Vec<String> = Vec::new();
    let mut named = Vec::new();
    for (label, set) in sets {
        let mut of_set = BTreeMap::new();
        for strategy in &set.summary.strategies {
            let old = &strategy.name;
            let stem = if is_one_scenario && uses(old) == 1 {
                old.clone()
            } else {
                format!("{old} ({label})")
            };
            // Two sets may carry the same label.
            let mut new = stem.clone();
            let mut n = 2;
            while taken.contains(&new) {
                new = format!("{stem} {n}");
                n += 1;
            }
            taken.push(new.clone());
            of_set.insert(old.clone(), new);
        }
        named.push(of_set);
    }
    named
}

fn rename(set: &mut ResultSet, names: &BTreeMap<String, String>) {
    let strategies = set.summary.strategies.iter_mut().map(|row| &mut row.name);
    let all = strategies
        .chain(set.series.iter_mut().map(|row| &mut row.strategy))
        .chain(set.endpoint_series.iter_mut().map(|row| &mut row.strategy))
        .chain(set.tenants.iter_mut().map(|row| &mut row.strategy))
        .chain(set.histograms.iter_mut().map(|row| &mut row.strategy))
        .chain(set.requests.iter_mut().map(|row| &mut row.strategy));
    for name in all {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    }
}

/// The conditions of the first set, and in the notes whatever the others do not share.
fn conditions(sets: &[(String, ResultSet)]) -> Summary {
    let Some((_, first)) = sets.first() else {
        return Summary::default();
    };

    let joined = |of: fn(&Summary) -> String| -> (String, bool) {
        let mut distinct: Vec<String> = Vec::new();
        for (_, set) in sets {
            let value = of(&set.summary);
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        (distinct.join(" + "), distinct.len() > 1)
    };
    let (scenario, _) = joined(|summary| summary.scenario.clone());
    let (scenario_hash, differs) = joined(|summary| summary.scenario_hash.clone());

    let mut notes = Vec::new();
    if differs {
        notes.push("the sets are of different scenarios: figures are not of the same traffic".to_owned());
    }
    let (seeds, differs) = joined(|summary| summary.seed.to_string());
    if differs {
        notes.push(format!("the sets differ in seed: {seeds}"));
    }
    let (replications, differs) = joined(|summary| summary.replications.to_string());
    if differs {
        notes.push(format!("the sets differ in replications: {replications}"));
    }
    let (versions, differs) = joined(|summary| summary.tollgate.clone());
    if differs {
        notes.push(format!(
            "the sets were made by different versions of tollgate: {versions}"
        ));
    }
    let (modes, differs) = joined(|summary| format!("{:?}", summary.mode).to_lowercase());
    if differs {
        notes.push(format!("the sets were not made alike: {modes}"));
    }
    for (label, set) in sets {
        notes.extend(set.summary.notes.iter().map(|note| format!("{label}: {note}")));
    }

    Summary {
        scenario,
        scenario_hash,
        notes,
        wall_seconds: None,
        requests_per_wall_second: None,
        strategies: Vec::new(),
        ..first.summary.clone()
    }
}

/// Rows of one strategy after the other, gathered to wider bins.
fn gathered(rows: Vec<SeriesRow>, from: f64, to: f64) -> Vec<SeriesRow> {
    if to <= from {
        return rows;
    }

    let mut wide: Vec<SeriesRow> = Vec::new();
    let mut parts: Vec<f64> = Vec::new();
    for mut row in rows {
        row.second = (row.second / to + 1e-9).floor() * to;
        match (wide.last_mut(), parts.last_mut()) {
            (Some(last), Some(n)) if last.strategy == row.strategy && last.second >= row.second => {
                add(last, row, *n);
                *n += 1.0;
            }
            (_, _) => {
                wide.push(row);
                parts.push(1.0);
            }
        }
    }
    wide
}

/// Adds a row to one that stands for `n` rows already.
fn add(wide: &mut SeriesRow, row: SeriesRow, n: f64) {
    let largest = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
    let (before, here) = (wide.completed, row.completed);
    let median = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) if before + here > 0.0 => Some((a * before + b * here) / (before + here)),
        (a, b) => a.or(b),
    };
    let level = |a: f64, b: f64| (a * n + b) / (n + 1.0);

    wide.ttft_p50 = median(wide.ttft_p50, row.ttft_p50);
    wide.e2e_p50 = median(wide.e2e_p50, row.e2e_p50);
    wide.ttft_p99 = largest(wide.ttft_p99, row.ttft_p99);
    wide.e2e_p99 = largest(wide.e2e_p99, row.e2e_p99);
    wide.in_flight = level(wide.in_flight, row.in_flight);
    wide.queued = wide.queued.zip(row.queued).map(|(a, b)| level(a, b));
    wide.offered += row.offered;
    wide.admitted = wide.admitted.zip(row.admitted).map(|(a, b)| a + b);
    wide.completed += row.completed;
    wide.failed += row.failed;
    for (cause, n) in row.refused {
        *wide.refused.entry(cause).or_insert(0.0) += n;
    }
}

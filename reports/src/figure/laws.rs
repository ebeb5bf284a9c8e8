//! What every figure promises, held against plausible, empty and hostile result sets.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::scene::{Mark, Scene};
use super::{Figure, all};
use crate::lineup::{Column, Lineup, Panels, Row, Table, Unit};
use crate::result::{
    Cause, EndpointSeriesRow, FaultWindow, Latency, Metric, NamedHistogram, ResultSet, SeriesRow, StrategySummary,
};
use crate::table::Better;
use crate::twin::{Curve, Section, Twin};

#[path = "../../tests/sample/mod.rs"]
mod sample;

/// Result sets of every kind that a figure may meet, with a word on each.
fn sets() -> Vec<(String, ResultSet)> {
    let mut sets: Vec<(String, ResultSet)> = [0, 1, 2, 3, 5, 12]
        .map(|n| (format!("{n} strategies"), sample::outage(n)))
        .into();
    sets.push(("one point".into(), one_point()));
    sets.push(("names".into(), renamed()));
    sets.push(("many faults".into(), many_faults()));
    sets.push(("many endpoints".into(), many_endpoints()));
    sets.push(("huge and tiny".into(), huge_and_tiny()));
    sets.push(("undefined".into(), undefined()));
    let mut bare = sample::outage(3);
    (bare.series, bare.endpoint_series, bare.histograms) = (Vec::new(), Vec::new(), Vec::new());
    sets.push(("summary only".into(), bare));
    sets
}

fn one_point() -> ResultSet {
    let mut recorded = Histogram::<u64>::new(3).expect("three digits are supported");
    recorded.record(1_000_000_000).expect("it grows as needed");
    let mut set = ResultSet::default();
    set.summary.strategies.push(StrategySummary {
        name: "alone".into(),
        ..Default::default()
    });
    set.series.push(SeriesRow {
        strategy: "alone".into(),
        e2e_p99: Some(1.0),
        ..Default::default()
    });
    set.endpoint_series.push(EndpointSeriesRow {
        strategy: "alone".into(),
        endpoint: "a".into(),
        ..Default::default()
    });
    set.histograms
        .push(NamedHistogram::new("alone", Metric::E2e, &recorded));
    set
}

fn renamed() -> ResultSet {
    let mut set = sample::outage(4);
    let names = [
        "W".repeat(400),
        "\u{0}\u{7}".into(),
        "<script>&\"'".into(),
        "負荷分散 مرحبا 🚦".into(),
    ];
    for (i, name) in names.iter().enumerate() {
        let old = std::mem::replace(&mut set.summary.strategies[i].name, name.clone());
        let rename = |strategy: &mut String| {
            if *strategy == old {
                strategy.clone_from(name);
            }
        };
        set.series.iter_mut().for_each(|row| rename(&mut row.strategy));
        set.endpoint_series.iter_mut().for_each(|row| rename(&mut row.strategy));
        set.histograms.iter_mut().for_each(|row| rename(&mut row.strategy));
    }
    for row in &mut set.endpoint_series {
        row.endpoint = format!("{}-{}", row.endpoint, "x".repeat(300));
    }
    set
}

fn many_faults() -> ResultSet {
    let mut set = sample::outage(2);
    for strategy in &mut set.summary.strategies {
        strategy.faults = (0..40)
            .map(|i| FaultWindow {
                backend: format!("backend-{i}"),
                kind: "brownout".into(),
                start: f64::from(i) * 15.0,
                end: f64::from(i) * 15.0 + 7.0,
                failed: f64::from(i),
                ..Default::default()
            })
            .collect();
    }
    set
}

fn many_endpoints() -> ResultSet {
    let mut set = sample::outage(2);
    let rows = set.endpoint_series.clone();
    set.endpoint_series = (0..5)
        .flat_map(|i| {
            rows.iter().cloned().map(move |mut row| {
                row.endpoint = format!("{}-{i}", row.endpoint);
                row
            })
        })
        .collect();
    set
}

fn huge_and_tiny() -> ResultSet {
    let mut set = sample::outage(3);
    for (i, row) in set.series.iter_mut().enumerate() {
        row.failed *= 1e14;
        row.refused = BTreeMap::from([(Cause::Limited, 1e-12)]);
        row.e2e_p99 = Some(if i % 2 == 0 { 1e-9 } else { 1e9 });
        row.second *= 1e5;
    }
    set.bin_seconds = 1e5;
    let strategy = &mut set.summary.strategies[0];
    strategy.requests.refused = Cause::ALL.map(|cause| (cause, 1e15)).into();
    strategy.faults[0].failed = 1e15;
    strategy.faults[0].recovery_seconds = Some(1e-9);
    set
}

fn undefined() -> ResultSet {
    let mut set = sample::outage(3);
    for row in &mut set.series {
        (row.failed, row.offered) = (f64::NAN, f64::INFINITY);
        (row.e2e_p99, row.ttft_p99) = (Some(f64::NAN), None);
    }
    for row in &mut set.endpoint_series {
        (row.attempts, row.available) = (f64::NAN, f64::NAN);
    }
    for strategy in &mut set.summary.strategies {
        strategy.e2e = Latency {
            p50: Some(f64::NAN),
            p99: Some(0.0),
            ..Default::default()
        };
        strategy.requests.failed = f64::NAN;
        strategy.faults[0].start = f64::NEG_INFINITY;
        (strategy.faults[0].failed, strategy.faults[0].recovery_seconds) = (f64::NAN, Some(f64::INFINITY));
    }
    set.histograms.clear();
    set
}

fn each(mut look: impl FnMut(&str, &Scene)) {
    for (set_name, set) in sets() {
        for figure in all(&set) {
            look(&format!("{} of {set_name}", figure.name), &figure.scene);
        }
    }
    for (name, lineup) in lineups() {
        for figure in lineup.figures() {
            look(&format!("{} of {name}", figure.name), &figure.scene);
        }
    }
    for figure in twin().figures() {
        look(&format!("{} of a twin", figure.name), &figure.scene);
    }
}

/// Distributions of every kind.
fn twin() -> Twin {
    let steps = |low: f64, factor: f64| -> Vec<(f64, f64)> {
        (1..=20_i32)
            .map(|at| (low * factor.powi(at), f64::from(at) / 20.0))
            .collect()
    };
    let curves = [
        ("plausible", steps(0.5, 1.1), steps(0.6, 1.1)),
        ("wide", steps(1e-6, 3.0), steps(1e-5, 3.0)),
        ("one point", vec![(1.0, 1.0)], Vec::new()),
        ("nothing", Vec::new(), Vec::new()),
        ("undefined", vec![(f64::NAN, 0.5), (0.0, 1.0)], vec![(-1.0, 1.0)]),
        (
            "a metric whose name is long enough to be cut off somewhere",
            steps(9.9, 1.01),
            steps(9.9, 1.01),
        ),
    ];
    let section = |count: usize| Section {
        title: "a strategy".into(),
        curves: curves
            .iter()
            .take(count)
            .map(|(name, simulated, live)| Curve {
                name: (*name).to_owned(),
                simulated: simulated.clone(),
                live: live.clone(),
            })
            .collect(),
        ..Section::default()
    };
    Twin {
        sections: (0..=curves.len()).map(section).collect(),
        ..Twin::default()
    }
}

#[test]
fn every_twin_draws_and_is_written() {
    let twin = twin();
    assert_eq!(twin.files().expect("it draws"), twin.files().expect("it draws"));
}

/// Lineups of every kind, with a word on each.
fn lineups() -> Vec<(String, Lineup)> {
    let of = |rows: usize, columns: usize, value: fn(usize, usize) -> Option<f64>| {
        let units = [Unit::Number, Unit::Seconds, Unit::Share];
        let column = |at: usize| {
            Column::new(
                "key",
                "a figure",
                "what it is, in words",
                units[at % 3],
                Some(Better::Lower),
            )
        };
        let row = |at: usize| Row {
            name: format!("an algorithm whose name is long enough {at}"),
            values: (0..columns).map(|column| value(at, column)).collect(),
        };
        let points = |at: usize| {
            (0..50_u32)
                .map(|x| (f64::from(x), value(at, 0).unwrap_or(0.0)))
                .collect()
        };
        let table = Table {
            key: "table".into(),
            title: "A table".into(),
            meaning: "What is in it".into(),
            columns: (0..columns).map(column).collect(),
            rows: (0..rows).map(row).collect(),
        };
        let panels = Panels {
            key: "panels".into(),
            title: "Over time".into(),
            value: "units".into(),
            level: Some((10.0, "the quota".into())),
            windows: vec![(10.0, 20.0, "a fault".into())],
            lines: (0..rows).map(|at| (format!("an algorithm {at}"), points(at))).collect(),
            ..Panels::default()
        };
        Lineup {
            tables: vec![table],
            panels: vec![panels],
            ..Lineup::default()
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let plausible = |row: usize, column: usize| Some((row * 7 + column) as f64 * 0.013);
    vec![
        ("plausible".into(), of(12, 9, plausible)),
        ("one".into(), of(1, 1, |_, _| Some(3.0))),
        ("nothing".into(), of(0, 0, |_, _| None)),
        (
            "undefined".into(),
            of(3, 4, |_, column| {
                [None, Some(f64::NAN), Some(f64::INFINITY), Some(0.0)][column]
            }),
        ),
        (
            "huge and tiny".into(),
            of(4, 3, |row, _| Some([1e15, 1e-9, 0.0, 5.0][row])),
        ),
        ("empty".into(), Lineup::default()),
    ]
}

#[test]
fn every_lineup_draws_and_is_written() {
    for (name, lineup) in lineups() {
        assert_eq!(
            lineup.files().expect("it draws"),
            lineup.files().expect("it draws"),
            "{name}"
        );
        let read: serde_json::Value = serde_json::from_str(&lineup.to_json()).expect("JSON");
        assert!(read["contenders"].is_array(), "{name}");
        for line in lineup.text(80).lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}

#[test]
fn no_text_stands_on_another() {
    each(|figure, scene| {
        let boxes = scene.text_boxes();
        for (i, (a, first)) in boxes.iter().enumerate() {
            for (b, second) in &boxes[..i] {
                assert!(!a.overlaps(b), "{figure}: {first:?} at {a:?} and {second:?} at {b:?}");
            }
        }
    });
}

#[test]
fn nothing_leaves_the_paper() {
    each(|figure, scene| {
        for (place, text) in scene.text_boxes() {
            assert!(
                place.left >= 0.0 && place.right <= scene.width,
                "{figure}: {text:?} at {place:?}"
            );
            assert!(
                place.top >= 0.0 && place.bottom <= scene.height,
                "{figure}: {text:?} at {place:?}"
            );
        }
        for mark in &scene.marks {
            let (Mark::Line { points, .. } | Mark::Area { points, .. }) = mark else {
                continue;
            };
            for (x, y) in points {
                let is_inside = (-0.01..=scene.width + 0.01).contains(x) && (-0.01..=scene.height + 0.01).contains(y);
                assert!(is_inside, "{figure}: {mark:?} in {} by {}", scene.width, scene.height);
            }
        }
    });
}

#[test]
fn every_set_draws_and_draws_the_same_again() {
    for (name, set) in sets() {
        for (first, second) in all(&set).iter().zip(all(&set)) {
            let draw = |figure: &Figure| (figure.svg().expect("it draws"), figure.png().expect("it draws"));
            let (svg, png) = draw(first);
            assert!((svg, png.clone()) == draw(&second), "{} of {name} differs", first.name);
            assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n", "{name}");
        }
    }
}

#[test]
fn names_cannot_break_out_of_an_svg() {
    for figure in all(&renamed()) {
        let svg = figure.svg().expect("it draws");
        assert!(!svg.contains("<script") && !svg.contains('\u{0}'), "{}", figure.name);
    }
}

#[test]
fn what_is_not_there_is_said() {
    let figures = all(&ResultSet::default());
    assert!(
        figures.iter().all(|figure| figure.name != "recovery"),
        "no fault, no figure about faults"
    );
    for figure in figures {
        let says = figure
            .scene
            .text_boxes()
            .iter()
            .any(|(_, text)| text.contains("no data"));
        assert!(says, "{} is silent", figure.name);
    }
}

#[test]
fn every_strategy_is_named_in_every_figure() {
    let set = sample::outage(5);
    for figure in all(&set) {
        for strategy in &set.summary.strategies {
            let start: String = strategy.name.chars().take(12).collect();
            let is_named = figure
                .scene
                .text_boxes()
                .iter()
                .any(|(_, text)| text.starts_with(&start));
            assert!(is_named, "{} does not name {}", figure.name, strategy.name);
        }
    }
}

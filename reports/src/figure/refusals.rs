//! What became of the requests that were not answered, by cause; one bar a strategy.

use super::font;
use super::panel::{Key, legend};
use super::scale::{Scale, percent, plain};
use super::scene::{Anchor, Frame, LABEL, MARGIN, Scene, TICK};
use super::style::{FAINT, GRID, INK, fill};
use crate::result::{Cause, RequestCounts, ResultSet};

/// Why a request was not answered, in the order of the bars: what endpoints did, then what the gateway decided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    Failed,
    Refused(Cause),
    Abandoned,
}

const REASONS: [Reason; 12] = [
    Reason::Failed,
    Reason::Refused(Cause::OutOfAttempts),
    Reason::Refused(Cause::NoEndpoint),
    Reason::Refused(Cause::QueueFull),
    Reason::Refused(Cause::QueueTimeout),
    Reason::Refused(Cause::Shed),
    Reason::Refused(Cause::Limited),
    Reason::Refused(Cause::Deadline),
    Reason::Refused(Cause::TooLarge),
    Reason::Refused(Cause::NoRoute),
    Reason::Refused(Cause::Unauthorized),
    Reason::Abandoned,
];

impl Reason {
    fn name(self) -> String {
        match self {
            Reason::Failed => "failed at the endpoint".to_owned(),
            Reason::Refused(cause) => cause.name().replace('_', " "),
            Reason::Abandoned => "abandoned by the client".to_owned(),
        }
    }

    fn count(self, requests: &RequestCounts) -> f64 {
        let n = match self {
            Reason::Failed => requests.failed,
            Reason::Refused(cause) => requests.refused.get(&cause).copied().unwrap_or(0.0),
            Reason::Abandoned => requests.abandoned,
        };
        if n.is_finite() { n.max(0.0) } else { 0.0 }
    }
}

pub(super) fn draw(set: &ResultSet, title: &str) -> Scene {
    const WIDTH: f64 = 960.0;
    const ROW: f64 = 30.0;
    const FIGURE: f64 = 120.0;

    let strategies = &set.summary.strategies;
    let note = "requests after the warm-up · the share is of all that were offered";
    let mut scene = Scene::new(WIDTH, 200.0, title, note);

    let happened = |reason: &Reason| strategies.iter().any(|strategy| reason.count(&strategy.requests) > 0.0);
    let shown: Vec<(usize, Reason)> = REASONS
        .into_iter()
        .enumerate()
        .filter(|(_, reason)| happened(reason))
        .collect();
    if shown.is_empty() {
        let why = if strategies.is_empty() {
            "no data: there is no strategy"
        } else {
            "nothing to show: every request of every strategy was answered"
        };
        scene.height = 140.0;
        scene.no_data(Frame::new(MARGIN, 64.0, WIDTH - MARGIN, 130.0), why);
        return scene;
    }

    let keys: Vec<Key> = shown
        .iter()
        .map(|(i, reason)| Key {
            name: reason.name(),
            fill: fill(*i),
        })
        .collect();
    let top = legend(&mut scene, 64.0, &keys) + 10.0;
    let names: Vec<String> = strategies
        .iter()
        .map(|strategy| font::fit(&strategy.name, LABEL, 260.0))
        .collect();
    let widest = names.iter().map(|name| font::width(name, LABEL)).fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "there are few strategies")]
    let bottom = top + strategies.len() as f64 * ROW + 6.0;
    scene.height = bottom + 50.0;

    let frame = Frame::new(MARGIN + widest + 12.0, top, WIDTH - MARGIN - FIGURE, bottom);
    let total = |requests: &RequestCounts| shown.iter().map(|(_, reason)| reason.count(requests)).sum::<f64>();
    let totals = strategies.iter().map(|strategy| total(&strategy.requests));
    let x = Scale::from_zero(totals, (frame.left, frame.right));
    for tick in x.ticks(6) {
        let at = x.at(tick);
        scene.line(vec![(at, top), (at, bottom)], GRID, 1.0, &[]);
        scene.text((at, bottom + 12.0), &plain(tick), TICK, Anchor::Middle, FAINT);
    }
    scene.text(
        (frame.left.midpoint(frame.right), bottom + 32.0),
        "requests",
        LABEL,
        Anchor::Middle,
        FAINT,
    );

    let mut y = top + 6.0;
    for (strategy, name) in strategies.iter().zip(&names) {
        let middle = y + 0.5 * (ROW - 8.0);
        scene.text((frame.left - 10.0, middle), name, LABEL, Anchor::End, INK);
        let mut from = 0.0;
        for (i, reason) in &shown {
            let n = reason.count(&strategy.requests);
            if n > 0.0 {
                let bar = Frame::new(x.at(from), y, x.at(from + n).max(x.at(from) + 0.7), y + ROW - 8.0);
                scene.hatched(bar, fill(*i).color, fill(*i).hatch);
                from += n;
            }
        }
        let offered = strategy.requests.offered;
        let share = if offered > 0.0 {
            format!(" · {}", percent(from / offered))
        } else {
            String::new()
        };
        let figure = if from > 0.0 {
            format!("{}{share}", plain(from))
        } else {
            "none".to_owned()
        };
        let figure = font::fit(&figure, TICK, FIGURE + MARGIN - 12.0);
        scene.patch((x.at(from) + 7.0, middle), &figure, TICK, FAINT);
        y += ROW;
    }
    scene.line(vec![(frame.left, top), (frame.left, bottom)], FAINT, 1.0, &[]);
    scene
}

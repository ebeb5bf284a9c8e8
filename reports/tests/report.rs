//! What people read of a result set: the table in the terminal, the winners, and the page.

use tollgate_reports::result::ResultSet;
use tollgate_reports::{page, table};

mod sample;

#[test]
fn the_table_fits_its_width_and_marks_the_best() {
    let text = table::text(&sample::outage(5).summary, 100);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_terminal_gets_more_blocks() {
    for width in [0, 40, 60, 80, 200] {
        let text = table::text(&sample::outage(12).summary, width);
        assert!(
            text.lines().all(|line| line.chars().count() <= width.max(110)),
            "{width}: {text}"
        );
        assert!(
            width < 40 || text.lines().all(|line| line.chars().count() <= width),
            "{width}: {text}"
        );
    }
}

#[test]
fn nothing_to_compare_is_said() {
    assert_eq!(
        table::text(&ResultSet::default().summary, 80),
        "no figures: no request was recorded\n"
    );
    assert!(
        table::winners(&sample::outage(1).summary).is_empty(),
        "nobody wins alone"
    );
}

#[test]
fn winners_are_named_with_those_level_with_them() {
    let mut summary = sample::outage(3).summary;
    for (strategy, attainment) in summary.strategies.iter_mut().zip([0.90, 0.95, 0.951]) {
        strategy.attainment = Some(attainment);
        strategy
            .ci95
            .insert("attainment".into(), [attainment - 0.002, attainment + 0.002]);
    }
    let winners = table::winners(&summary);
    let attainment = winners
        .iter()
        .find(|winner| winner.figure == "attainment")
        .expect("they differ");
    assert_eq!(attainment.strategy, "least in flight");
    assert_eq!(attainment.level_with, ["round robin with retries"]);

    let recovery = winners
        .iter()
        .find(|winner| winner.figure == "recovery")
        .expect("they differ");
    assert_eq!(
        (recovery.strategy.as_str(), recovery.value.as_str()),
        ("round robin, no retries", "2 s")
    );
}

/// Less work is cheaper and faster: who refuses it cannot win what falls with it.
#[test]
fn who_refuses_much_wins_nothing_that_falls_with_work() {
    const FALLING: [&str; 7] = [
        "E2E p50",
        "E2E p99",
        "TTFT p50",
        "TTFT p99",
        "amplification",
        "cost",
        "wasted",
    ];
    let mut summary = sample::outage(3).summary;
    // The second of them is best in whatever falls; only its attainment tells why.
    let figures = [(0.95, 3.0), (0.60, 1.0), (0.96, 4.0)];
    for (strategy, (attainment, rest)) in summary.strategies.iter_mut().zip(figures) {
        strategy.ci95.clear();
        let interval = [attainment - 0.006, attainment + 0.006];
        strategy.ci95.insert("attainment".into(), interval);
        strategy.attainment = Some(attainment);
        for latency in [&mut strategy.e2e, &mut strategy.ttft] {
            (latency.p50, latency.p99) = (Some(rest), Some(rest));
        }
        strategy.amplification = Some(rest);
        (strategy.cost_usd, strategy.wasted_tokens) = (Some(rest), Some(rest));
    }
    let best = |summary: &tollgate_reports::result::Summary, figure: &str| {
        let rows = table::compare(summary);
        let row = rows.iter().find(|row| row.figure == figure).expect("it is compared");
        let best = row.cells.iter().position(|cell| cell.standing == table::Standing::Best);
        (best, row.cells[1].standing)
    };
    for figure in FALLING {
        assert_eq!(best(&summary, figure), (Some(0), table::Standing::Behind), "{figure}");
    }
    assert!(table::text(&summary, 100).contains("clearly lower attainment"));

    // Its interval reaches that of the best: nothing is clear.
    summary.strategies[1].ci95.insert("attainment".into(), [0.2, 0.955]);
    for figure in FALLING {
        assert_eq!(best(&summary, figure).0, Some(1), "{figure}");
    }
    assert!(!table::text(&summary, 100).contains("clearly lower attainment"));

    // Without intervals, a point of attainment is clear.
    summary.strategies.iter_mut().for_each(|strategy| strategy.ci95.clear());
    assert_eq!(best(&summary, "cost").0, Some(0));
    summary.strategies[1].attainment = Some(0.951);
    assert_eq!(best(&summary, "cost").0, Some(1));
}

/// What the table does not tell apart, the headline does not either.
#[test]
fn the_headline_claims_what_intervals_tell_apart() {
    let with = |intervals: [[f64; 2]; 3], name: &str, is_calm: bool| {
        let mut summary = sample::outage(3).summary;
        let attainments = [0.95, 0.951, 0.952];
        for ((strategy, interval), attainment) in summary.strategies.iter_mut().zip(intervals).zip(attainments) {
            strategy.attainment = Some(attainment);
            strategy.ci95.insert(name.into(), interval);
            if is_calm {
                strategy.faults.clear();
            }
            for fault in &mut strategy.faults {
                fault.recovery_seconds.get_or_insert(90.0);
            }
        }
        page::headline(&summary).replace('\u{a0}', " ")
    };
    assert_eq!(
        with([[0.9, 0.99]; 3], "attainment", true),
        "No strategy is told apart from the best: all targets were met for 95 % to 95.2 % of calls."
    );
    assert_eq!(
        with([[0.94, 0.9505], [0.95, 0.952], [0.951, 0.953]], "attainment", true),
        "“least in flight” met all targets for 95.2 % of calls (1 other is not told apart from it), “round robin, no \
         retries” for 95 %."
    );
    let said = with([[0.0, 5_000.0]; 3], "lost_in_faults", false);
    let expected = "The outage of alpha (90 s) cost 644 to 1,701 requests, under no strategy clearly fewer. ";
    assert!(said.starts_with(expected), "{said}");
    let said = with(
        [[1_600.0, 1_800.0], [600.0, 700.0], [650.0, 2_000.0]],
        "lost_in_faults",
        false,
    );
    let expected = "The outage of alpha (90 s) cost 644 requests under “round robin with retries” (1 other is not told \
                    apart from it) and 1,701 under “round robin, no retries”. ";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn the_headline_answers_the_question() {
    insta::assert_snapshot!(
        [1, 2, 5, 12]
            .map(|n| page::headline(&sample::outage(n).summary))
            .join("\n")
    );
    let mut calm = sample::outage(3).summary;
    calm.strategies.iter_mut().for_each(|strategy| strategy.faults.clear());
    insta::assert_snapshot!("headline_without_faults", page::headline(&calm));
    assert_eq!(
        page::headline(&ResultSet::default().summary),
        "No strategy was compared."
    );
}

#[test]
fn the_page_stands_alone() {
    let html = page::html(&sample::outage(5)).expect("it draws");
    for outside in ["<script", "<link", "<img", "@import", "url(", "src=", "href="] {
        assert!(!html.contains(outside), "the page reaches out by {outside}");
    }
    let addresses = html.matches("http").count();
    assert_eq!(
        addresses,
        html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count(),
        "only the name of SVG"
    );
    assert_eq!(html.matches("<svg").count(), 6);
}

#[test]
fn no_string_reaches_the_page_as_markup() {
    let evil = "</title><script>alert(\"1\")</script><img onerror='x'>&";
    let mut set = sample::outage(2);
    let summary = &mut set.summary;
    for text in [&mut summary.scenario, &mut summary.scenario_hash, &mut summary.tollgate] {
        *text = evil.into();
    }
    summary.question = Some(evil.into());
    summary.trace = Some(evil.into());
    summary.notes = vec![evil.into()];
    summary.strategies[0].name = evil.into();
    summary.strategies[0].policy_hash = evil.into();
    summary.strategies[0].faults[0].backend = evil.into();
    summary.strategies[0].faults[0].kind = evil.into();
    summary.strategies[0].endpoints[0].name = evil.into();
    for row in &mut set.endpoint_series {
        row.endpoint = evil.into();
    }

    let html = page::html(&set).expect("it draws");
    assert!(
        !html.contains("<script") && !html.contains("<img"),
        "markup got through"
    );
    assert!(html.matches("&lt;script&gt;").count() >= 9);
    assert_eq!(
        html.matches("</title>").count(),
        7,
        "one of the page, one of each figure"
    );
}

#[test]
fn a_set_without_anything_is_a_page_all_the_same() {
    let html = page::html(&ResultSet::default()).expect("it draws");
    assert!(html.contains("No strategy was compared.") && html.ends_with("</html>\n"));
}

#[test]
fn the_page_names_the_winner_of_every_figure() {
    let set = sample::outage(5);
    let html = page::html(&set).expect("it draws");
    for winner in table::winners(&set.summary) {
        let row = html
            .split("<tr>")
            .find(|row| row.contains(&format!("\">{}&nbsp;", winner.figure)));
        let row = row.expect("every figure has a row");
        assert!(
            row.contains(&format!("<td class=\"winner\">{}</td>", winner.strategy)),
            "{row}"
        );
        assert!(row.contains(&format!("<td class=\"best\">{} ", winner.value)), "{row}");
    }
}

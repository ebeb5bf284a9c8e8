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

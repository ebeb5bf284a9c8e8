//! What the README shows is what is printed. `REWRITE=1 cargo test --test readme` writes it anew.

use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- outage: kept true by tests/readme.rs -->\n```text\n";
const END: &str = "```\n<!-- end -->\n";

#[test]
fn the_outage_table_is_what_is_printed() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outage");
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["simulate", "outage", "--out"])
        .arg(&out)
        .env("COLUMNS", "120")
        .output()
        .expect("the binary was built for this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(out.join("report.html").exists(), "the report is where it was asked for");
    let printed = String::from_utf8(output.stdout).expect("tables are UTF-8");
    // After the table come the answer in words, and how long it took here.
    let (table, _) = printed.split_once("\n\nThe outage of ").expect("the answer in words");
    let table = format!("{table}\n");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README is there");
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for it");
    let (shown, after) = rest.split_once(END).expect("the place ends");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, [before, BEGIN, &table, END, after].concat()).expect("the README can be written");
    } else {
        assert_eq!(shown, table, "REWRITE=1 cargo test --test readme writes it anew");
    }
}

//! What the repository consists of: its files, its crates, and what is linked into them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn source(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of the repository but what is hidden or built, relative to the root, in order.
pub(crate) fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("a folder of the repository") {
            let entry = entry.expect("an entry of a folder that is not changing");
            let name = entry.file_name().into_string().expect("names are plain");
            let is_ours = name == ".ci" || !name.starts_with('.') && name != "target";
            let path = folder.join(&name);
            if entry.file_type().expect("it has one").is_dir() {
                if is_ours {
                    folders.push(path);
                }
            } else if is_ours {
                found.push(path.to_str().expect("names are plain").replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn rust_files() -> Vec<String> {
    let mut found = files();
    found.retain(|path| Path::new(path).extension().is_some_and(|ending| ending == "rs"));
    found
}

/// The folder of the crate that `path` belongs to; empty for the root package.
pub(crate) fn crate_folder(path: &str) -> &str {
    let first = path.split_inclusive('/').next().unwrap_or_default();
    if root().join(first).join("Cargo.toml").exists() && first.ends_with('/') {
        first
    } else {
        ""
    }
}

/// Each crate of the workspace, and which crates it depends on in which way.
pub(crate) fn packages() -> BTreeMap<String, Vec<(String, String)>> {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo writes JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or("normal").to_owned();
    let dependencies = |package: &Value| {
        let all = list(&package["dependencies"]);
        all.iter()
            .map(|each| (word(&each["name"]), word(&each["kind"])))
            .collect()
    };
    let packages = list(&metadata["packages"]);
    packages
        .iter()
        .map(|package| (word(&package["name"]), dependencies(package)))
        .collect()
}

/// The crates that are linked into `package` alone, itself among them.
pub(crate) fn linked(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut args = vec![
        "tree",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--package",
        package,
    ];
    args.extend(features);
    let text = cargo(&args);
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
}

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs these tests, so it is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {said}", args.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

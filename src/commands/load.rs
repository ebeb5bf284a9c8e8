//! Finding and reading scenarios and policies, on disk or shipped.

use std::path::Path;

use tollgate_core::file::Problems;
use tollgate_core::policy::{self, Policy};
use tollgate_sim::scenario::{self, Folder, Scenario};

use crate::error::Failure;
use crate::{shipped, term};

/// A file that was found.
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// Where it is; none if it is shipped.
    folder: Option<std::path::PathBuf>,
}

/// The scenario file `named`, or the shipped scenario of that name.
pub(crate) fn find_scenario(named: &str) -> Result<Source, Failure> {
    let found = find(named, shipped::scenario(named).map(|shipped| shipped.text));
    found.map_err(|error| {
        let names: Vec<&str> = shipped::SCENARIOS.iter().map(|shipped| shipped.name).collect();
        let help = tollgate_core::file::nearest(named, names.iter().copied()).help("scenario");
        let help = help.unwrap_or_else(|| "`tollgate scenarios` lists the shipped ones".to_owned());
        Failure::wrong(format!("{error}\n  = help: {help}"))
    })
}

/// The policy file `named`, or the shipped policy of that name.
pub(crate) fn find_policy(named: &str) -> Result<Source, Failure> {
    find(named, shipped::policy(named)).map_err(Failure::wrong)
}

fn find(named: &str, shipped: Option<&'static str>) -> Result<Source, String> {
    let path = Path::new(named);
    match (std::fs::read(path), shipped) {
        (Ok(bytes), _) => {
            let text = String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                format!("`{named}` is not UTF-8 text: byte {at} belongs to no character")
            })?;
            Ok(Source {
                name: named.to_owned(),
                text,
                folder: Some(path.parent().map_or_else(Default::default, Path::to_owned)),
            })
        }
        (Err(_), Some(text)) => Ok(Source {
            name: format!("{named} (shipped)"),
            text: text.to_owned(),
            folder: None,
        }),
        (Err(error), None) => Err(format!("`{named}` cannot be read: {error}")),
    }
}

/// Reads a scenario; its warnings are told.
pub(crate) fn read_scenario(source: &Source) -> Result<Scenario, Failure> {
    let resolve = |name: &str| shipped::policy(name);
    let folder = match &source.folder {
        Some(path) => Folder::new(path, &resolve),
        None => Folder::shipped(&resolve),
    };
    checked(scenario::read(&source.name, &source.text, &folder))
}

/// Reads a policy; its warnings are told.
pub(crate) fn read_policy(name: &str, text: &str) -> Result<Policy, Failure> {
    checked(policy::file::read(name, text))
}

/// The policies of a scenario's own strategies, by name.
pub(crate) fn read_strategies(scenario: &Scenario) -> Result<Vec<(String, Policy)>, Failure> {
    let mut policies = Vec::new();
    let mut wrong = Vec::new();
    for strategy in &scenario.strategies {
        match read_policy(&strategy.policy, &strategy.text) {
            Ok(policy) => policies.push((strategy.name.clone(), policy)),
            Err(failure) => wrong.push(failure.message().to_owned()),
        }
    }
    if wrong.is_empty() {
        Ok(policies)
    } else {
        Err(Failure::Wrong(wrong.join("\n")))
    }
}

fn checked<T>(read: Result<(T, Problems), Problems>) -> Result<T, Failure> {
    match read {
        Ok((value, warnings)) => {
            if !warnings.is_empty() {
                term::tell(&warnings.render(term::is_styled()));
            }
            Ok(value)
        }
        Err(problems) => Err(Failure::Wrong(problems.render(term::is_styled()))),
    }
}

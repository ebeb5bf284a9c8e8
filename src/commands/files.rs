//! Finding and reading scenarios and policies, on disk or shipped.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use tollgate_core::file::{self, MOST_BYTES, Problems};
use tollgate_core::policy::{self, Policy};
use tollgate_sim::experiment::PrepareError;
use tollgate_sim::scenario::{self, Folder, Scenario, Unbound};

use crate::error::Failure;
use crate::{shipped, term};

/// A file that was found.
pub(crate) struct Source {
    /// What messages call it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
    /// The folder in which it is; none if it is shipped.
    folder: Option<PathBuf>,
}

/// A policy that was read, and the text that it was read from.
pub(crate) struct Candidate {
    /// What reports call it.
    pub(crate) strategy: String,
    /// Where it comes from.
    pub(crate) source: Source,
    /// What it says.
    pub(crate) policy: Policy,
}

/// The scenario file `named`, or the shipped scenario of that name.
pub(crate) fn find_scenario(named: &str) -> Result<Source, Failure> {
    find(named, shipped::scenario(named).map(|shipped| shipped.text), &SCENARIO)
}

/// The policy file `named`, or the shipped policy of that name.
pub(crate) fn find_policy(named: &str) -> Result<Source, Failure> {
    find(named, shipped::policy(named), &POLICY)
}

/// The file `named`, or the shipped scenario or policy of that name.
pub(crate) fn find_either(named: &str) -> Result<Source, Failure> {
    let shipped = shipped::scenario(named).map(|shipped| shipped.text);
    find(named, shipped.or_else(|| shipped::policy(named)), &EITHER)
}

/// A shipped file, whatever lies on disk under its name.
pub(crate) fn shipped(shipped: &shipped::Shipped) -> Source {
    Source {
        name: format!("{} (shipped)", shipped.name),
        text: shipped.text.to_owned(),
        folder: None,
    }
}

/// What is looked for.
struct Wanted {
    one: &'static str,
    many: &'static str,
    /// What of it is shipped.
    lists: &'static [&'static [shipped::Shipped]],
}

const SCENARIO: Wanted = Wanted {
    one: "scenario",
    many: "scenarios",
    lists: &[shipped::SCENARIOS],
};

const POLICY: Wanted = Wanted {
    one: "policy",
    many: "policies",
    lists: &[shipped::POLICIES],
};

const EITHER: Wanted = Wanted {
    one: "scenario or policy",
    many: "scenarios and policies",
    lists: &[shipped::SCENARIOS, shipped::POLICIES],
};

fn find(named: &str, shipped: Option<&'static str>, wanted: &Wanted) -> Result<Source, Failure> {
    let what = wanted.one;
    let path = Path::new(named);
    let there = std::fs::metadata(path).map(|meta| meta.file_type());
    let error = match (there, shipped) {
        (Ok(kind), _) if kind.is_file() => return read(named, path),
        (Err(error), _) if error.kind() != ErrorKind::NotFound => return Err(unreadable(named, &error)),
        (_, Some(text)) => {
            return Ok(Source {
                name: format!("{named} (shipped)"),
                text: text.to_owned(),
                folder: None,
            });
        }
        (Err(_), None) => format!("there is no file `{named}`, and no {what} of this name is shipped"),
        (Ok(kind), None) if kind.is_dir() => format!("`{named}` is a directory, not a {what}"),
        // It might never end, and opening it might wait for somebody who writes.
        (Ok(_), None) => {
            return Err(Failure::wrong(format!(
                "`{named}` is a pipe or a device, not a file\n  = help: write what it says into a file, and name that"
            )));
        }
    };
    let words = wanted.lists.iter().copied().flatten().map(|shipped| shipped.name);
    let help = file::nearest(named, words).help_of(&format!("shipped {what}"), &format!("shipped {}", wanted.many));
    let help = help.unwrap_or_else(|| "`tollgate scenarios` lists what is shipped".to_owned());
    Err(Failure::wrong(format!("{error}\n  = help: {help}")))
}

/// What the file at `path` says.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let named = path.display().to_string();
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => read(&named, path).map(|source| source.text),
        Ok(_) => Err(Failure::wrong(format!(
            "`{named}` is not a file\n  = help: write what it says into a file, and name that"
        ))),
        Err(error) => Err(unreadable(&named, &error)),
    }
}

fn read(named: &str, path: &Path) -> Result<Source, Failure> {
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(named, &error))?;
    if MOST_BYTES < bytes.len() {
        return Err(Failure::wrong(format!(
            "`{named}` is larger than the {MOST_BYTES} bytes that are read of a scenario or policy\n  \
             = help: recorded traffic goes to --trace"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = String::from_utf8_lossy(before).matches('\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Failure::wrong(format!(
            "this is not UTF-8 text\n --> {named}:{line}:{column}\n  = help: save the file as UTF-8"
        ))
    })?;
    Ok(Source {
        name: named.to_owned(),
        text,
        folder: Some(path.parent().map_or_else(PathBuf::new, Path::to_owned)),
    })
}

fn unreadable(named: &str, error: &std::io::Error) -> Failure {
    Failure::wrong(format!(
        "`{named}` cannot be read: {error}\n  = help: check the path and the permissions"
    ))
}

/// Reads a scenario; its warnings are told.
pub(crate) fn read_scenario(source: &Source) -> Result<Scenario, Failure> {
    match &source.folder {
        Some(path) => checked(scenario::read(
            &source.name,
            &source.text,
            &Folder::new(path, &shipped::policy_by_name),
        )),
        None => checked(scenario::read(
            &source.name,
            &source.text,
            &Folder::shipped(&shipped::policy),
        )),
    }
}

/// Reads a policy; its warnings are told.
pub(crate) fn read_policy(source: &Source) -> Result<Policy, Failure> {
    checked(policy::file::read(&source.name, &source.text))
}

/// The policies of a scenario's own strategies. What is wrong with a policy is said once, however many share it.
pub(crate) fn read_strategies(source: &Source, scenario: &Scenario) -> Result<Vec<Candidate>, Failure> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for strategy in &scenario.strategies {
        let path = source.folder.as_ref().map(|folder| folder.join(&strategy.policy));
        let on_disk = path.filter(|path| path.is_file());
        let source = Source {
            name: on_disk.as_ref().map_or_else(
                || format!("{} (shipped)", strategy.policy),
                |path| path.display().to_string(),
            ),
            text: strategy.text.clone(),
            folder: None,
        };
        let known = candidates.iter().find(|known| known.source.name == source.name);
        let policy = match known {
            Some(known) => Ok(known.policy.clone()),
            None => read_policy(&source),
        };
        match policy {
            Ok(policy) => candidates.push(Candidate {
                strategy: strategy.name.clone(),
                source,
                policy,
            }),
            Err(failure) if wrong.iter().all(|known| known != failure.message()) => {
                wrong.push(failure.message().to_owned());
            }
            Err(_) => {}
        }
    }
    if wrong.is_empty() {
        Ok(candidates)
    } else {
        Err(Failure::Wrong(wrong.join("\n")))
    }
}

/// Things by the name of their strategy.
pub(crate) type Named<T> = Vec<(String, T)>;

/// Candidates as strategies are made of them, and where they come from.
pub(crate) fn apart(candidates: Vec<Candidate>) -> (Named<Policy>, Named<Source>) {
    let apart = candidates.into_iter().map(
        |Candidate {
             strategy,
             source,
             policy,
         }| ((strategy.clone(), policy), (strategy, source)),
    );
    apart.unzip()
}

/// Why the candidates cannot be run on the scenario: with the places where endpoints without a backend stand.
pub(crate) fn unprepared(error: &PrepareError, sources: &[(String, Source)]) -> Failure {
    let PrepareError::Unbound(unbound) = error else {
        return Failure::wrong(error);
    };
    let mut said: Vec<String> = Vec::new();
    for (strategy, source) in sources {
        let of_this: Vec<&Unbound> = unbound.iter().filter(|at| at.strategy == *strategy).collect();
        if of_this.is_empty() {
            continue;
        }
        let problem = |name: &str| {
            let at = of_this.iter().find(|at| at.endpoint == name)?;
            Some(Misplaced {
                message: format!("no backend of the scenario is called `{name}`"),
                label: "an endpoint without a backend",
                help: at.help.clone().unwrap_or_else(|| "add a [[backend]]".to_owned()),
            })
        };
        let text = match place(source, problem) {
            Some(problems) => problems.render(term::is_styled()),
            None => Failure::wrong(of_this[0]).message().to_owned(),
        };
        if !said.contains(&text) {
            said.push(text);
        }
    }
    Failure::Wrong(said.join("\n"))
}

/// Whether every endpoint says where it is, as it must in production.
pub(crate) fn check_urls(source: &Source, policy: &Policy) -> Result<(), Failure> {
    let is_nowhere = |name: &str| {
        let mut endpoints = policy.endpoints.iter();
        endpoints.any(|endpoint| endpoint.name == name && endpoint.url.is_none())
    };
    let problem = |name: &str| {
        is_nowhere(name).then(|| Misplaced {
            message: format!("endpoint `{name}` has no `url`, so it can be simulated and not be served"),
            label: "an endpoint without an address",
            help: "url = \"https://api.openai.com/v1\", say, and `api_key_env`".to_owned(),
        })
    };
    match place(source, problem) {
        Some(problems) => Err(Failure::Wrong(problems.render(term::is_styled()))),
        None => Ok(()),
    }
}

/// What is wrong with an endpoint that is right by itself.
struct Misplaced {
    message: String,
    label: &'static str,
    help: String,
}

/// Finds the endpoints again in the text that they were read from.
fn place(source: &Source, problem: impl Fn(&str) -> Option<Misplaced>) -> Option<Problems> {
    let read = file::read(&source.name, &source.text, |root| {
        let _known: Vec<_> = root.entries();
        for pool in root.tables("pool", policy::file::POOLS) {
            let _known: Vec<_> = pool.entries();
            for endpoint in pool.tables("endpoint", policy::file::ENDPOINTS) {
                let _known: Vec<_> = endpoint.entries();
                let Some(name) = endpoint.value("name") else { continue };
                if let Some(wrong) = name.toml().as_str().and_then(&problem) {
                    root.report()
                        .error(name.span(), wrong.message, wrong.label, Some(wrong.help));
                }
            }
        }
    });
    read.err()
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

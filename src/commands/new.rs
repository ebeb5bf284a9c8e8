//! `tollgate new`: a shipped scenario and its policies, to edit.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::load;
use crate::args::New;
use crate::error::Failure;
use crate::{shipped, term};

/// Runs the command: writes everything, or nothing if anything is in the way.
pub(crate) fn run(args: &New) -> Result<(), Failure> {
    let source = load::find_scenario(&args.name)?;
    let Some(shipped) = shipped::scenario(&args.name) else {
        return Err(Failure::wrong(format!(
            "`{}` is a file already; `new` copies a shipped scenario by its name",
            args.name
        )));
    };
    let scenario = load::read_scenario(&source)?;
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let scenario_file = PathBuf::from(format!("{}.toml", shipped.name));
    files.push((
        scenario_file.clone(),
        shipped.text.replace("\"../policies/", "\"policies/"),
    ));
    for strategy in &scenario.strategies {
        let name = Path::new(&strategy.policy)
            .file_name()
            .expect("a shipped policy has a file name");
        let path = Path::new("policies").join(name);
        if files.iter().all(|(known, _)| *known != path) {
            files.push((path, strategy.text.clone()));
        }
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(Failure::wrong(format!(
            "`{}` is there already, and nothing was written\n  = help: move it away, or work in another directory",
            path.display()
        )));
    }
    write_all(&files)?;
    for (path, _) in &files {
        term::print(&format!("{}", path.display()));
    }
    term::tell(&format!("run it with `tollgate simulate {}`", scenario_file.display()));
    Ok(())
}

fn write_all(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    for (done, (path, text)) in files.iter().enumerate() {
        let written = path
            .parent()
            .map_or(Ok(()), |folder| {
                if folder.as_os_str().is_empty() {
                    Ok(())
                } else {
                    fs::create_dir_all(folder)
                }
            })
            .and_then(|()| fs::File::create_new(path))
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            for (path, _) in &files[..=done] {
                let _never_there = fs::remove_file(path);
            }
            return Err(Failure::failed(format!(
                "`{}` cannot be written: {error}",
                path.display()
            )));
        }
    }
    Ok(())
}

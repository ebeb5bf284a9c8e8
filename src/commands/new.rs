//! `tollgate new`: a shipped scenario and its policies, to edit.

use std::fs;
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};

use tollgate_core::file::nearest;

use super::files;
use crate::args::New;
use crate::error::Failure;
use crate::{shipped, term};

/// Runs the command: writes everything, or nothing if anything is in the way.
pub(crate) fn run(args: &New) -> Result<(), Failure> {
    let Some(shipped) = shipped::scenario(&args.name) else {
        let names = shipped::SCENARIOS.iter().map(|shipped| shipped.name);
        let help = nearest(&args.name, names).help("shipped scenario");
        return Err(Failure::wrong(format!(
            "no shipped scenario is called `{}`\n  = help: {}",
            args.name,
            help.unwrap_or_default()
        )));
    };
    let scenario = files::read_scenario(&files::shipped(shipped))?;
    let scenario_file = PathBuf::from(format!("{}.toml", shipped.name));
    let text = shipped.text.replace("\"../policies/", "\"policies/");
    let mut files: Vec<(PathBuf, String)> = vec![(scenario_file.clone(), text)];
    for strategy in &scenario.strategies {
        let name = Path::new(&strategy.policy)
            .file_name()
            .expect("a shipped policy has a file name");
        let path = Path::new("policies").join(name);
        if files.iter().all(|(known, _)| *known != path) {
            files.push((path, strategy.text.clone()));
        }
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(Failure::wrong(format!(
            "`{}` is there already, and nothing was written\n  = help: move it away, or work in another directory",
            path.display()
        )));
    }
    write_all(&files)?;
    for (path, _) in &files {
        term::print(&format!("{}", path.display()))?;
    }
    term::tell(&format!("run it with `tollgate simulate {}`", scenario_file.display()));
    Ok(())
}

fn write_all(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let mut made: Vec<&Path> = Vec::new();
    for (path, text) in files {
        if let Err(error) = write(path, text, &mut made) {
            // What was made here goes again, files before the folders they are in; what was there stays.
            for path in made.iter().rev() {
                let _gone = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
            }
            return Err(Failure::failed(format!(
                "`{}` cannot be written, and nothing was kept: {error}\n  = help: work in another directory",
                path.display()
            )));
        }
    }
    Ok(())
}

fn write<'p>(path: &'p Path, text: &str, made: &mut Vec<&'p Path>) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        fs::create_dir(folder)?;
        made.push(folder);
    }
    let mut file = fs::File::create_new(path)?;
    made.push(path);
    file.write_all(text.as_bytes())
}

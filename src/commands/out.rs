//! Whether something can be written, before hours are spent on it.

use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tollgate_reports::result::check_free;

use crate::error::Failure;

/// Whether a result set can be put into `dir`, which need not be there yet.
pub(crate) fn check_directory(dir: &Path) -> Result<(), Failure> {
    probe(dir).map_err(|error| unwritable(dir, &error, "name another directory with --out"))?;
    check_free(dir).map_err(Failure::wrong)
}

/// Whether the file `path` can be written or replaced.
pub(crate) fn check_file(path: &Path) -> Result<(), Failure> {
    let error = if path.is_dir() {
        Error::new(ErrorKind::IsADirectory, "it is a directory")
    } else {
        let folder = path.parent().unwrap_or(path);
        let there = if folder.as_os_str().is_empty() || folder.exists() {
            probe(folder)
        } else {
            Err(Error::new(ErrorKind::NotFound, "its directory does not exist"))
        };
        match there {
            Ok(()) => return Ok(()),
            Err(error) => error,
        }
    };
    Err(unwritable(path, &error, "name another file with --out"))
}

fn unwritable(path: &Path, error: &Error, help: &str) -> Failure {
    Failure::wrong(format!(
        "`{}` cannot be written to: {error}\n  = help: {help}",
        path.display()
    ))
}

/// Makes and removes a file in `dir`, or in the nearest directory above it that is there.
fn probe(dir: &Path) -> Result<(), Error> {
    let above = |path: &Path| {
        let is_here = path.as_os_str().is_empty();
        if is_here { PathBuf::from(".") } else { path.to_owned() }
    };
    // A link to nowhere is there, and is no directory.
    let there = dir.ancestors().map(above).find(|path| path.symlink_metadata().is_ok());
    let there = there.unwrap_or_else(|| PathBuf::from("."));
    if !there.is_dir() {
        let what = format!("`{}` is not a directory", there.display());
        return Err(Error::new(ErrorKind::NotADirectory, what));
    }
    let probe = there.join(format!(".tollgate-{}", std::process::id()));
    File::create(&probe)?;
    fs::remove_file(&probe)
}

//! Whether something can be written, before hours are spent on it, and the right to write it.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Error, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tollgate_reports::result::check_free;

use crate::error::Failure;

/// Whether a result set can be put into `dir`, which need not be there yet.
pub(crate) fn check_directory(dir: &Path) -> Result<(), Failure> {
    check_place(dir)?;
    check_free(dir).map_err(Failure::wrong)
}

/// Whether files can be put into `dir`, which need not be there yet.
pub(crate) fn check_place(dir: &Path) -> Result<(), Failure> {
    /// What a path within the directory may take beside it while it is filled, at most.
    const WITHIN: usize = 160;

    let longest = dir.join("x".repeat(WITHIN));
    fits(&longest)
        .and_then(|()| probe(dir))
        .map_err(|error| unwritable(dir, &error, ANOTHER_DIRECTORY))
}

/// Whether the file `path` can be written, and nothing is there that would be lost.
pub(crate) fn check_new(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return Err(Failure::wrong(format!(
            "`{}` is there already\n  = help: name another file, or remove this one",
            path.display()
        )));
    }
    check_file(path)
}

/// Writes the file `path`, which must not be there yet.
pub(crate) fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    File::create_new(path)?.write_all(text.as_bytes())
}

/// Whether the file `path` can be written or replaced.
pub(crate) fn check_file(path: &Path) -> Result<(), Failure> {
    let error = if path.is_dir() {
        Error::new(ErrorKind::IsADirectory, "it is a directory")
    } else {
        let folder = path.parent().unwrap_or(path);
        let there = if folder.as_os_str().is_empty() || folder.exists() {
            probe(folder).and_then(|()| fits(path))
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

const ANOTHER_DIRECTORY: &str = "name another directory with --out";

fn unwritable(path: &Path, error: &Error, help: &str) -> Failure {
    Failure::wrong(format!(
        "`{}` cannot be written to: {error}\n  = help: {help}",
        path.display()
    ))
}

/// Makes and removes a file in `dir`, or in the nearest directory above it that is there.
fn probe(dir: &Path) -> Result<(), Error> {
    // A link to nowhere is there, and is no directory.
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    let there = dir.ancestors().map(or_here).find(|path| is_there(path));
    let there = there.unwrap_or_else(|| PathBuf::from("."));
    if !there.is_dir() {
        let what = format!("`{}` is not a directory", there.display());
        return Err(Error::new(ErrorKind::NotADirectory, what));
    }
    // Each name that is to be made must be one that can be made here.
    let new = dir.ancestors().take_while(|path| !is_there(&or_here(path)));
    for name in new.filter_map(Path::file_name) {
        fits(&there.join(name))?;
    }
    let probe = there.join(format!(".tollgate-{}", std::process::id()));
    File::create(&probe)?;
    fs::remove_file(&probe)
}

/// Whether a file of this path can be, as far as its length goes.
fn fits(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::InvalidFilename => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The path, or the current directory where it says nothing.
fn or_here(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        path.to_owned()
    }
}

/// The right to write a result set into a directory, until it is dropped.
///
/// It is a locked file, within the directory or, if that is new, beside it. The lock ends with the process however it
/// ends, so that what a killed one leaves behind is in nobody's way.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    _lock: File,
    /// Directories that were made for it, the outermost first.
    _made: Made,
}

impl Claim {
    /// Claims `dir`; refused while another run has it.
    pub(crate) fn new(dir: &Path) -> Result<Claim, Failure> {
        /// How often the file may be gone again when it has been locked.
        const ATTEMPTS: usize = 100;

        let refused = |error: &Error| unwritable(dir, error, ANOTHER_DIRECTORY);
        let made = Made::new(&folder(dir)).map_err(|error| refused(&error))?;
        let path = folder(dir).join(name(dir));
        for _ in 0..ATTEMPTS {
            match lock(&path) {
                Ok(Some(lock)) => {
                    return Ok(Claim {
                        path,
                        _lock: lock,
                        _made: made,
                    });
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Failure::wrong(format!(
            "`{}` is being written by another run\n  = help: wait until it has ended, or {ANOTHER_DIRECTORY}",
            dir.display()
        )))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The result set is complete or was never there; a leftover must not turn that into an error.
        let _gone = fs::remove_file(&self.path);
    }
}

/// Where the claim of `dir` stands.
fn folder(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !dir.is_dir() => or_here(parent),
        Some(_) | None => dir.to_owned(),
    }
}

/// What the claim of `dir` is called: short, however long the name of `dir` is.
fn name(dir: &Path) -> String {
    if dir.is_dir() {
        return ".tollgate-claim".to_owned();
    }
    let mut hasher = DefaultHasher::new();
    dir.file_name().hash(&mut hasher);
    format!(".tollgate-claim-{:016x}", hasher.finish())
}

/// Locks the file `path`, which is made if need be; none if it was removed by whoever had it before.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
        // Where nothing can be locked, the set still arrives as a whole or not at all.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(Some(file)),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // What has just been locked may no longer be what the path leads to.
    let mark = std::process::id().to_string();
    file.set_len(0)?;
    file.write_all(mark.as_bytes())?;
    let is_ours = fs::read_to_string(path).is_ok_and(|found| found == mark);
    Ok(is_ours.then_some(file))
}

/// Directories that are removed again where they stay empty.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes `dir` and whatever is missing above it.
    fn new(dir: &Path) -> Result<Made, Error> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|path| !or_here(path).exists()).collect();
        let mut made = Made::default();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(dir) {
                Ok(()) => made.0.push(dir.to_owned()),
                // Somebody else was faster.
                Err(_) if dir.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // One that is not empty holds the result set, or somebody's files.
            let _kept = fs::remove_dir(dir);
        }
    }
}

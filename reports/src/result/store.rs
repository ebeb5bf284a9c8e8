//! Puts files into a directory, all of them or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Metric, WriteError};

/// One file of a result set: its name and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The name, without any directory.
    pub name: String,
    /// The content.
    pub bytes: Vec<u8>,
}

impl File {
    /// Names some bytes.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> File {
        File {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

const DATA: [&str; 8] = [
    "summary.json",
    "summary.csv",
    "series.csv",
    "endpoints.csv",
    "endpoint_series.csv",
    "tenants.csv",
    "requests.csv",
    "report.html",
];

/// The stems of the figures a result set may hold, each as `.svg` and `.png`.
pub(crate) const FIGURES: [&str; 6] = [
    "latency-e2e",
    "latency-ttft",
    "timeline",
    "refusals",
    "endpoints",
    "recovery",
];

/// Whether a file of that name belongs to a result set.
///
/// ```
/// use tollgate_reports::result::is_ours;
///
/// assert!(is_ours("peak-ewma.e2e.hgrm"));
/// assert!(!is_ours("notes.md"));
/// ```
#[must_use]
pub fn is_ours(name: &str) -> bool {
    if DATA.contains(&name) {
        return true;
    }
    match name.rsplit_once('.') {
        Some((stem, "svg" | "png")) => FIGURES.contains(&stem),
        Some((stem, "hgrm")) => stem
            .rsplit_once('.')
            .is_some_and(|(_, metric)| Metric::ALL.iter().any(|known| known.name() == metric)),
        Some(_) | None => false,
    }
}

/// What belongs together in a directory: files of certain names, and one by which they are known.
pub(crate) struct Shape {
    /// The file by which a directory is known to hold such files.
    pub(crate) mark: &'static str,
    /// Whether a file of that name belongs to them.
    pub(crate) has: fn(&str) -> bool,
    /// Whether the content of the mark, which is JSON, is one.
    pub(crate) is_mark: fn(&serde_json::Value) -> bool,
}

/// The files of a result set.
const RESULT_SET: Shape = Shape {
    mark: "summary.json",
    has: is_ours,
    is_mark: |value| value.get("tollgate").is_some() && value.get("strategies").is_some(),
};

/// Which files of a directory stay as they are, beside those that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only those that belong to no result set: what an earlier set left behind is removed.
    Foreign,
    /// All of them.
    All,
}

/// Writes `files` into `dir` and returns their paths, sorted: all of them, or none and nothing has changed.
///
/// A new directory is filled under another name and renamed. In an existing one, files of an earlier result set are
/// replaced or, unless told to keep all, removed; every other file stays.
///
/// # Errors
///
/// When `dir` cannot be written, or when it holds no result set and yet a file of one of these names.
pub fn store(dir: &Path, files: &[File], keep: Keep) -> Result<Vec<PathBuf>, WriteError> {
    store_kept(&RESULT_SET, dir, files, keep)
}

/// As [`store`], for files of another shape.
pub(crate) fn store_as(shape: &Shape, dir: &Path, files: &[File]) -> Result<Vec<PathBuf>, WriteError> {
    store_kept(shape, dir, files, Keep::Foreign)
}

fn store_kept(shape: &Shape, dir: &Path, files: &[File], keep: Keep) -> Result<Vec<PathBuf>, WriteError> {
    let mut paths: Vec<PathBuf> = files.iter().map(|file| dir.join(&file.name)).collect();
    paths.sort();

    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => replace(shape, dir, files, keep)?,
        Ok(_) => {
            let source = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(WriteError::Io {
                doing: "write into",
                path: dir.to_owned(),
                source,
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(dir, files)?,
        Err(source) => {
            return Err(WriteError::Io {
                doing: "look at",
                path: dir.to_owned(),
                source,
            });
        }
    }
    Ok(paths)
}

/// Whether a result set can go into `dir` as far as what is there already goes, so that hours of work are not lost to it.
///
/// # Errors
///
/// When `dir` holds no result set and yet a file of one of its names, or cannot be read.
pub fn check_free(dir: &Path) -> Result<(), WriteError> {
    RESULT_SET.check_free(dir)
}

impl Shape {
    /// Whether files of this shape can go into `dir` as far as what is there already goes.
    pub(crate) fn check_free(&self, dir: &Path) -> Result<(), WriteError> {
        if !dir.is_dir() {
            return Ok(());
        }
        let old = self.files_in(dir)?;
        match old.first() {
            Some(name) if !self.is_known_by(&old) => Err(WriteError::Foreign { path: dir.join(name) }),
            Some(_) | None => Ok(()),
        }
    }

    fn is_known_by(&self, names: &[String]) -> bool {
        names.iter().any(|name| name == self.mark)
    }

    /// The names of the files of this shape in `dir`, sorted. A mark of somebody else does not count as one.
    fn files_in(&self, dir: &Path) -> Result<Vec<String>, WriteError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(at("read", dir))? {
            let entry = entry.map_err(at("read", dir))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if (self.has)(&name) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    return Err(WriteError::Foreign { path: entry.path() });
                }
                names.push(name);
            }
        }
        names.sort();

        let mark = dir.join(self.mark);
        if self.is_known_by(&names) && !self.is_marked(&mark) {
            return Err(WriteError::Foreign { path: mark });
        }
        Ok(names)
    }

    fn is_marked(&self, path: &Path) -> bool {
        let Ok(text) = fs::read_to_string(path) else {
            return false;
        };
        serde_json::from_str::<serde_json::Value>(&text).is_ok_and(|value| (self.is_mark)(&value))
    }
}

/// Fills a new directory beside its place and renames it.
fn create(dir: &Path, files: &[File]) -> Result<(), WriteError> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(at("create", parent))?;

    let staging = Staging::new(parent)?;
    staging.fill(files)?;
    fs::rename(&staging.path, dir).map_err(at("create", dir))?;
    Ok(())
}

/// Replaces the files of a result set in a directory that exists.
fn replace(shape: &Shape, dir: &Path, files: &[File], keep: Keep) -> Result<(), WriteError> {
    let mut old = shape.files_in(dir)?;
    let is_known = shape.is_known_by(&old);
    let in_the_way = old.iter().find(|name| files.iter().any(|file| file.name == **name));
    if let (false, Some(name)) = (is_known, in_the_way) {
        return Err(WriteError::Foreign { path: dir.join(name) });
    }

    if keep == Keep::All {
        old.retain(|name| files.iter().any(|file| file.name == *name));
    }

    let staging = Staging::new(dir)?;
    let aside = staging.path.join("old");
    fs::create_dir(&aside).map_err(at("create", &aside))?;
    staging.fill(files)?;

    let mut moves: Vec<(PathBuf, PathBuf)> = old.iter().map(|name| (dir.join(name), aside.join(name))).collect();
    moves.extend(
        files
            .iter()
            .map(|file| (staging.path.join(&file.name), dir.join(&file.name))),
    );
    for (i, (from, to)) in moves.iter().enumerate() {
        if let Err(source) = fs::rename(from, to) {
            for (from, to) in moves[..i].iter().rev() {
                // Nothing better can be done when undoing fails as well; the first error is the one to tell.
                let _ = fs::rename(to, from);
            }
            return Err(WriteError::Io {
                doing: "replace",
                path: to.clone(),
                source,
            });
        }
    }
    Ok(())
}

/// A directory that is removed again unless it was renamed away.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn new(parent: &Path) -> Result<Staging, WriteError> {
        let path = parent.join(format!(".tollgate-partial-{}", std::process::id()));
        if path.exists() {
            // Left by a process of the same number that was killed.
            fs::remove_dir_all(&path).map_err(at("remove", &path))?;
        }
        fs::create_dir(&path).map_err(at("create", &path))?;
        Ok(Staging { path })
    }

    fn fill(&self, files: &[File]) -> Result<(), WriteError> {
        for file in files {
            let path = self.path.join(&file.name);
            fs::write(&path, &file.bytes).map_err(at("write", &path))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Gone already if it was renamed; and a leftover must not turn an error into a panic.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io { doing, path, source }
}

//! What can go wrong with a result set on its way to and from disk: place, cause, and a way out.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a result set was not written. Nothing has changed on disk then.
#[derive(Debug)]
#[non_exhaustive]
pub enum WriteError {
    /// The file system said no.
    Io {
        /// What was being done, such as `create`.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file that is not ours has the name of one of ours.
    Foreign {
        /// The file in the way.
        path: PathBuf,
    },
    /// A number that must be defined is not.
    Undefined {
        /// The file it was meant for.
        file: String,
        /// Which number, as far as known.
        cause: String,
    },
    /// A figure could not be drawn.
    Figure {
        /// The figure's file name.
        file: String,
        /// What the drawing library said.
        cause: String,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}; {}", path.display(), remedy(source))
            }
            WriteError::Foreign { path } => write!(
                f,
                "{} is in the way: it has the name of a result file, but its directory holds no result set; move it \
                 away or name another directory with --out",
                path.display()
            ),
            WriteError::Undefined { file, cause } => write!(
                f,
                "cannot write {file}: {cause}; this is a bug in what computed it, please report it with the scenario"
            ),
            WriteError::Figure { file, cause } => write!(
                f,
                "cannot draw {file}: {cause}; this is a bug, please report it with the scenario"
            ),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Io { source, .. } => Some(source),
            WriteError::Foreign { .. } | WriteError::Undefined { .. } | WriteError::Figure { .. } => None,
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind;

    let is_one_of = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
    if is_one_of(&[ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem]) {
        "make it writable or name another directory with --out"
    } else if is_one_of(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        "free some space or name a directory on another disk with --out"
    } else if is_one_of(&[ErrorKind::NotADirectory, ErrorKind::AlreadyExists]) {
        "a file stands where a directory is needed: move it away or name another directory with --out"
    } else {
        "nothing was changed; try again or name another directory with --out"
    }
}

/// Why a result set was not read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The directory holds no `summary.json`.
    NotAResultSet {
        /// The directory.
        dir: PathBuf,
    },
    /// The file system said no.
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, when known.
        line: Option<u64>,
        /// What is wrong with it.
        cause: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotAResultSet { dir } => write!(
                f,
                "{} holds no result set (no summary.json); name the directory that `tollgate simulate --out` wrote",
                dir.display()
            ),
            ReadError::Io { path, source } => {
                write!(
                    f,
                    "cannot read {}: {source}; check that it exists and is readable",
                    path.display()
                )
            }
            ReadError::Malformed { path, line, cause } => {
                write!(f, "{}", path.display())?;
                if let Some(line) = line {
                    write!(f, ":{line}")?;
                }
                write!(f, ": {cause}; run `tollgate simulate` again to replace the result set")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReadError::Io { source, .. } => Some(source),
            ReadError::NotAResultSet { .. } | ReadError::Malformed { .. } => None,
        }
    }
}

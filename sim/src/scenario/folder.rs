//! Where the files are that a scenario names.

use std::fmt;
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use tollgate_core::file::MOST_BYTES;

/// Where the files are that a scenario names: beside it, or embedded in the program.
#[derive(Clone, Copy)]
pub struct Folder<'a> {
    path: Option<&'a Path>,
    shipped: &'a dyn Fn(&str) -> Option<&'static str>,
}

impl<'a> Folder<'a> {
    /// The files below `path`, then those that `shipped` gives by the same name.
    #[must_use]
    pub fn new(path: &'a Path, shipped: &'a dyn Fn(&str) -> Option<&'static str>) -> Folder<'a> {
        Folder {
            path: Some(path),
            shipped,
        }
    }

    /// Those that `shipped` gives, and no others: for a scenario that is embedded itself.
    #[must_use]
    pub fn shipped(shipped: &'a dyn Fn(&str) -> Option<&'static str>) -> Folder<'a> {
        Folder { path: None, shipped }
    }

    /// No files.
    #[must_use]
    pub fn nowhere() -> Folder<'static> {
        Folder::shipped(&|_| None)
    }

    /// What the file called `name` says.
    ///
    /// # Errors
    ///
    /// If there is none, it is larger than [`MOST_BYTES`], or it is no text.
    pub fn text(&self, name: &str) -> Result<String, Error> {
        if let Some(path) = self.file(name) {
            if u64::try_from(MOST_BYTES).is_ok_and(|most| fs::metadata(&path).is_ok_and(|meta| most < meta.len())) {
                return Err(Error::new(
                    ErrorKind::FileTooLarge,
                    format!("more than {MOST_BYTES} bytes"),
                ));
            }
            return fs::read_to_string(&path);
        }
        let shipped = (self.shipped)(name).map(str::to_owned);
        shipped.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such file, and none is shipped under this name"))
    }

    /// The file called `name`, if there is one outside the program.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.path.map(|path| path.join(name)).filter(|path| path.is_file())
    }
}

impl fmt::Debug for Folder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

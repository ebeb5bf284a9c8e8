//! Counts the instructions of the hot paths and holds them against `bench/instructions.txt`.
//!
//! Ends with status 1 if one costs a twentieth more; `--rewrite` writes the table anew. Where they cannot be counted it
//! says so, and ends well unless `TOLLGATE_NO_SKIP` is set.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use tollgate_bench::instructions;

/// What the program says to itself, under valgrind.
const COUNTED: &str = "--counted";

fn main() -> io::Result<ExitCode> {
    let word = env::args().nth(1);
    if word.as_deref() == Some(COUNTED) {
        instructions::run();
        return Ok(ExitCode::SUCCESS);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let counted = match count() {
        Ok(counted) => counted,
        Err(why) => return skip(&why),
    };
    let (mut out, table) = (io::stdout().lock(), instructions::table(&counted));
    write!(out, "{table}")?;
    if word.as_deref() == Some("--rewrite") {
        fs::write(&file, table)?;
        return Ok(ExitCode::SUCCESS);
    }
    match instructions::compare(&fs::read_to_string(&file)?, &counted) {
        Ok((said, has_failed)) => {
            write!(out, "{said}")?;
            Ok(if has_failed {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
        Err(why) => Err(io::Error::other(format!("{}: {why}", file.display()))),
    }
}

fn count() -> Result<Vec<(String, f64)>, String> {
    if !cfg!(target_arch = "x86_64") || cfg!(debug_assertions) {
        return Err("the table is of an optimized build for x86-64".to_owned());
    }
    let program = env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let scratch = scratch(&program).map_err(|error| format!("no place to count in: {error}"))?;
    let mut child = Command::new(program);
    child.arg(COUNTED);
    instructions::count(&child, &scratch)
}

/// An empty folder beside the program.
fn scratch(program: &Path) -> io::Result<PathBuf> {
    let folder = program.with_extension("counted");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => fs::create_dir_all(&folder)?,
    }
    Ok(folder)
}

fn skip(why: &str) -> io::Result<ExitCode> {
    let is_needed = env::var_os("TOLLGATE_NO_SKIP").is_some();
    writeln!(io::stderr(), "skipped: instructions are not counted: {why}")?;
    Ok(if is_needed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

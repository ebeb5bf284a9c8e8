//! `tollgate key`: keys for tenants. A key is shown once; a policy has its hash.

use std::fmt::Write as _;

use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use tollgate_core::policy::file;

use crate::args::NewKey;
use crate::error::Failure;
use crate::term;

/// `tollgate key new`.
pub(crate) fn new(args: &NewKey) -> Result<(), Failure> {
    let mut secret = [0; 32];
    SysRng
        .try_fill_bytes(&mut secret)
        .map_err(|error| Failure::failed(format!("the operating system has no randomness: {error}")))?;
    let key = format!("tg-{}", hex(&secret));
    let entry = entry(args, &key);
    check(&entry)?;
    term::print(&format!("{key}\n\n{entry}"))?;
    term::tell(
        "The first line is the key: give it to the tenant, it is shown this once. The rest goes into the policy: what it \
         has is a hash, from which nobody finds the key.",
    );
    Ok(())
}

/// What a policy says of the tenant.
fn entry(args: &NewKey, key: &str) -> String {
    let hash = hex(&Sha256::digest(key.as_bytes()));
    let name = quoted(&args.tenant);
    let mut entry = format!("[[tenant]]\nname = {name}\nkey_hashes = [\"sha256:{hash}\"]\n");
    for (word, value) in [
        ("role", &args.role),
        ("region", &args.region),
        ("priority", &args.priority),
    ] {
        if let Some(value) = value {
            // A string takes everything.
            let _never = writeln!(entry, "{word} = {}", quoted(value));
        }
    }
    entry
}

/// Whether a policy with this entry would be accepted.
fn check(entry: &str) -> Result<(), Failure> {
    const REST: &str = "[[pool]]\nname = \"pool\"\n[[pool.endpoint]]\nname = \"endpoint\"\n[[route]]\nname = \"route\"\n\
        pools = [\"pool\"]\n";
    match file::read("the entry", &format!("{entry}{REST}")) {
        Ok(_) => Ok(()),
        Err(problems) => Err(Failure::Wrong(problems.render(term::is_styled()))),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A string takes everything.
        let _never = write!(hex, "{byte:02x}");
    }
    hex
}

/// `text` as a string of TOML.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        '"' | '\\' => format!("\\{char}"),
        char if char.is_control() => format!("\\u{:04x}", u32::from(char)),
        char => char.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

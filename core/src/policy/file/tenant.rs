//! `[[tenant]]`

use core::num::NonZeroU32;

use super::raw;
use crate::file::kind::Wrong;
use crate::file::{At, Section, Value, kind};
use crate::policy::{Priority, Tenant, Weight};

pub(super) fn read(section: &Section<'_>) -> raw::Tenant {
    let name = named(section);
    let hashes = section.list("key_hashes", super::WORDS, key_hash).unwrap_or_default();
    raw::Tenant {
        name: name.span,
        key_hashes: hashes.iter().map(|hash| hash.span).collect(),
        checked: Tenant {
            name: name.value,
            key_hashes: hashes.into_iter().map(|hash| hash.value).collect(),
            role: section.or("role", kind::text, alloc::string::String::new()),
            region: section.or("region", kind::text, alloc::string::String::new()),
            priority: section.or("priority", kind::one_of(&Priority::NAMES, &[]), Priority::Normal),
            weight: section.or("weight", share, Weight::ONE),
        },
    }
}

/// The name of `section`; empty, after an error, if it has none.
pub(super) fn named(section: &Section<'_>) -> At<alloc::string::String> {
    section.required("name", kind::name).unwrap_or(At {
        value: alloc::string::String::new(),
        span: section.span(),
    })
}

/// A share in fair queues, to the nearest thousandth.
fn share(value: &Value<'_>) -> Result<Weight, Wrong> {
    let number = kind::number(value).ok().filter(|number| (0.001..=1e6).contains(number));
    let number = number.ok_or_else(|| Wrong::expected("a number from 0.001 to 1000000"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to 1e9, by the filter"
    )]
    let thousandths = (number * 1e3 + 0.5) as u32;
    Ok(NonZeroU32::new(thousandths).map_or(Weight::ONE, Weight::from_thousandths))
}

/// Why a value that is right in a later release is wrong in this one.
pub(super) fn later(what: &str, help: &str) -> Wrong {
    Wrong::said(alloc::format!("{what} is not built yet"), "not built yet").help(help)
}

fn key_hash(value: &Value<'_>) -> Result<[u8; 32], Wrong> {
    let wrong = || {
        let wrong = Wrong::expected("\"sha256:\" and 64 hexadecimal digits");
        wrong.help("`tollgate key new` prints a key once, and its hash for this file")
    };
    let text = kind::text(value).map_err(|_| wrong())?;
    let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

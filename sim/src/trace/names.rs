//! Names that repeat, as small numbers.

use std::collections::HashMap;

/// Distinct names in the order of their first use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Box<[u8]>, u32>,
    list: Vec<String>,
}

/// Why a name has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    NotUtf8,
    TooMany,
}

/// What an empty name is called.
const ANONYMOUS: &str = "anonymous";

impl Names {
    /// The number of `name`, a new one if there are fewer than `most`.
    pub(crate) fn number(&mut self, name: &[u8], most: usize) -> Result<u32, Unnamed> {
        let name = match name.trim_ascii() {
            [] => ANONYMOUS.as_bytes(),
            name => name,
        };
        match self.numbers.get(name) {
            Some(number) => Ok(*number),
            None => self.add(name, most),
        }
    }

    fn add(&mut self, name: &[u8], most: usize) -> Result<u32, Unnamed> {
        let text = std::str::from_utf8(name).map_err(|_| Unnamed::NotUtf8)?;
        if most <= self.list.len() {
            return Err(Unnamed::TooMany);
        }
        let number = u32::try_from(self.list.len()).map_err(|_| Unnamed::TooMany)?;
        self.list.push(text.to_owned());
        self.numbers.insert(name.into(), number);
        Ok(number)
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.list
    }

    pub(crate) fn into_list(self) -> Vec<String> {
        self.list
    }
}

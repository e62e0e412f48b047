//! The name of the table: checked once, so that it can stand in every statement.

use std::fmt;

use jam_core::{Error, ErrorKind, Result};

/// A table's name that may stand in a statement, quoted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    pub(crate) const DEFAULT: &'static str = "jam_sessions";
    /// Where the store notes which tables are jam's, and of which version.
    pub(crate) const SCHEMA: &'static str = "jam_schema";
    const MAX_LEN: usize = 64;

    /// # Errors
    /// `Config` if it is no plain identifier, or one that SQLite or the store keeps for itself.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        let lower = name.to_ascii_lowercase();
        let kept = lower.starts_with("sqlite_") || lower == Self::SCHEMA;
        if !plain || !begins_well || kept || name.len() > Self::MAX_LEN {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the table's name must be 1 to {} ASCII letters, digits or `_`, not begin with a digit or `sqlite_`, \
                     and not be `{}`; the default is `{}`",
                    Self::MAX_LEN,
                    Self::SCHEMA,
                    Self::DEFAULT
                ),
            ));
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of something that belongs to the table.
    pub(crate) fn belonging(&self, what: &str) -> String {
        format!("{}_{what}", self.0)
    }
}

/// Quoted.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_anything_but_a_table_is_refused() {
        let long = "x".repeat(65);
        for name in [
            "",
            "1st",
            "a b",
            "a\"b",
            "a;drop",
            "ä",
            "sqlite_x",
            "SQLite_x",
            "Jam_Schema",
            &long,
        ] {
            let error = TableName::new(name).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::Config), "{name}");
        }
        for name in ["jam_sessions", "_", "select", "S2"] {
            assert!(TableName::new(name).is_ok(), "{name}");
        }
    }
}

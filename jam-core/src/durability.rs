//! What an acknowledged write survives, in the words of every store that keeps files.

use crate::Finding;

/// What an acknowledged write survives, for stores that leave the choice. [`Durability::Sync`] by default. A level that a
/// store does not know is to be taken for that one, the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// A power cut: every write is synced to the device before it is acknowledged; writes that wait together may share
    /// one sync. The default, since a session that comes back after logout is worse than a slow logout.
    #[default]
    Sync,
    /// A crash of the process, not of the machine: every write has reached the operating system before it is
    /// acknowledged. After a power cut the last writes may be missing.
    Os,
}

impl Durability {
    /// The words for it in a config: `durability = "sync" | "os"`.
    pub const WORDS: [&'static str; 2] = ["sync", "os"];

    /// From one of [`WORDS`](Self::WORDS).
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "sync" => Some(Self::Sync),
            "os" => Some(Self::Os),
            _ => None,
        }
    }

    /// What a [diagnosis](crate::StoreFactory::diagnose) says of it.
    pub fn finding(self) -> Finding {
        match self {
            Self::Sync => Finding::fine("durability", "an acknowledged write survives a power cut (`sync`)"),
            Self::Os => Finding::warning(
                "durability",
                "a power cut may undo the last writes, logouts among them (`os`)",
                "set `durability = \"sync\"`, unless that is meant",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_config_means_a_level_and_the_default_is_the_strictest() {
        let levels = Durability::WORDS.map(Durability::from_word);
        assert_eq!(levels, [Some(Durability::Sync), Some(Durability::Os)]);
        assert_eq!(Durability::from_word("fsync"), None);
        assert_eq!(Durability::default(), Durability::Sync);
    }
}

//! What an acknowledged write survives.

use jam_core::Finding;

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// A power cut: every write is synced to the device before it is acknowledged. The default, since a session that
    /// comes back after logout is worse than a slow logout.
    #[default]
    Sync,
    /// A crash of the process, not of the machine: every write has reached the operating system before it is
    /// acknowledged.
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

    pub(crate) fn finding(self) -> Finding {
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

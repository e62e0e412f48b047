//! In whose form the sessions lie on the server.

/// How sessions are laid out on the server. Either way they are hashes, named `<session path>:<session key>`, with a
/// field per session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// jam's own: on every server.
    #[default]
    Jam,
    /// As Python's jamlib has it, to share the server with it: the values are what jamlib reads and writes. A server
    /// without expiry of hash fields (before Redis 7.4 and Valkey 9) keeps such sessions only without a ttl; with one,
    /// writes are [`Unsupported`](jam_core::ErrorKind::Unsupported) there.
    Jamlib,
}

impl Layout {
    pub(crate) const WORDS: [&'static str; 2] = ["jam", "jamlib"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "jam" => Some(Self::Jam),
            "jamlib" => Some(Self::Jamlib),
            _ => None,
        }
    }
}

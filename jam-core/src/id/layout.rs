//! Whose form ids and records have.

/// Whose form ids and records have: jam's own, or that of Python's jamlib for services that share its storage.
///
/// The manager's codec and sealer make the difference; a store whose own form differs too learns of it from
/// [`StoreConfig::layout`](crate::StoreConfig::layout).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// jam's own.
    #[default]
    Jam,
    /// That of jamlib: [`PlainIds`](crate::PlainIds), or `FernetIds` and `FernetSealer` of jam-crypto.
    Jamlib,
}

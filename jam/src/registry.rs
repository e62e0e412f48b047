//! The backends this build knows by name.

use jam_core::Registry;

/// A registry with every backend whose feature is on, to open by name and to add your own to:
///
/// | name | backend | feature |
/// |---|---|---|
/// | `memory` | in this process | |
/// | `json` | one JSON file and its journal | `json` |
/// | `json-dir`, `file` | one file per session | `json` |
/// | `sqlite` | a SQLite database | `sqlite` |
/// | `redis`, `valkey`, `unix`, `redis+sentinel`, `redis+cluster` | Redis or Valkey | `redis` |
/// | `rediss`, `rediss+sentinel`, `rediss+cluster` | the same over TLS | `redis-tls` |
pub fn registry() -> Registry {
    #[cfg_attr(
        not(any(feature = "json", feature = "sqlite", feature = "redis")),
        expect(unused_mut, reason = "no backend is on")
    )]
    let mut registry = Registry::new();
    #[cfg(feature = "json")]
    registry
        .register(jam_json::JsonFileFactory)
        .register(jam_json::JsonDirFactory);
    #[cfg(feature = "redis")]
    registry.register(jam_redis::RedisFactory);
    #[cfg(feature = "sqlite")]
    registry.register(jam_sqlite::SqliteFactory);
    registry
}

//! The fields of the cache around a store of any kind.

use std::sync::Arc;
use std::time::Duration;

use jam_core::{Clock, Result, SessionStore, StoreConfig};

/// What is kept near, and for how long; nothing by default.
#[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "refused without the feature"))]
pub(super) struct Cache {
    staleness: Option<Duration>,
    sessions: u64,
}

impl Cache {
    const SESSIONS: u64 = 10_000;

    pub(super) fn take(config: &mut StoreConfig) -> Result<Self> {
        let staleness = config.seconds("cache_staleness")?;
        let sessions = config.integer("cache_sessions", 1..=1 << 40)?;
        if staleness.is_none() && sessions.is_some() {
            return Err(config.invalid("cache_sessions", "left out, unless `cache_staleness` is set"));
        }
        if staleness.is_some() {
            if !cfg!(feature = "cache") {
                return Err(config.invalid("cache_staleness", "left out, or jam built with the feature `cache`"));
            }
            // What others write would show after both bounds, one behind the other.
            if config.peek("near_cache").is_some() {
                return Err(config.invalid(
                    "cache_staleness",
                    "left out where `near_cache` is set: one cache is enough",
                ));
            }
        }
        Ok(Self {
            staleness,
            sessions: sessions.unwrap_or(Self::SESSIONS),
        })
    }

    /// The store, with the cache around it if there is to be one.
    #[cfg(feature = "cache")]
    pub(super) fn around(&self, store: Arc<dyn SessionStore>, clock: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
        let Some(staleness) = self.staleness else { return store };
        let cached = jam_core::cache::CachingStore::with_clock(store, staleness, self.sessions, Arc::clone(clock));
        Arc::new(cached)
    }

    #[cfg(not(feature = "cache"))]
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn around(&self, store: Arc<dyn SessionStore>, _: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
        store
    }
}

//! A store on a server, whose clock no test can turn: the ends of its sessions are moved instead.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jam::{
    Clock, Cursor, Ends, Entry, Load, Page, Record, RecordId, Rename, Renewal, Result, SessionKey, SessionStore,
    Stored, SystemClock, Timestamp, Version,
};
use tokio::sync::{RwLock, RwLockReadGuard};

/// Lets a store that goes by its server's clock go by one that is turned. Times are translated between the two; once the
/// clock has been turned, every end of a session on the server is moved as far the other way, which is all that a session
/// feels of time. It is the server that judges what has expired.
pub struct Turned {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    /// Held while a call is under way, and alone while ends are moved.
    clocks: RwLock<Clocks>,
}

/// What both clocks showed at one moment.
#[derive(Clone, Copy)]
struct Clocks {
    turned: Timestamp,
    server: Timestamp,
}

impl Clocks {
    fn read(clock: &dyn Clock) -> Self {
        Self {
            turned: clock.now(),
            // Two milliseconds ago, so that what ends at this very moment has ended for every server.
            server: Timestamp::from_millis(SystemClock.now().as_millis() - 2),
        }
    }

    fn on_server(self, at: Timestamp) -> Timestamp {
        let millis = (at.as_millis() + self.server.as_millis()).saturating_sub(self.turned.as_millis());
        // Not the moment zero, which some servers take for none.
        Timestamp::from_millis(millis.max(1))
    }

    fn on_turned(self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis((at.as_millis() + self.turned.as_millis()).saturating_sub(self.server.as_millis()))
    }

    fn record(self, record: &Record) -> Record {
        Record::new(record.payload.clone(), record.expires_at.map(|at| self.on_server(at)))
    }

    fn ends(self, ends: Ends) -> Ends {
        match ends {
            // The clock that is turned is the store's own here.
            Ends::At(at) | Ends::OnServer { at, .. } => Ends::At(self.on_turned(at)),
            other => other,
        }
    }

    fn entries(self, mut entries: Vec<Entry>) -> Vec<Entry> {
        for entry in &mut entries {
            entry.expires_at = entry.expires_at.map(|at| self.on_turned(at));
            entry.stored.ends = self.ends(entry.stored.ends);
        }
        entries
    }
}

impl Turned {
    /// Ties a store to a clock. The server's clock has to be this machine's.
    pub fn new(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        let clocks = RwLock::new(Clocks::read(&*clock));
        Self { store, clock, clocks }
    }

    /// The same clocks over another store of the same sessions, such as one that was opened anew.
    pub async fn over(&self, store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            clock: Arc::clone(&self.clock),
            clocks: RwLock::new(*self.clocks.read().await),
        }
    }

    async fn clocks(&self) -> Result<RwLockReadGuard<'_, Clocks>> {
        let clocks = self.clocks.read().await;
        if clocks.turned == self.clock.now() {
            return Ok(clocks);
        }
        drop(clocks);
        let mut clocks = self.clocks.write().await;
        let now = Clocks::read(&*self.clock);
        if clocks.turned != now.turned {
            self.move_ends(*clocks, now).await?;
            *clocks = now;
        }
        Ok(clocks.downgrade())
    }

    async fn move_ends(&self, before: Clocks, now: Clocks) -> Result<()> {
        let mut entries = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.store.scan(cursor, 1_000).await?;
            entries.extend(page.entries);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        for Entry {
            id, stored, expires_at, ..
        } in entries
        {
            let Some(at) = expires_at else { continue };
            let at = now.on_server(before.on_turned(at));
            match self
                .store
                .replace(&id, None, &Record::new(stored.payload, Some(at)))
                .await
            {
                // It ended by itself, or was given twice and has ended now.
                Err(error) if error.kind() == jam::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl SessionStore for Turned {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    async fn insert(&self, id: &RecordId, record: &Record) -> Result<()> {
        let clocks = self.clocks().await?;
        self.store.insert(id, &clocks.record(record)).await
    }

    async fn load(&self, id: &RecordId, mut how: Load) -> Result<Option<Stored>> {
        let clocks = self.clocks().await?;
        let renewal =
            |renewal: Renewal| Renewal::new(clocks.on_server(renewal.to), clocks.on_server(renewal.when_before));
        how.renew = how.renew.map(renewal);
        let loaded = self.store.load(id, how).await?;
        Ok(loaded.map(|mut stored| {
            stored.ends = clocks.ends(stored.ends);
            stored
        }))
    }

    async fn replace(&self, id: &RecordId, expected: Option<&Version>, record: &Record) -> Result<()> {
        let clocks = self.clocks().await?;
        self.store.replace(id, expected, &clocks.record(record)).await
    }

    async fn touch(&self, id: &RecordId, expires_at: Timestamp) -> Result<bool> {
        let clocks = self.clocks().await?;
        self.store.touch(id, clocks.on_server(expires_at)).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<()> {
        let clocks = self.clocks().await?;
        let record = clocks.record(rename.record);
        let rename = Rename::new(rename.from, rename.expected, rename.to, &record);
        self.store.rename(rename).await
    }

    async fn remove(&self, id: &RecordId) -> Result<bool> {
        let _clocks = self.clocks().await?;
        self.store.remove(id).await
    }

    async fn list(&self, key: &SessionKey) -> Result<Vec<Entry>> {
        let clocks = self.clocks().await?;
        Ok(clocks.entries(self.store.list(key).await?))
    }

    async fn clear(&self, key: &SessionKey) -> Result<u64> {
        let _clocks = self.clocks().await?;
        self.store.clear(key).await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        let clocks = self.clocks().await?;
        self.store.remove_expired(clocks.on_server(now)).await
    }

    async fn scan(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let clocks = self.clocks().await?;
        let page = self.store.scan(cursor, limit).await?;
        Ok(Page::new(clocks.entries(page.entries), page.next))
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

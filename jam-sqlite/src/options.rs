//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_core::{Clock, Result, SystemClock};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};

use crate::Durability;
use crate::files::{self, Settings};
use crate::lane::Lane;
use crate::patience::breathe;
use crate::schema::{self, Manner, Owner};
use crate::space::Space;
use crate::statements::Statements;
use crate::store::{SqliteStore, Tasks};
use crate::table::TableName;
use crate::transaction::Pen;
use crate::trouble;

/// How a [`SqliteStore`] is opened. [`SqliteStore::options`] begins it.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open`"]
pub struct SqliteOptions {
    place: Place,
    table: String,
    durability: Durability,
    clock: Arc<dyn Clock>,
    busy_timeout: Duration,
    page_cache: usize,
    readers: usize,
    must_exist: bool,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Memory,
    Pool(SqlitePool),
}

impl SqliteOptions {
    /// The most connections that may read.
    pub const MAX_READERS: usize = 16;

    pub(crate) fn file(path: PathBuf) -> Self {
        Self::new(Place::File(path))
    }

    /// For a database in the memory of this process, which is gone once the store is closed or dropped.
    pub fn in_memory() -> Self {
        Self::new(Place::Memory)
    }

    /// For a table in the application's own database. See [`SqliteStore::from_pool`].
    pub fn from_pool(pool: SqlitePool) -> Self {
        Self::new(Place::Pool(pool))
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            table: TableName::DEFAULT.to_owned(),
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
            busy_timeout: Duration::from_secs(10),
            page_cache: 64 * 1024 * 1024,
            readers: 2,
            must_exist: false,
        }
    }

    /// The table that holds the sessions: 1 to 64 ASCII letters, digits and `_`; `jam_sessions` by default. Several
    /// stores may share a file, each with a table of its own.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// What an acknowledged write survives: with [`Durability::Sync`], the default, every commit is synced to the device
    /// before it is acknowledged (`synchronous = FULL`); with [`Durability::Os`] it has reached the operating system
    /// (`synchronous = NORMAL`), and after a power cut the last commits may be missing, in a sound database. In a database of the application's this is
    /// for the application to say, in the options of its pool, and is not looked at.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The clock that expiry is judged by; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long a call waits while another process or connection keeps the database locked, before it is
    /// [`Unavailable`](jam_core::ErrorKind::Unavailable); 10 s by default. (With a write-ahead log, reads wait for nobody.) It
    /// counts from the call, through every lock that those before it wait for, and not while they are written. In a database of
    /// the application's the last try may take for as long as a connection of its pool waits by itself.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many bytes of memory each connection may take for pages of the database; 64 MiB by default, of which a database
    /// that is smaller takes no more than its length. Where sessions are many, reads that find their page there save two
    /// system calls. Of a pool's connections this is for the application to say.
    pub fn page_cache(mut self, bytes: usize) -> Self {
        self.page_cache = bytes;
        self
    }

    /// How many connections read, besides the one that writes: 1 to [`MAX_READERS`](Self::MAX_READERS), 2 by default.
    /// Each takes every read that waits and answers them together, so more than there are cores bring nothing. (A
    /// database in memory has one connection for everything.)
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers;
        self
    }

    /// Whether file and table must be there already, for who only wants to look and shall make none by a mistyped name;
    /// false by default.
    pub fn must_exist(mut self, must_exist: bool) -> Self {
        self.must_exist = must_exist;
        self
    }

    /// Opens the store, and makes the file and the tables if there are none yet.
    ///
    /// # Errors
    /// - [`NotFound`](jam_core::ErrorKind::NotFound) if they [must exist](Self::must_exist) and do not. Nothing is changed then.
    /// - [`Config`](jam_core::ErrorKind::Config) if the path cannot be one of a database, the file is none, holds
    ///   somebody else's tables or one of that name that jam did not make, the name is none for a table, the number of
    ///   readers is out of bounds, or there is no tokio runtime. Nothing is changed then.
    /// - [`Unsupported`](jam_core::ErrorKind::Unsupported) if a later jam made the table, or the file system cannot
    ///   carry a write-ahead log.
    /// - [`Corrupt`](jam_core::ErrorKind::Corrupt) if the file is damaged so that it shows at once.
    /// - [`Unavailable`](jam_core::ErrorKind::Unavailable) if the file cannot be made, read or written, or stays locked.
    pub async fn open(self) -> Result<SqliteStore> {
        let table = TableName::new(&self.table)?;
        if !(1..=Self::MAX_READERS).contains(&self.readers) {
            let message = format!("the number of readers must be 1 to {}", Self::MAX_READERS);
            return Err(trouble::config(message));
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(trouble::config("a SQLite store has to be opened on a tokio runtime"));
        }
        let (writer, readers, space, lead) = self.connect(&table).await?;
        Ok(SqliteStore::start(Tasks {
            writer,
            readers,
            space,
            statements: Arc::new(Statements::new(&table)),
            clock: self.clock,
            patience: self.busy_timeout,
            lead,
        }))
    }

    /// The ways for the writer and the readers, with the tables in place, and how much earlier than it comes to be decided
    /// a call may be judged.
    async fn connect(&self, table: &TableName) -> Result<(Lane, Vec<Lane>, Space, Duration)> {
        match &self.place {
            Place::File(path) => {
                let settings = Settings::new(path, self.durability, self.busy_timeout, self.page_cache)?;
                if self.must_exist {
                    settings.find_file()?;
                } else {
                    settings.make_file()?;
                }
                let mut connection = connect(&settings.for_writing()).await?;
                self.prepare(&mut connection, table, Owner::Jam).await?;
                settings.sync_directory()?;
                let readers = (0..self.readers).map(|_| Lane::own(None, Some(settings.for_reading())));
                let readers = readers.collect();
                let writer = Lane::own(Some(connection), Some(settings.for_writing()));
                Ok((writer, readers, settings.space(), Pen::LEAD))
            }
            Place::Memory => {
                let mut connection = connect(&files::in_memory()).await?;
                self.prepare(&mut connection, table, Owner::Memory).await?;
                let lane = Lane::own(Some(connection), None);
                Ok((lane.clone(), vec![lane], Space::unowned(), Pen::LEAD))
            }
            Place::Pool(pool) => {
                let manner = self.look_at(pool, table).await?;
                let lane = Lane::Pool {
                    pool: pool.clone(),
                    in_file: manner.in_file,
                };
                let lead = Pen::LEAD.saturating_add(manner.waits);
                Ok((lane.clone(), vec![lane; self.readers], Space::unowned(), lead))
            }
        }
    }

    /// How the connections of an application's pool are, with the tables in place.
    async fn look_at(&self, pool: &SqlitePool, table: &TableName) -> Result<Manner> {
        // None is closed meanwhile.
        let lane = Lane::Pool {
            pool: pool.clone(),
            in_file: false,
        };
        let since = Instant::now();
        loop {
            let began = Instant::now();
            let prepared = match lane.take().await {
                Ok(mut connection) => {
                    self.prepare(&mut connection, table, Owner::Application).await?;
                    schema::manner(&mut connection).await
                }
                Err(error) => Err(error),
            };
            match prepared {
                Err(error) if trouble::is_busy(&error) && since.elapsed() < self.busy_timeout => breathe(began).await,
                prepared => return prepared.map_err(trouble::opening),
            }
        }
    }

    async fn prepare(&self, connection: &mut SqliteConnection, table: &TableName, owner: Owner) -> Result<()> {
        schema::prepare(connection, table, owner, self.must_exist, self.busy_timeout).await
    }
}

async fn connect(options: &sqlx::sqlite::SqliteConnectOptions) -> Result<SqliteConnection> {
    options.connect().await.map_err(trouble::opening)
}

//! SQLite itself, through rusqlite: a thread that writes what waits in one transaction, and reads where they are asked for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::contestant::{Contestant, Operation};
use crate::{Failure, STORED, Settings, USERS, data};

type Place = (String, String);

struct Write {
    operation: Operation,
    place: Place,
    data: String,
    reply: oneshot::Sender<bool>,
}

pub(crate) struct Rusqlite {
    writer: Sender<Write>,
    path: PathBuf,
    stored: Mutex<Vec<Place>>,
    created: Mutex<Vec<Place>>,
    _directory: TempDir,
}

thread_local! {
    static READER: RefCell<Option<(PathBuf, Connection)>> = const { RefCell::new(None) };
}

impl Rusqlite {
    pub(crate) fn open(directory: TempDir, settings: Settings) -> Result<Self, Failure> {
        let path = directory.path().join("sessions.db");
        let connection = connect(&path, settings)?;
        connection.execute_batch(
            "CREATE TABLE sessions (session_key TEXT NOT NULL, session_id TEXT NOT NULL, data TEXT NOT NULL, \
             expires_at INTEGER, PRIMARY KEY (session_key, session_id)); \
             CREATE INDEX expires_at ON sessions (expires_at) WHERE expires_at IS NOT NULL",
        )?;
        let (writer, inbox) = channel();
        thread::spawn(move || write(connection, &inbox));
        Ok(Self {
            writer,
            path,
            stored: Mutex::default(),
            created: Mutex::default(),
            _directory: directory,
        })
    }

    async fn write(&self, operation: Operation, place: Place, data: String) -> Result<(), Failure> {
        let (reply, done) = oneshot::channel();
        self.writer.send(Write {
            operation,
            place,
            data,
            reply,
        })?;
        if done.await? {
            Ok(())
        } else {
            Err("nothing written".into())
        }
    }

    fn read(&self, place: &Place) -> Result<Option<String>, Failure> {
        READER.with_borrow_mut(|reader| {
            if reader.as_ref().is_none_or(|(path, _)| *path != self.path) {
                *reader = Some((self.path.clone(), connect(&self.path, Settings::Normal)?));
            }
            let Some((_, connection)) = reader else { return Ok(None) };
            let mut find = connection.prepare_cached(
                "SELECT data FROM sessions WHERE session_key = ? AND session_id = ? AND (expires_at IS NULL OR expires_at > ?)",
            )?;
            Ok(find.query_row(params![place.0, place.1, 1_700_000_000_000_i64], |row| row.get(0)).optional()?)
        })
    }

    fn stored(&self, number: usize) -> Place {
        self.stored.lock().unwrap()[number.wrapping_mul(7919) % STORED].clone()
    }
}

fn connect(path: &PathBuf, settings: Settings) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = if settings == Settings::Normal { "NORMAL" } else { "FULL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.set_prepared_statement_cache_capacity(16);
    Ok(connection)
}

/// Takes what waits, up to 256 writes, into one transaction.
fn write(mut connection: Connection, inbox: &Receiver<Write>) {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(inbox.try_iter().take(255)).collect();
        let transaction = connection.transaction().unwrap();
        let mut answers = Vec::with_capacity(batch.len());
        for Write {
            operation,
            place,
            data,
            reply,
        } in batch
        {
            let expires_at = jam_core::Clock::now(&jam_core::SystemClock).as_millis() as i64 + 3_600_000;
            let changed = match operation {
                Operation::Fill | Operation::Create => transaction
                    .prepare_cached("INSERT INTO sessions VALUES (?, ?, ?, ?)")
                    .unwrap()
                    .execute(params![place.0, place.1, data, expires_at]),
                Operation::Update => transaction
                    .prepare_cached(
                        "UPDATE sessions SET data = ?, expires_at = ? WHERE session_key = ? AND session_id = ?",
                    )
                    .unwrap()
                    .execute(params![data, expires_at, place.0, place.1]),
                Operation::Delete | Operation::Get => transaction
                    .prepare_cached("DELETE FROM sessions WHERE session_key = ? AND session_id = ?")
                    .unwrap()
                    .execute(params![place.0, place.1]),
            };
            answers.push((reply, changed == Ok(1)));
        }
        transaction.commit().unwrap();
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
    }
}

#[async_trait]
impl Contestant for Rusqlite {
    fn name(&self) -> &'static str {
        "rusqlite with group commit"
    }

    async fn run(&self, operation: Operation, number: usize) -> Result<(), Failure> {
        match operation {
            Operation::Fill | Operation::Create => {
                let id = jam_core::IdFactory::next_id(&jam_core::UuidV4);
                let place = (
                    format!("user{}", number % USERS),
                    format!("{id}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA"),
                );
                self.write(operation, place.clone(), data().to_string()).await?;
                let kept = if operation == Operation::Fill {
                    &self.stored
                } else {
                    &self.created
                };
                kept.lock().unwrap().push(place);
            }
            Operation::Get => {
                let text = self.read(&self.stored(number))?.ok_or("lost")?;
                serde_json::from_str::<serde_json::Value>(&text)?;
            }
            Operation::Update => self.write(operation, self.stored(number), data().to_string()).await?,
            Operation::Delete => {
                let place = self.created.lock().unwrap().pop().ok_or("nothing to delete")?;
                self.write(operation, place, String::new()).await?;
            }
        }
        Ok(())
    }
}

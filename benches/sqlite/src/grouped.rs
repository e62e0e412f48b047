//! rusqlite with a thread that writes what waits in one transaction, and reads where they are asked for.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use jam_bench_harness::{About, Failure, Library, Operation, counted, text};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::Settings;
use crate::raw::{Change, Place, change, connect, id, list, place, read, synchronous};

struct Write {
    place: Place,
    change: Change,
    done: oneshot::Sender<bool>,
}

pub(crate) struct Grouped {
    about: About,
    writer: Sender<Write>,
    path: PathBuf,
    text: String,
}

thread_local! {
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

impl Grouped {
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<Self, Failure> {
        let connection = connect(path, synchronous(settings))?;
        let (writer, inbox) = channel();
        thread::spawn(move || write(connection, &inbox));
        let words = format!(
            "{}; one writer thread with group commit, reads where they are asked for",
            settings.words()
        );
        Ok(Self {
            about: About {
                package: Some("rusqlite".into()),
                ..About::limit("rusqlite, group commit", &words)
            },
            writer,
            path: path.to_owned(),
            text: text(),
        })
    }

    async fn write(&self, place: &Place, change: Change) -> Result<(), Failure> {
        let (done, written) = oneshot::channel();
        let place = place.clone();
        self.writer.send(Write { place, change, done })?;
        Ok(written.await?.then_some(()).ok_or("nothing written")?)
    }

    fn reading<R>(&self, work: impl FnOnce(&Connection) -> Result<R, Failure>) -> Result<R, Failure> {
        READER.with_borrow_mut(|reader| {
            let connection = match reader {
                Some(connection) => connection,
                None => reader.insert(connect(&self.path, "NORMAL")?),
            };
            work(connection)
        })
    }
}

/// Takes what waits, up to 256 writes, into one transaction. Who hears nothing knows that it failed.
fn write(mut connection: Connection, inbox: &Receiver<Write>) {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(inbox.try_iter().take(255)).collect();
        let Ok(transaction) = connection.transaction() else {
            continue;
        };
        let answers: Vec<_> = batch
            .into_iter()
            .map(
                |Write {
                     place,
                     change: wanted,
                     done,
                 }| (done, change(&transaction, &place, &wanted).unwrap_or(false)),
            )
            .collect();
        if transaction.commit().is_ok() {
            for (done, changed) in answers {
                let _ = done.send(changed);
            }
        }
    }
}

impl Library for Grouped {
    type Id = Place;

    fn about(&self) -> About {
        self.about.clone()
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Place, Failure> {
        let place = place(number);
        self.write(&place, Change::Insert(self.text.clone())).await?;
        Ok(place)
    }

    async fn run(&self, operation: Operation, place: &mut Place) -> Result<(), Failure> {
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(self.reading(|connection| read(connection, place))?),
            Operation::Read => {
                serde_json::from_str::<Value>(&self.reading(|connection| read(connection, place))?)?;
            }
            Operation::Update => self.write(place, Change::Replace(self.text.clone())).await?,
            Operation::Request => {
                let text = counted(&self.reading(|connection| read(connection, place))?)?;
                self.write(place, Change::Replace(text)).await?;
            }
            Operation::List => drop(self.reading(|connection| list(connection, &place.0))?),
            Operation::Rework => {
                let to = id();
                self.write(place, Change::Move(to.clone())).await?;
                place.1 = to;
            }
            Operation::Delete => self.write(place, Change::Remove).await?,
        }
        Ok(())
    }
}

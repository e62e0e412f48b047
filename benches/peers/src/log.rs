//! An append-only log with group commit, and a map of what is in it: the least that a store in one file can be.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use jam_bench_harness::{About, Failure, Library, Operation, counted, text, user};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::map::{Place, Sharded};

struct Append {
    line: String,
    written: oneshot::Sender<()>,
}

pub(crate) struct Log {
    synced: bool,
    appends: Sender<Append>,
    map: Sharded,
    text: String,
}

impl Log {
    pub(crate) fn open(path: &Path, synced: bool) -> Result<Self, Failure> {
        let file = File::options().create_new(true).append(true).open(path)?;
        let (appends, inbox) = channel();
        thread::spawn(move || append(file, synced, &inbox));
        Ok(Self {
            synced,
            appends,
            map: Sharded::new(),
            text: text(),
        })
    }

    async fn append(&self, place: &Place, text: &str) -> Result<(), Failure> {
        let line = format!("{{\"key\":\"{}\",\"id\":\"{}\",\"data\":{text}}}\n", place.0, place.1);
        let (written, done) = oneshot::channel();
        self.appends.send(Append { line, written })?;
        Ok(done.await?)
    }

    async fn put(&self, place: &Place, text: &str) -> Result<(), Failure> {
        self.append(place, text).await?;
        self.map.put(place, text.into());
        Ok(())
    }

    fn get(&self, place: &Place) -> Result<Arc<str>, Failure> {
        Ok(self.map.get(place).ok_or("lost")?)
    }
}

/// Takes what waits into one write and, if wanted, one sync. Dropping an append unanswered tells that it failed.
fn append(mut file: File, synced: bool, inbox: &Receiver<Append>) {
    while let Ok(first) = inbox.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(inbox.try_iter()).collect();
        let lines: String = batch.iter().map(|append| append.line.as_str()).collect();
        let written = file
            .write_all(lines.as_bytes())
            .and_then(|()| if synced { file.sync_data() } else { Ok(()) });
        if written.is_ok() {
            for append in batch {
                let _ = append.written.send(());
            }
        }
    }
}

impl Library for Log {
    type Id = Place;

    fn about(&self) -> About {
        let settings = if self.synced {
            "one thread appends what waits, then one fdatasync for all of it; reads from a map"
        } else {
            "one thread appends what waits, no sync; reads from a map"
        };
        About::limit("append-only log with group commit", settings)
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Place, Failure> {
        let place = (user(number), Uuid::new_v4());
        self.put(&place, &self.text).await?;
        Ok(place)
    }

    async fn run(&self, operation: Operation, place: &mut Place) -> Result<(), Failure> {
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(self.get(place)?),
            Operation::Read => drop(serde_json::from_str::<Value>(&self.get(place)?)?),
            Operation::Update => self.put(place, &self.text).await?,
            Operation::Request => self.put(place, &counted(&self.get(place)?)?).await?,
            Operation::List => drop(self.map.list(&place.0)),
            Operation::Rework => {
                let text = self.get(place)?;
                let to = (place.0.clone(), Uuid::new_v4());
                self.put(&to, &text).await?;
                self.map.remove(place);
                *place = to;
            }
            Operation::Delete => {
                self.append(place, "null").await?;
                self.map.remove(place).ok_or("lost")?;
            }
        }
        Ok(())
    }
}

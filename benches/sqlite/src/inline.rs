//! rusqlite called where it is needed: one connection behind a lock, each write a transaction of its own.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jam_bench_harness::{About, Contestant, Failure, Library, Local, Operation, counted, text};
use rusqlite::Connection;
use serde_json::Value;

use crate::Settings;
use crate::raw::{Change, Place, change, connect, id, list, place, read, synchronous};

pub(crate) struct Inline {
    about: About,
    connection: Mutex<Connection>,
    text: String,
}

impl Inline {
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<Box<dyn Contestant>, Failure> {
        let words = format!(
            "{}; one connection behind a lock, a transaction for each write",
            settings.words()
        );
        let about = About {
            package: Some("rusqlite".into()),
            ..About::limit("rusqlite, inline", &words)
        };
        let on = |synchronous| {
            Ok::<_, Failure>(Self {
                about: about.clone(),
                connection: Mutex::new(connect(path, synchronous)?),
                text: text(),
            })
        };
        Ok(Local::filled_by(on("OFF")?, on(synchronous(settings))?))
    }

    fn on<R>(&self, work: impl FnOnce(&Connection) -> R) -> R {
        work(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, place: &Place, wanted: &Change) -> Result<(), Failure> {
        let changed = self.on(|connection| change(connection, place, wanted))?;
        Ok(changed.then_some(()).ok_or("nothing written")?)
    }
}

impl Library for Inline {
    type Id = Place;

    fn about(&self) -> About {
        self.about.clone()
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Place, Failure> {
        let place = place(number);
        self.write(&place, &Change::Insert(self.text.clone()))?;
        Ok(place)
    }

    async fn run(&self, operation: Operation, place: &mut Place) -> Result<(), Failure> {
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(self.on(|connection| read(connection, place))?),
            Operation::Read => {
                serde_json::from_str::<Value>(&self.on(|connection| read(connection, place))?)?;
            }
            Operation::Update => self.write(place, &Change::Replace(self.text.clone()))?,
            Operation::Request => {
                let text = counted(&self.on(|connection| read(connection, place))?)?;
                self.write(place, &Change::Replace(text))?;
            }
            Operation::List => drop(self.on(|connection| list(connection, &place.0))?),
            Operation::Rework => {
                let to = id();
                self.write(place, &Change::Move(to.clone()))?;
                place.1 = to;
            }
            Operation::Delete => self.write(place, &Change::Remove)?,
        }
        Ok(())
    }
}

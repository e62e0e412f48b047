//! jam, through its manager, as an application uses it.

use std::sync::Mutex;

use async_trait::async_trait;
use jam_core::{SessionId, Sessions};
use jam_sqlite::{Durability, SqliteStore};
use tempfile::TempDir;

use crate::contestant::{Contestant, Operation};
use crate::{Failure, STORED, Settings, USERS, data};

pub(crate) struct Jam {
    sessions: Sessions,
    stored: Mutex<Vec<SessionId>>,
    created: Mutex<Vec<SessionId>>,
    _directory: TempDir,
}

impl Jam {
    pub(crate) async fn open(directory: TempDir, settings: Settings) -> Result<Self, Failure> {
        let durability = match settings {
            Settings::Normal => Durability::Os,
            Settings::Full | Settings::Default => Durability::Sync,
        };
        let options = SqliteStore::options(directory.path().join("sessions.db")).durability(durability);
        Ok(Self {
            sessions: Sessions::new(options.open().await?),
            stored: Mutex::default(),
            created: Mutex::default(),
            _directory: directory,
        })
    }

    fn stored(&self, number: usize) -> SessionId {
        self.stored.lock().unwrap()[number.wrapping_mul(7919) % STORED].clone()
    }
}

#[async_trait]
impl Contestant for Jam {
    fn name(&self) -> &'static str {
        "jam"
    }

    async fn run(&self, operation: Operation, number: usize) -> Result<(), Failure> {
        match operation {
            Operation::Fill | Operation::Create => {
                let id = self.sessions.create(format!("user{}", number % USERS), data()).await?;
                let kept = if operation == Operation::Fill {
                    &self.stored
                } else {
                    &self.created
                };
                kept.lock().unwrap().push(id);
            }
            Operation::Get => {
                let session = self.sessions.get(self.stored(number)).await?.ok_or("lost")?;
                // As the others do in any case.
                session.data()?;
            }
            Operation::Update => self.sessions.update(self.stored(number), data()).await?,
            Operation::Delete => {
                let id = self.created.lock().unwrap().pop().ok_or("nothing to delete")?;
                assert!(self.sessions.delete(id).await?);
            }
        }
        Ok(())
    }
}

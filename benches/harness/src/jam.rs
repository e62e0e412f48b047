//! jam, through its manager, as an application uses it.

use jam_core::{SessionId, Sessions};
use serde_json::Value;

use crate::{About, Failure, Library, Operation, USERS, data};

/// jam on some store.
pub struct Jam {
    about: About,
    sessions: Sessions,
    data: Value,
    users: usize,
}

/// What an application holds of a session.
#[derive(Debug)]
pub struct Held {
    id: SessionId,
    user: String,
}

impl Jam {
    /// These sessions.
    pub fn new(about: About, sessions: Sessions) -> Self {
        Self {
            about,
            sessions,
            data: data(),
            users: USERS,
        }
    }

    /// With this data instead of 200 bytes.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// With the sessions of so many users.
    #[must_use]
    pub fn with_users(mut self, users: usize) -> Self {
        self.users = users;
        self
    }
}

impl Library for Jam {
    type Id = Held;

    fn about(&self) -> About {
        self.about.clone()
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Held, Failure> {
        let user = format!("user{}", number % self.users);
        let id = self.sessions.create(&user, &self.data).await?;
        Ok(Held { id, user })
    }

    async fn run(&self, operation: Operation, held: &mut Held) -> Result<(), Failure> {
        let Self { sessions, .. } = self;
        let Held { id, user } = held;
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(sessions.get(&*id).await?.ok_or("lost")?),
            Operation::Read => drop(sessions.get(&*id).await?.ok_or("lost")?.data()?),
            Operation::Update => sessions.update(&*id, &self.data).await?,
            Operation::Request => {
                let mut session = sessions.get(&*id).await?.ok_or("lost")?;
                let visits: u64 = session.get("visits")?.unwrap_or_default();
                session.insert("visits", visits + 1)?;
                sessions.commit(session).await?;
            }
            Operation::List => drop(sessions.list(&*user).await?),
            Operation::Rework => *id = sessions.rework(&*id).await?,
            Operation::Delete => drop(sessions.delete(&*id).await?.then_some(()).ok_or("lost")?),
        }
        Ok(())
    }
}

//! actix-session's store on Redis.

use std::collections::HashMap;

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore};
use jam_bench_harness::{About, Failure, Library, Operation, fields};
use time::Duration;

pub(crate) struct Actix {
    store: RedisSessionStore,
    state: HashMap<String, String>,
}

const TTL: Duration = Duration::HOUR;

/// Its errors are no errors of the standard library.
fn failed(error: impl std::fmt::Display) -> Failure {
    error.to_string().into()
}

impl Actix {
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let state = fields().into_iter().map(|(name, value)| (name, value.to_string()));
        Ok(Self {
            store: RedisSessionStore::new(url).await.map_err(failed)?,
            state: state.collect(),
        })
    }

    async fn load(&self, key: &SessionKey) -> Result<HashMap<String, String>, Failure> {
        Ok(self.store.load(key).await.map_err(failed)?.ok_or("lost")?)
    }

    async fn save(&self, state: HashMap<String, String>) -> Result<SessionKey, Failure> {
        self.store.save(state, &TTL).await.map_err(failed)
    }

    async fn update(&self, key: &mut SessionKey, state: HashMap<String, String>) -> Result<(), Failure> {
        let same = SessionKey::try_from(key.as_ref().to_owned()).map_err(failed)?;
        *key = self.store.update(same, state, &TTL).await.map_err(failed)?;
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Failure> {
        self.store.delete(key).await.map_err(failed)
    }
}

impl Library for Actix {
    type Id = SessionKey;

    fn about(&self) -> About {
        About::peer(
            "actix-session",
            "a key per session, SET EX; one connection of the redis crate's manager",
        )
    }

    fn does(&self, operation: Operation) -> bool {
        operation != Operation::List
    }

    async fn create(&self, _: usize) -> Result<SessionKey, Failure> {
        self.save(self.state.clone()).await
    }

    async fn run(&self, operation: Operation, key: &mut SessionKey) -> Result<(), Failure> {
        match operation {
            Operation::Create | Operation::List => return Err("there is no such operation".into()),
            // Fields are texts of JSON, parsed when asked for.
            Operation::Get => drop(self.load(key).await?),
            Operation::Read => {
                for text in self.load(key).await?.values() {
                    serde_json::from_str::<serde_json::Value>(text)?;
                }
            }
            Operation::Update => self.update(key, self.state.clone()).await?,
            Operation::Request => {
                let mut state = self.load(key).await?;
                let visits: u64 = serde_json::from_str(state.get("visits").ok_or("no visits")?)?;
                state.insert("visits".into(), (visits + 1).to_string());
                self.update(key, state).await?;
            }
            Operation::Rework => {
                let state = self.load(key).await?;
                self.delete(key).await?;
                *key = self.save(state).await?;
            }
            Operation::Delete => self.delete(key).await?,
        }
        Ok(())
    }
}

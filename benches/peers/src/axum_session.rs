//! axum_session's stores. Its sessions are out of reach without a request, so its `DatabasePool` is called, with what a
//! session makes of its data: texts of JSON in a map.

use std::collections::HashMap;

use axum_session::DatabasePool;
use jam_bench_harness::{About, Failure, Library, Operation, fields};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub(crate) struct AxumSession<P> {
    about: About,
    pool: P,
    fields: HashMap<String, String>,
}

const TABLE: &str = "sessions";

impl<P: DatabasePool + Sync> AxumSession<P> {
    pub(crate) async fn open(about: About, pool: P) -> Result<Self, Failure> {
        pool.initiate(TABLE).await?;
        let fields = fields().into_iter().map(|(name, value)| (name, value.to_string()));
        Ok(Self {
            about,
            pool,
            fields: fields.collect(),
        })
    }

    async fn store(&self, id: &str, fields: &HashMap<String, String>) -> Result<(), Failure> {
        let expires = OffsetDateTime::now_utc() + Duration::HOUR;
        let text = serde_json::to_string(fields)?;
        Ok(self.pool.store(id, &text, expires.unix_timestamp(), TABLE).await?)
    }

    async fn load(&self, id: &str) -> Result<HashMap<String, String>, Failure> {
        let text = self.pool.load(id, TABLE).await?.ok_or("lost")?;
        Ok(serde_json::from_str(&text)?)
    }

    async fn delete(&self, id: &str) -> Result<(), Failure> {
        Ok(self.pool.delete_one_by_id(id, TABLE).await?)
    }
}

impl<P: DatabasePool + Send + Sync + 'static> Library for AxumSession<P> {
    type Id = String;

    fn about(&self) -> About {
        self.about.clone()
    }

    fn does(&self, operation: Operation) -> bool {
        operation != Operation::List
    }

    async fn create(&self, _: usize) -> Result<String, Failure> {
        let id = Uuid::new_v4().to_string();
        self.store(&id, &self.fields).await?;
        Ok(id)
    }

    async fn run(&self, operation: Operation, id: &mut String) -> Result<(), Failure> {
        match operation {
            Operation::Create | Operation::List => return Err("there is no such operation".into()),
            Operation::Get => drop(self.load(id).await?),
            Operation::Read => {
                for text in self.load(id).await?.values() {
                    serde_json::from_str::<serde_json::Value>(text)?;
                }
            }
            Operation::Update => self.store(id, &self.fields).await?,
            Operation::Request => {
                let mut fields = self.load(id).await?;
                let visits: u64 = serde_json::from_str(fields.get("visits").ok_or("no visits")?)?;
                fields.insert("visits".into(), (visits + 1).to_string());
                self.store(id, &fields).await?;
            }
            Operation::Rework => {
                let fields = self.load(id).await?;
                self.delete(id).await?;
                *id = Uuid::new_v4().to_string();
                self.store(id, &fields).await?;
            }
            Operation::Delete => self.delete(id).await?,
        }
        Ok(())
    }
}

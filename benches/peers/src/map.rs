//! A hash map in shards: the least that a store in memory can be.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use jam_bench_harness::{About, Failure, Library, Operation, counted, text, user};
use serde_json::Value;
use uuid::Uuid;

type Shard = HashMap<String, HashMap<Uuid, Arc<str>>>;

pub(crate) struct Sharded {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    text: Arc<str>,
}

/// Whose, and which.
pub(crate) type Place = (String, Uuid);

impl Sharded {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..64).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            text: text().into(),
        }
    }

    fn shard<R>(&self, user: &str, work: impl FnOnce(&mut Shard) -> R) -> R {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let number = self.hasher.hash_one(user) as usize % self.shards.len();
        work(&mut self.shards[number].lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put(&self, (user, id): &Place, text: Arc<str>) {
        self.shard(user, |shard| match shard.get_mut(user) {
            Some(of_user) => of_user.insert(*id, text),
            None => shard.entry(user.clone()).or_default().insert(*id, text),
        });
    }

    pub(crate) fn get(&self, (user, id): &Place) -> Option<Arc<str>> {
        self.shard(user, |shard| shard.get(user)?.get(id).cloned())
    }

    pub(crate) fn remove(&self, (user, id): &Place) -> Option<Arc<str>> {
        self.shard(user, |shard| {
            let of_user = shard.get_mut(user)?;
            let removed = of_user.remove(id);
            if of_user.is_empty() {
                shard.remove(user);
            }
            removed
        })
    }

    pub(crate) fn list(&self, user: &str) -> Vec<(Uuid, Arc<str>)> {
        self.shard(user, |shard| {
            let of_user = shard.get(user).into_iter().flatten();
            of_user.map(|(id, text)| (*id, Arc::clone(text))).collect()
        })
    }
}

impl Library for Sharded {
    type Id = Place;

    fn about(&self) -> About {
        About::limit(
            "sharded hash map",
            "64 locked shards of std's maps, text; nothing expires",
        )
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Place, Failure> {
        let place = (user(number), Uuid::new_v4());
        self.put(&place, Arc::clone(&self.text));
        Ok(place)
    }

    async fn run(&self, operation: Operation, place: &mut Place) -> Result<(), Failure> {
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(self.get(place).ok_or("lost")?),
            Operation::Read => drop(serde_json::from_str::<Value>(&self.get(place).ok_or("lost")?)?),
            Operation::Update => self.put(place, text_of(&self.text)),
            Operation::Request => {
                let text = counted(&self.get(place).ok_or("lost")?)?;
                self.put(place, text.into());
            }
            Operation::List => drop(self.list(&place.0)),
            Operation::Rework => {
                let text = self.remove(place).ok_or("lost")?;
                place.1 = Uuid::new_v4();
                self.put(place, text);
            }
            Operation::Delete => drop(self.remove(place).ok_or("lost")?),
        }
        Ok(())
    }
}

/// A text of its own, as new data has.
fn text_of(text: &str) -> Arc<str> {
    text.into()
}

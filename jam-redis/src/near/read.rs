//! Reading with the near cache.

use std::time::Instant;

use jam_core::{Load, RecordId, Result, Stored};
use redis::Value;

use super::{Near, Tracked};
use crate::RedisStore;
use crate::call::{Ask, value_and_expiry};
use crate::connect::{Generation, Moment};
use crate::error::Trouble;
use crate::read::Read;

/// What came of a read that was to be kept.
enum Filled {
    Read(Option<Stored>),
    /// It has to be read the ordinary way.
    Not,
}

impl Near {
    /// A read of a store with this cache. What goes to the server is in boxes, so that a hit is small.
    pub(crate) async fn load(&self, store: &RedisStore, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        store.check_open()?;
        if how.fresh {
            let loaded = Box::pin(store.read(id, how)).await?;
            self.compare(id, loaded.as_ref().map(|stored| &stored.version));
            return Ok(loaded);
        }
        let due = |stored: &Stored| how.renew.is_some_and(|renewal| renewal.is_due(stored.ends.at()));
        let renew = match self.get(id) {
            Some(stored) if !due(&stored) => return Ok(Some(stored)),
            Some(_) => true,
            None => match Box::pin(self.fill(store, id)).await? {
                Filled::Read(Some(stored)) if due(&stored) => true,
                Filled::Read(read) => return Ok(read),
                Filled::Not => how.renew.is_some(),
            },
        };
        // What is kept would be due again and again.
        let _writing = renew.then(|| self.writing(id.key()));
        let loaded = Box::pin(store.read(id, how)).await?;
        self.compare(id, loaded.as_ref().map(|stored| &stored.version));
        Ok(loaded)
    }

    /// Reads over the tracked connection, and keeps what was read.
    async fn fill(&self, store: &RedisStore, id: &RecordId) -> Result<Filled> {
        store.check_open()?;
        let hash = store.hash(id.key());
        let Some(tracked) = store.link().tracked(hash.as_bytes()) else {
            return Ok(Filled::Not);
        };
        let ticket = self.ticket(id.key());
        let asked = Instant::now();
        let trouble = match read_over(&tracked, store, id, &hash).await? {
            Ok(Read::Unsure) => return Ok(Filled::Not),
            Ok(read) => {
                let read = match read {
                    Read::Found(stored) => Some(stored),
                    _ => None,
                };
                tracked.confirm(ticket.sent());
                self.keep(id, ticket, read.as_ref(), &tracked);
                return Ok(Filled::Read(read));
            }
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Moved(_) | Trouble::Ask(_) | Trouble::TryAgain => {
                self.forget_all();
                Ok(Filled::Not)
            }
            trouble => {
                tracked.end(self);
                match trouble {
                    // It has waited as long as a call may take.
                    Trouble::Lost(error) if asked.elapsed() >= store.link().patience() => Err(error),
                    _ => Ok(Filled::Not),
                }
            }
        }
    }
}

async fn read_over(tracked: &Tracked, store: &RedisStore, id: &RecordId, hash: &str) -> Result<Result<Read, Trouble>> {
    let how = Load::new().with_expiry();
    let live = &tracked.live;
    // A script also says what time it is by the server; once that is known, it can do without.
    if live.generation() != Generation::Emulated && live.clock.serves() {
        let answer = match live.both(value_and_expiry(hash.as_bytes(), id.id())).await {
            Ok((value, expiry)) => both(value, expiry),
            Err(trouble) => return Ok(Err(trouble)),
        };
        return RedisStore::told(hash, answer, live, None, how, false).map(Ok);
    }
    for exact in [false, true] {
        let ask = Ask::Load {
            id: id.id(),
            how,
            exact,
        };
        let call = ask.call(hash.as_bytes(), store.layout(), live)?;
        let looked = call.is_script().then(Moment::now);
        match live.call(call, false).await {
            Ok(value) => match RedisStore::told(hash, value, live, looked, how, exact)? {
                Read::Unsure => {}
                read => return Ok(Ok(read)),
            },
            Err(trouble) => return Ok(Err(trouble)),
        }
    }
    Ok(Ok(Read::Unsure))
}

/// As the script would say it, but for the server's time.
fn both(value: Value, expiry: Value) -> Value {
    match expiry {
        // It has ended since it was read.
        Value::Array(parts) if parts[..] == [Value::Int(-2)] => Value::Nil,
        Value::Array(mut parts) if parts.len() == 1 && value != Value::Nil => {
            Value::Array(vec![value, parts.swap_remove(0), Value::Int(-1)])
        }
        _ => value,
    }
}

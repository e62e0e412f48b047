//! Reading: what the servers' answers mean.

use bytes::Bytes;
use jam_core::{Ends, Entry, Load, RecordId, Result, SessionKey, Stored, Timestamp, Version};
use redis::Value;

use crate::RedisStore;
use crate::call::Ask;
use crate::connect::{Answer, Generation, Live, Moment};
use crate::error;
use crate::value::{self, Expiry};

/// What was read.
pub(crate) enum Read {
    Found(Stored),
    Gone,
    /// Only the server can tell whether it has expired, or in whose form it is.
    Unsure,
}

impl RedisStore {
    /// Reads over the connection that all calls go over.
    pub(crate) async fn read(&self, id: &RecordId, how: Load) -> Result<Option<Stored>> {
        let hash = self.hash(id.key());
        for exact in [false, true] {
            let ask = Ask::Load {
                id: id.id(),
                how,
                exact,
            };
            let mut answer = self.ask(&hash, &ask).await?;
            answer.note(&[hash.as_bytes()]);
            let Answer {
                value, live, looked, ..
            } = answer;
            match Self::told(&hash, value, &live, looked, how, exact)? {
                Read::Found(stored) => return Ok(Some(stored)),
                Read::Gone => return Ok(None),
                Read::Unsure => {}
            }
        }
        Ok(None)
    }

    /// What the answer to a read means.
    pub(crate) fn told(
        hash: &str,
        answer: Value,
        live: &Live,
        looked: Option<Moment>,
        how: Load,
        exact: bool,
    ) -> Result<Read> {
        let emulates = live.generation() == Generation::Emulated;
        let Some(Told { value, of_field, now }) = Told::of(answer)? else {
            return Ok(Read::Gone);
        };
        if let (Some(now), Some(asked)) = (now, looked) {
            live.clock.set(now, asked);
        }
        // On a server without field expiry it was the script that judged.
        let judged = exact || (emulates && now.is_some());
        let read = value::read(value)?;
        let sure = match read.expiry {
            Expiry::OfField | Expiry::Far(_) => true,
            Expiry::Emulated(_) if !emulates => {
                live.unlearn(hash.as_bytes());
                false
            }
            Expiry::Emulated(at) => at.is_none_or(|at| live.clock.is_surely_before(at)),
        };
        if !sure && !judged {
            return Ok(Read::Unsure);
        }
        let ends = if how.expiry {
            read.expiry.ends(of_field, |at| match now {
                Some(now) => at.since(now),
                None => live.clock.left_until(at),
            })
        } else {
            Ends::Unknown
        };
        Ok(Read::Found(stored(read.payload).ending(ends)))
    }

    /// The live sessions of a hash.
    pub(crate) async fn entries(&self, key: &SessionKey, hash: &str) -> Result<Vec<Entry>> {
        let mut answer = self.ask(hash, &Ask::List).await?;
        answer.note(&[hash.as_bytes()]);
        let Value::Array(parts) = answer.value else {
            return Err(error::unexpected(
                "the Redis server answered a listing with something else",
            ));
        };
        let mut entries = Vec::with_capacity(parts.len() / 3);
        let mut parts = parts.into_iter();
        while let (Some(id), Some(value), Some(at)) = (parts.next(), parts.next(), parts.next()) {
            let (Value::BulkString(id), Value::BulkString(value), Value::Int(at)) = (id, value, at) else {
                return Err(error::unexpected(
                    "the Redis server answered a listing with something else",
                ));
            };
            // Another program's field: no id of jam's.
            let Some(id) = String::from_utf8(id)
                .ok()
                .and_then(|id| RecordId::new(key.clone(), id).ok())
            else {
                continue;
            };
            let read = value::read(value)?;
            let of_field = u64::try_from(at).ok().map(Timestamp::from_millis);
            let expires_at = read.expiry.at(of_field);
            entries.push(Entry::new(id, stored(read.payload), expires_at));
        }
        Ok(entries)
    }
}

/// What a read was told: the value, and by a script also when its field expires and what the server's clock said.
struct Told {
    value: Vec<u8>,
    of_field: Option<Timestamp>,
    now: Option<Timestamp>,
}

impl Told {
    fn of(answer: Value) -> Result<Option<Self>> {
        let told = |value, of_field, now| {
            let time = |millis: i64| u64::try_from(millis).ok().map(Timestamp::from_millis);
            let (of_field, now) = (time(of_field), time(now));
            Ok(Some(Self { value, of_field, now }))
        };
        match answer {
            Value::Nil => Ok(None),
            Value::BulkString(value) => told(value, -1, -1),
            Value::Array(mut parts) => match (parts.pop(), parts.pop(), parts.pop()) {
                (Some(Value::BulkString(value)), Some(Value::Int(now)), None) => told(value, -1, now),
                (Some(Value::Int(now)), Some(Value::Int(at)), Some(Value::BulkString(value))) => told(value, at, now),
                _ => Ok(None),
            },
            _ => Err(error::unexpected(
                "the Redis server answered a read with something else",
            )),
        }
    }
}

fn stored(payload: Bytes) -> Stored {
    Stored::new(payload.clone(), Version::from_content(payload))
}

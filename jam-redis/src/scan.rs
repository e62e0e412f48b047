//! Walking over every session: `SCAN` on each server, then each hash as a whole.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures_util::future::try_join_all;
use jam_core::{Cursor, Error, ErrorKind, Page, Result, SessionKey};
use redis::{Pipeline, Value};

use crate::RedisStore;
use crate::call::Ask;
use crate::connect::{Generation, Live, Node};
use crate::error;

/// Where a walk is.
///
/// A hash that moves from a node the walk has yet to see to one it has seen would be missed. So the walk ends only
/// when the slots lay during a whole pass as they did when it began; while slots are on the move but none has changed
/// hands, one more pass does, for within it no key moves back.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// Which slots were where, and on the move, when this pass began.
    slots: u64,
    second: bool,
    node: usize,
    cursor: u64,
}

impl Place {
    fn read(cursor: &Cursor) -> Result<Self> {
        let text = str::from_utf8(cursor.as_bytes()).unwrap_or_default();
        let parts: Vec<&str> = text.split(' ').collect();
        let parsed = match *parts {
            ["redis", slots, second, node, cursor] => (|| {
                Some(Self {
                    slots: slots.parse().ok()?,
                    second: second.parse().ok()?,
                    node: node.parse().ok()?,
                    cursor: cursor.parse().ok()?,
                })
            })(),
            _ => None,
        };
        parsed.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "this cursor is none of a Redis store"))
    }

    fn write(self) -> Cursor {
        let Self {
            slots,
            second,
            node,
            cursor,
        } = self;
        Cursor::new(format!("redis {slots} {second} {node} {cursor}"))
    }

    fn start(slots: &Slots) -> Self {
        Self {
            slots: slots.digest,
            second: false,
            node: 0,
            cursor: 0,
        }
    }
}

/// Which slots are where.
struct Slots {
    digest: u64,
    moving: bool,
}

impl RedisStore {
    pub(crate) async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let mut place = match cursor {
            Some(cursor) => Place::read(&cursor)?,
            None => Place::start(&self.slots().await?),
        };
        let primaries = self.link().primaries().await?;
        let mut entries = Vec::new();
        if let Some((_, node)) = primaries.get(place.node) {
            let (next, hashes) = self.hashes(node, place.cursor, limit).await?;
            let listings = hashes.iter().map(|(key, hash)| self.entries(key, hash));
            entries = try_join_all(listings).await?.into_iter().flatten().collect();
            place.cursor = next;
            if next != 0 {
                return Ok(Page::new(entries, Some(place.write())));
            }
            place.node += 1;
        }
        if place.node < primaries.len() {
            return Ok(Page::new(entries, Some(place.write())));
        }
        let slots = self.slots().await?;
        let next = if slots.digest != place.slots {
            Some(Place::start(&slots))
        } else if slots.moving && !place.second {
            Some(Place {
                second: true,
                ..Place::start(&slots)
            })
        } else {
            None
        };
        Ok(Page::new(entries, next.map(Place::write)))
    }

    /// Reclaims what has expired on servers that cannot do it themselves, in small pieces.
    pub(crate) async fn sweep(&self) -> Result<u64> {
        let mut removed = 0;
        for (_, node) in self.link().primaries().await? {
            if node.live().await?.generation() != Generation::Emulated {
                continue;
            }
            let mut cursor = 0;
            loop {
                let (next, hashes) = self.hashes(&node, cursor, 100).await?;
                for (_, hash) in hashes {
                    removed += self.sweep_hash(&hash).await?;
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(removed)
    }

    async fn sweep_hash(&self, hash: &str) -> Result<u64> {
        let mut removed = 0;
        let mut cursor = b"0".to_vec();
        loop {
            let (reply, live) = self.ask(hash, &Ask::Sweep { cursor: &cursor }).await?;
            if live.generation() != Generation::Emulated {
                return Ok(removed);
            }
            let (next, count): (Vec<u8>, u64) = redis::from_redis_value(reply)
                .map_err(|_| error::unexpected("the Redis server answered a sweep with something else"))?;
            removed += count;
            if next == b"0" {
                return Ok(removed);
            }
            cursor = next;
        }
    }

    /// Some of a server's session hashes, and where more are.
    async fn hashes(&self, node: &Node, cursor: u64, count: usize) -> Result<(u64, Vec<(SessionKey, String)>)> {
        let prefix = self.prefix();
        let mut pipeline = Pipeline::with_capacity(1);
        let scan = pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern(&prefix));
        scan.arg("COUNT").arg(count.clamp(1, 1_000)).arg("TYPE").arg("hash");
        let reply = only(&*node.live().await?, &pipeline).await?;
        let (next, names): (u64, Vec<Vec<u8>>) = redis::from_redis_value(reply)
            .map_err(|_| error::unexpected("the Redis server answered SCAN with something else"))?;
        // A name without prefix or with a key that is none is somebody else's.
        let hash = |name| {
            let name = String::from_utf8(name).ok()?;
            let key = SessionKey::new(name.strip_prefix(&prefix)?).ok()?;
            Some((key, name))
        };
        Ok((next, names.into_iter().filter_map(hash).collect()))
    }

    async fn slots(&self) -> Result<Slots> {
        let primaries = self.link().primaries().await?;
        if primaries.len() < 2 {
            return Ok(Slots {
                digest: 0,
                moving: false,
            });
        }
        let lines = try_join_all(primaries.iter().map(|(_, node)| own_slots(node))).await?;
        let mut hasher = DefaultHasher::new();
        for ((address, _), line) in primaries.iter().zip(&lines) {
            (address, line).hash(&mut hasher);
        }
        Ok(Slots {
            digest: hasher.finish(),
            moving: lines.iter().any(|line| line.contains('[')),
        })
    }
}

/// What a node says of its own slots: the ninth column of its line in `CLUSTER NODES` and those behind it, with the slots
/// that are on the move in brackets.
async fn own_slots(node: &Arc<Node>) -> Result<String> {
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.cmd("CLUSTER").arg("NODES");
    let reply = only(&*node.live().await?, &pipeline).await?;
    let text: String = redis::from_redis_value(reply)
        .map_err(|_| error::unexpected("the Redis server answered CLUSTER NODES with something else"))?;
    let line = text.lines().find(|line| line.contains("myself")).unwrap_or_default();
    Ok(line.split_whitespace().skip(8).collect::<Vec<_>>().join(" "))
}

async fn only(live: &Live, pipeline: &Pipeline) -> Result<Value> {
    let mut replies = live.pipeline(pipeline, 1).await.map_err(|error| {
        live.give_up();
        error::unconnected(error)
    })?;
    let reply = replies.pop().unwrap_or(Value::Nil);
    reply.extract_error().map_err(error::unconnected)
}

/// A glob that matches what begins with the prefix, and nothing else.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 8);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_a_foreign_one_is_refused() {
        let place = Place {
            slots: u64::MAX,
            second: true,
            node: 2,
            cursor: 17,
        };
        assert_eq!(Place::read(&place.write()).unwrap(), place);
        for foreign in ["", "redis 1 2 3", "redis x true 0 0", "sqlite 1", "redis 1 true 0 0 0"] {
            let error = Place::read(&Cursor::new(foreign.to_owned())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_session_path_with_wildcards_matches_only_itself() {
        assert_eq!(pattern("a*[b]?\\:"), "a\\*\\[b\\]\\?\\\\:*");
    }
}

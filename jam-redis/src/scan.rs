//! Walking over every session: `SCAN` on each server, then each hash as a whole.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use jam_core::{Cursor, Error, ErrorKind, Page, Result, SessionKey};
use redis::{Pipeline, Value};

use crate::RedisStore;
use crate::call::Ask;
use crate::connect::{Answer, Generation, Link, Live, Node, SLOTS};
use crate::error;

/// Where a walk is.
///
/// A hash that moves from a node the walk has yet to see to one it has seen would be missed, and a server that restarts
/// or is replaced has its hashes in another order. So the walk ends only when the servers were during a whole pass who
/// they were when it began, with the same slots; while slots are on the move but none has changed hands, one more pass
/// does, for within it no key moves back.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// Which servers had which slots, and which were on the move, when this pass began.
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

/// Which servers have which slots.
struct Slots {
    digest: u64,
    moving: bool,
}

impl RedisStore {
    pub(crate) async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let page = self.next_page(cursor, limit).await;
        // There may be another primary.
        page.inspect_err(|_| self.link().hint())
    }

    async fn next_page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
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
        self.sweep_all().await.inspect_err(|_| self.link().hint())
    }

    async fn sweep_all(&self) -> Result<u64> {
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
            let Answer { value: reply, live, .. } = self.ask(hash, &Ask::Sweep { cursor: &cursor }).await?;
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
    async fn hashes(&self, node: &Arc<Node>, cursor: u64, count: usize) -> Result<(u64, Vec<(SessionKey, String)>)> {
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

    /// Who has which slots now: asked of the servers themselves, for what is known of them may be of yesterday.
    async fn slots(&self) -> Result<Slots> {
        let start = Instant::now();
        loop {
            self.link().hint();
            let primaries = self.link().primaries().await?;
            let views = try_join_all(primaries.iter().map(|(_, node)| view(node, self.link()))).await?;
            if View::cover_all(&views) {
                let mut hasher = DefaultHasher::new();
                for ((address, _), view) in primaries.iter().zip(&views) {
                    (address, view).hash(&mut hasher);
                }
                return Ok(Slots {
                    digest: hasher.finish(),
                    moving: views.iter().any(View::is_moving),
                });
            }
            // A slot that changes hands may be nobody's for a moment.
            if start.elapsed() > Duration::from_millis(500) {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "not every slot of the Redis Cluster is served now, so a walk would miss sessions",
                ));
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
}

/// What a server says of itself.
#[derive(Hash)]
struct View {
    /// Changes when it restarts.
    run: String,
    /// Of a cluster's node: the epoch of its configuration, and its slots. An epoch is never used twice, so a slot that
    /// went and came back, or a primary that was one before, shows.
    slots: Option<(String, Vec<String>)>,
}

impl View {
    /// Slots on the move stand in brackets.
    fn is_moving(&self) -> bool {
        let mut slots = self.slots.iter().flat_map(|(_, slots)| slots);
        slots.any(|slot| slot.starts_with('['))
    }

    /// Whether these servers together serve every slot.
    fn cover_all(views: &[Self]) -> bool {
        let mut served = vec![false; SLOTS];
        for view in views {
            let Some((_, slots)) = &view.slots else { return true };
            for slot in slots.iter().filter(|slot| !slot.starts_with('[')) {
                let (first, last) = slot.split_once('-').unwrap_or((slot, slot));
                if let (Ok(first), Ok(last)) = (first.parse(), last.parse::<usize>())
                    && let Some(range) = served.get_mut(first..=last)
                {
                    range.fill(true);
                }
            }
        }
        served.iter().all(|served| *served)
    }
}

async fn view(node: &Arc<Node>, link: &Link) -> Result<View> {
    let live = node.live().await?;
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.cmd("INFO").arg("server");
    // A user who may not ask goes by the connection, which does not outlive the server.
    let run = match only(&live, &pipeline).await {
        Ok(reply) => redis::from_redis_value::<String>(reply).unwrap_or_default(),
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        Err(_) => String::new(),
    };
    let run = run.lines().find(|line| line.starts_with("run_id:"));
    let run = run.map_or_else(|| live.name.to_string(), str::to_owned);
    if matches!(link, Link::One(_)) {
        return Ok(View { run, slots: None });
    }
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.cmd("CLUSTER").arg("NODES");
    let reply = only(&live, &pipeline).await?;
    let text: String = redis::from_redis_value(reply)
        .map_err(|_| error::unexpected("the Redis server answered CLUSTER NODES with something else"))?;
    let line = text.lines().find(|line| line.contains("myself")).unwrap_or_default();
    // `<id> <address> <flags> <primary> <ping> <pong> <epoch> <link> <slot> ...`
    let mut columns = line.split_whitespace().skip(6);
    let epoch = columns.next().unwrap_or_default().to_owned();
    let slots = columns.skip(1).map(str::to_owned).collect();
    Ok(View {
        run,
        slots: Some((epoch, slots)),
    })
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

    fn view(epoch: &str, slots: &[&str]) -> View {
        View {
            run: String::new(),
            slots: Some((epoch.to_owned(), slots.iter().map(|slot| (*slot).to_owned()).collect())),
        }
    }

    #[test]
    fn a_slot_that_no_server_claims_is_missed() {
        assert!(View::cover_all(&[
            view("1", &["0-8000", "8002-16383"]),
            view("2", &["8001"])
        ]));
        assert!(!View::cover_all(&[view("1", &["0-8000", "8002-16383"])]));
        assert!(!View::cover_all(&[view("1", &["0-16382", "[16383-<-0123456789]"])]));
        assert!(!View::cover_all(&[]));
        assert!(view("1", &["0-16383", "[5->-0123456789]"]).is_moving());
        assert!(!view("1", &["0-16383"]).is_moving());
    }
}

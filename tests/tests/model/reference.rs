//! What jam promises, in the simplest form there is: a list of sessions and a clock.

use serde_json::{Value, json};

use crate::step::{Settings, Step, TTL};

/// A session as its owner thinks of it. Times are in milliseconds.
#[derive(Clone, Debug)]
struct Session {
    user: usize,
    id: usize,
    handle: String,
    created: u64,
    /// When it got its id.
    issued: u64,
    ttl: u64,
    ends: u64,
    data: Value,
}

/// All there is.
#[derive(Debug)]
pub(crate) struct Reference {
    settings: Settings,
    now: u64,
    sessions: Vec<Session>,
    /// From an id that was rotated with grace to its next one, and until when.
    ways: Vec<(usize, usize, u64)>,
}

impl Reference {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now: 0,
            sessions: Vec::new(),
            ways: Vec::new(),
        }
    }

    /// What a step has to give. `ids` is how many were given out before it, `id` the one it names; `handle` is the name of the
    /// session that it made or moved.
    pub(crate) fn apply(&mut self, step: &Step, ids: usize, id: usize, handle: &str) -> Value {
        let now = self.now;
        // An id holds the beginning to the second.
        let created = now - now % 1_000;
        self.sessions.retain(|session| session.ends > now);
        match step {
            Step::Create(user, ttl, data) => {
                let ttl = ttl.unwrap_or(TTL) * 1_000;
                let (user, handle) = (*user, handle.to_owned());
                self.sessions.push(Session {
                    user,
                    id: ids,
                    handle,
                    created,
                    issued: created,
                    ttl,
                    ends: 0,
                    data: data.clone(),
                });
                self.renew(self.sessions.len() - 1);
                self.trim(user, ids);
                json!("id")
            }
            Step::Get(_) => self.read(id).map_or(Value::Null, |at| {
                let session = &self.sessions[at];
                json!([session.issued, session.data])
            }),
            Step::Exists(_) => json!(self.read(id).is_some()),
            Step::Update(_, data) => self.write(id, |session| session.data = data.clone()),
            Step::Modify(_) => {
                let mut count = 0;
                let written = self.write(id, |session| {
                    count = session.data["count"].as_u64().unwrap_or(0) + 1;
                    session.data["count"] = json!(count);
                });
                if written == "done" { json!(count) } else { written }
            }
            Step::Commit(_, value) => {
                let read = self.read(id).is_some();
                let written = self.write(id, |session| session.data["value"] = json!(value));
                if read { written } else { Value::Null }
            }
            Step::Touch(_) => {
                let found = self.find(id);
                if let Some(at) = found {
                    self.renew(at);
                }
                json!(found.is_some())
            }
            Step::Delete(_) => json!(self.find(id).map(|at| self.sessions.remove(at)).is_some()),
            Step::Rework(_) => self.write_new_id(id, ids, created),
            Step::ReworkWithGrace(_) => match self.settings.grace {
                None => json!("Config"),
                Some(grace) => {
                    let found = self.find(id).map(|at| self.sessions[at].id);
                    self.ways.extend(found.map(|from| (from, ids, now + grace * 1_000)));
                    self.write_new_id(id, ids, created)
                }
            },
            Step::ReworkAs(_, user, ttl) => {
                let Some(at) = self.find(id) else {
                    return json!("NotFound");
                };
                let session = &mut self.sessions[at];
                let newcomer = session.user != *user;
                (session.user, session.id) = (*user, ids);
                (session.created, session.issued) = (created, created);
                session.ttl = ttl.unwrap_or(TTL) * 1_000;
                self.renew(at);
                if newcomer {
                    self.trim(*user, ids);
                }
                json!("id")
            }
            Step::List(user) => {
                let mut found: Vec<_> = self.sessions.iter().filter(|session| session.user == *user).collect();
                found.sort_by_key(|session| (session.created, session.handle.clone()));
                let shown = |session: &&Session| json!([session.handle, session.created, session.ends, session.data]);
                found.iter().map(shown).collect()
            }
            Step::Revoke(user, _) => json!(self.end(|session| session.user == *user && session.handle == handle) > 0),
            Step::Clear(user) => json!(self.end(|session| session.user == *user)),
            Step::ClearOthers(_) => match self.find(id).map(|at| self.sessions[at].clone()) {
                None => json!("NotFound"),
                Some(own) => json!(self.end(|session| session.user == own.user && session.handle != own.handle)),
            },
            Step::RemoveExpired | Step::Crash => Value::Null,
            Step::Wait(millis) => {
                self.now += millis;
                Value::Null
            }
        }
    }

    /// Where the session of an id is, followed from an old one.
    fn find(&self, id: usize) -> Option<usize> {
        let here = self.sessions.iter().position(|session| session.id == id);
        let way = || {
            self.ways
                .iter()
                .find(|(from, _, until)| *from == id && *until > self.now)
        };
        here.or_else(|| self.find(way()?.1))
    }

    /// The same for a reader, who renews what has had a tenth of its ttl.
    fn read(&mut self, id: usize) -> Option<usize> {
        let at = self.find(id)?;
        let session = &self.sessions[at];
        if self.settings.renew_on_read && session.ends < self.now + session.ttl - session.ttl / 10 {
            self.renew(at);
        }
        Some(at)
    }

    fn write(&mut self, id: usize, change: impl FnOnce(&mut Session)) -> Value {
        let Some(at) = self.find(id) else {
            return json!("NotFound");
        };
        change(&mut self.sessions[at]);
        self.renew(at);
        json!("done")
    }

    fn write_new_id(&mut self, id: usize, new: usize, issued: u64) -> Value {
        let written = self.write(id, |session| (session.id, session.issued) = (new, issued));
        if written == "done" { json!("id") } else { written }
    }

    fn renew(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let last = self
            .settings
            .max_lifetime
            .map(|lifetime| session.created + lifetime * 1_000);
        session.ends = (self.now + session.ttl).min(last.unwrap_or(u64::MAX));
    }

    /// The oldest of the others make room for a newcomer.
    fn trim(&mut self, user: usize, newcomer: usize) {
        let Some(max) = self.settings.max_sessions else { return };
        let mut others: Vec<_> = self.sessions.iter().filter(|session| session.user == user).collect();
        let surplus = others.len().saturating_sub(max);
        others.retain(|session| session.id != newcomer);
        others.sort_by_key(|session| (session.created, session.handle.clone()));
        let gone: Vec<_> = others.iter().take(surplus).map(|session| session.id).collect();
        self.end(|session| gone.contains(&session.id));
    }

    fn end(&mut self, which: impl Fn(&Session) -> bool) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|session| !which(session));
        before - self.sessions.len()
    }
}

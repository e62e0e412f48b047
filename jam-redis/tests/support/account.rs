//! What must be there: the sessions of one key, as their only writer knows them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jam_core::{Record, RecordId, SessionKey, SessionStore};

use super::expiry_in;

/// How often a session was saved, or that it is not there.
pub(crate) type State = Option<u64>;

/// One session key.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) key: SessionKey,
    /// Acknowledged, and not ended.
    pub(crate) live: HashMap<String, u64>,
    /// Of those, the ones whose present id comes from a rework.
    pub(crate) reworked: HashSet<String>,
    /// Ended and acknowledged, or never made.
    pub(crate) ended: Vec<String>,
    /// What a call of unknown outcome may have come to.
    pub(crate) maybe: HashMap<String, Vec<State>>,
    /// Two ids of which exactly one is there: a rework of unknown outcome.
    pub(crate) either: Option<(String, String)>,
    pub(crate) steps: usize,
}

/// What is not as it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A session is missing that was created, or an older state of it is there.
    Lost(SessionKey),
    /// A session is missing under the id that a rework gave it.
    Unmoved(SessionKey),
    /// A session that had ended is there, perhaps under the id that it had before a rework.
    Revived(SessionKey),
    /// A session is there that nobody made, or two where one can be.
    Strange(SessionKey),
}

impl Wrong {
    pub(crate) const fn key(&self) -> &SessionKey {
        match self {
            Self::Lost(key) | Self::Unmoved(key) | Self::Revived(key) | Self::Strange(key) => key,
        }
    }
}

impl Account {
    pub(crate) fn new(key: &str) -> Self {
        Self {
            key: SessionKey::new(key).expect("a test's key is one"),
            live: HashMap::new(),
            reworked: HashSet::new(),
            ended: Vec::new(),
            maybe: HashMap::new(),
            either: None,
            steps: 0,
        }
    }

    pub(crate) fn id(&self, id: &str) -> RecordId {
        RecordId::new(self.key.clone(), id).expect("a test's id is one")
    }

    /// A payload that says whose it is.
    pub(crate) fn payload(&self, id: &str, saves: u64) -> String {
        format!("{{\"who\":\"{}/{id}\",\"saves\":{saves}}}", self.key.as_str())
    }

    pub(crate) fn record(&self, id: &str, saves: u64) -> Record {
        let expires_at = expiry_in(Duration::from_hours(1));
        Record::new(self.payload(id, saves), Some(expires_at))
    }

    /// How often the session was saved, if the payload is of this one.
    pub(crate) fn saves(&self, id: &str, payload: &[u8]) -> Option<u64> {
        let text = str::from_utf8(payload).ok()?;
        let rest = text.strip_prefix(&format!("{{\"who\":\"{}/{id}\",\"saves\":", self.key.as_str()))?;
        rest.strip_suffix('}')?.parse().ok()
    }

    /// Compares with what the store has.
    pub(crate) async fn check(&self, store: &dyn SessionStore) -> jam_core::Result<Vec<Wrong>> {
        let mut there: HashMap<String, State> = HashMap::new();
        for entry in store.list(&self.key).await? {
            let id = entry.id.id().to_owned();
            let saves = self.saves(&id, &entry.stored.payload);
            assert!(saves.is_some(), "a listing of one key shows the payload of another");
            there.insert(id, saves);
        }
        let mut wrong = Vec::new();
        for (id, saves) in &self.live {
            match there.remove(id).flatten() {
                Some(found) if found == *saves => {}
                Some(found) if found > *saves => wrong.push(Wrong::Strange(self.key.clone())),
                None if self.reworked.contains(id) => wrong.push(Wrong::Unmoved(self.key.clone())),
                _ => wrong.push(Wrong::Lost(self.key.clone())),
            }
        }
        if let Some((old, new)) = &self.either {
            match (there.contains_key(old), there.contains_key(new)) {
                (true, true) => wrong.push(Wrong::Strange(self.key.clone())),
                (false, false) => wrong.push(Wrong::Lost(self.key.clone())),
                _ => {}
            }
        }
        for (id, states) in &self.maybe {
            if !states.contains(&there.remove(id).flatten()) {
                wrong.push(Wrong::Lost(self.key.clone()));
            }
        }
        for id in &self.ended {
            if there.remove(id).is_some() {
                wrong.push(Wrong::Revived(self.key.clone()));
            }
        }
        wrong.extend(there.keys().map(|_| Wrong::Strange(self.key.clone())));
        Ok(wrong)
    }
}

//! Tasks whose every step follows from its number, so that a store can be compared with how far each had come.

use std::collections::BTreeMap;
use std::fmt::Write;

use jam::{Load, Record, RecordId, Rename, SessionKey, SessionStore};

/// How many tasks write at once.
pub(crate) const TASKS: u64 = 8;

/// What a task has written: payloads by record id.
type State = BTreeMap<RecordId, String>;

enum Step {
    Insert(RecordId),
    Replace(RecordId),
    Rename(RecordId, RecordId),
    Remove(RecordId),
    Clear(SessionKey),
}

/// How far a task has come, and what its sessions are then. They begin under one key and move on to another.
#[derive(Clone)]
pub(crate) struct Task {
    number: u64,
    keys: [SessionKey; 2],
    pub(crate) steps: u64,
    state: State,
}

impl Task {
    /// After so many steps.
    pub(crate) fn after(number: u64, steps: u64) -> Self {
        let key = |name: &str| SessionKey::new(format!("task {number} {name}")).unwrap();
        let mut task = Self {
            number,
            keys: [key("here"), key("there")],
            steps: 0,
            state: State::new(),
        };
        task.go_to(steps);
        task
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// All of them at the beginning.
    pub(crate) fn all() -> Vec<Self> {
        (0..TASKS).map(|number| Self::after(number, 0)).collect()
    }

    pub(crate) fn go_to(&mut self, steps: u64) {
        while self.steps < steps {
            self.next();
        }
    }

    /// What it does next, and what that makes of its sessions.
    fn next(&mut self) -> Step {
        let (number, [here, there]) = (self.steps, &self.keys);
        self.steps += 1;
        let fill = usize::try_from((self.number * 31 + number * 37) % 900).unwrap();
        let payload = format!("{{\"step\":{number},\"fill\":\"{}\"}}", "x".repeat(fill));
        let new = |key: &SessionKey| RecordId::new(key.clone(), format!("session {number}")).unwrap();
        let newest = self.state.keys().rfind(|id| id.key() == here).cloned();
        match (number % 8, newest) {
            (1 | 4, Some(old)) => {
                self.state.insert(old.clone(), payload);
                Step::Replace(old)
            }
            (3 | 5, Some(old)) => {
                let to = new(if number % 8 == 3 { here } else { there });
                self.state.remove(&old);
                self.state.insert(to.clone(), payload);
                Step::Rename(old, to)
            }
            (6, Some(old)) => {
                self.state.remove(&old);
                Step::Remove(old)
            }
            (7, _) if number % 16 == 15 => {
                let key = if number % 32 == 15 { here } else { there }.clone();
                self.state.retain(|id, _| *id.key() != key);
                Step::Clear(key)
            }
            _ => {
                let id = new(here);
                self.state.insert(id.clone(), payload);
                Step::Insert(id)
            }
        }
    }

    /// Takes the next step.
    pub(crate) async fn write(&mut self, store: &dyn SessionStore) {
        let before = self.state.len();
        let step = self.next();
        let record = |id: &RecordId| Record::new(self.state[id].clone(), None);
        match &step {
            Step::Insert(id) => store.insert(id, &record(id)).await.unwrap(),
            Step::Replace(id) => store.replace(id, None, &record(id)).await.unwrap(),
            Step::Rename(from, to) => {
                let version = store.load(from, Load::new()).await.unwrap().unwrap().version;
                let record = record(to);
                store.rename(Rename::new(from, &version, to, &record)).await.unwrap();
            }
            Step::Remove(id) => assert!(store.remove(id).await.unwrap()),
            Step::Clear(key) => {
                let cleared = (before - self.state.len()) as u64;
                assert_eq!(store.clear(key).await.unwrap(), cleared);
            }
        }
    }

    /// Compares with what is there: what was acknowledged, and of the steps in flight each as a whole or not at all.
    pub(crate) async fn check(&mut self, store: &dyn SessionStore, in_flight: u64, when: &str) {
        let mut found = State::new();
        for key in &self.keys {
            for entry in store.list(key).await.unwrap() {
                let loaded = store
                    .load(&entry.id, Load::new())
                    .await
                    .unwrap()
                    .expect("what is listed is there");
                assert_eq!(loaded.payload, entry.stored.payload, "{when}");
                found.insert(entry.id, String::from_utf8(loaded.payload.to_vec()).unwrap());
            }
        }
        let acknowledged = self.steps;
        while self.state != found {
            assert!(
                self.steps < acknowledged + in_flight,
                "{when}: task {} was told of {acknowledged} steps, and what is there is after none of those that may be: {:?}",
                self.number,
                found.keys().map(RecordId::id).collect::<Vec<_>>()
            );
            self.next();
        }
    }
}

/// How far each task has come, as one word.
pub(crate) fn to_word(tasks: &[Task]) -> String {
    tasks.iter().fold(String::new(), |mut word, task| {
        write!(word, "{}{}", if word.is_empty() { "" } else { "," }, task.steps).unwrap();
        word
    })
}

pub(crate) fn from_word(word: &str) -> Vec<Task> {
    let steps = word.split(',').map(|steps| steps.parse().unwrap());
    (0..)
        .zip(steps)
        .map(|(number, steps)| Task::after(number, steps))
        .collect()
}

//! The JSON file does what the memory store does, one call after the other or many at once, through reopening and
//! compaction.

use std::sync::Arc;
use std::time::Duration;

use crate::file_support::{Place, all, id, key};
use jam_core::{Clock, Load, MemoryStore, Record, RecordId, Rename, Renewal, Result, SessionStore, Timestamp, Version};
use jam_test_trials::{Dice, Trials};

#[derive(Clone, Debug)]
enum Call {
    Insert(RecordId, Record),
    Replace(RecordId, bool, Record),
    Touch(RecordId, Timestamp),
    Load(RecordId, Renewal),
    Rename(RecordId, RecordId, Record),
    Remove(RecordId),
    Clear(u64),
    Sweep(Timestamp),
}

impl Call {
    fn some_id(dice: &mut Dice) -> RecordId {
        id(
            &format!("user{}", dice.roll(3)),
            ["a", "b", "c~"][usize::try_from(dice.roll(3)).expect("small")],
        )
    }

    fn renewal(dice: &mut Dice, now: Timestamp) -> Renewal {
        let to = now.plus(Duration::from_secs(dice.roll(20)));
        let when_before = to.minus(Duration::from_secs(dice.roll(5)));
        Renewal::new(to, when_before)
    }

    fn random(dice: &mut Dice, now: Timestamp) -> Self {
        let soon = |dice: &mut Dice| now.plus(Duration::from_secs(dice.roll(20)));
        let record = |dice: &mut Dice| {
            let payload = match dice.roll(4) {
                0 => format!("sealed {}", dice.roll(100)),
                _ => format!("{{\"n\":{}}}", dice.roll(100)),
            };
            Record::new(payload, (dice.roll(3) > 0).then(|| soon(dice)))
        };
        match dice.roll(14) {
            0..=3 => Self::Insert(Self::some_id(dice), record(dice)),
            4..=6 => {
                // What was seen before the round is stale if a call before this one changes it.
                Self::Replace(Self::some_id(dice), dice.roll(2) == 0, record(dice))
            }
            7..=8 => Self::Touch(Self::some_id(dice), soon(dice)),
            9..=10 => Self::Rename(Self::some_id(dice), Self::some_id(dice), record(dice)),
            11 => Self::Remove(Self::some_id(dice)),
            12 => Self::Clear(dice.roll(3)),
            _ => Self::Sweep(now),
        }
    }

    /// The versions a caller has seen before.
    async fn seen(&self, store: &impl SessionStore) -> Option<Version> {
        let (Self::Replace(id, true, _) | Self::Rename(id, ..)) = self else {
            return None;
        };
        store
            .load(id, Load::new())
            .await
            .expect("load")
            .map(|stored| stored.version)
    }

    /// Makes the call and says how it went, in a way that can be compared between stores.
    async fn make(&self, store: &impl SessionStore, seen: Option<&Version>) -> String {
        fn told<T: std::fmt::Debug>(outcome: Result<T>) -> String {
            outcome.map_or_else(|error| error.kind().to_string(), |outcome| format!("{outcome:?}"))
        }
        match self {
            Self::Insert(id, record) => told(store.insert(id, record).await),
            Self::Replace(id, expected, record) => match (expected, seen) {
                (true, None) => String::new(),
                _ => told(store.replace(id, seen, record).await),
            },
            Self::Touch(id, at) => told(store.touch(id, *at).await),
            Self::Load(id, renewal) => told(
                store
                    .load(id, Load::new().renew(*renewal))
                    .await
                    .map(|stored| stored.map(|s| s.payload)),
            ),
            Self::Rename(from, to, record) => match seen {
                Some(expected) => told(store.rename(Rename::new(from, expected, to, record)).await),
                None => String::new(),
            },
            Self::Remove(id) => told(store.remove(id).await),
            Self::Clear(number) => told(store.clear(&key(&format!("user{number}"))).await),
            Self::Sweep(now) => told(store.remove_expired(*now).await.map(drop)),
        }
    }
}

#[tokio::test]
async fn it_does_what_the_memory_store_does() {
    for seed in Trials::new("walks of a JSON file beside memory", "JAM_TEST_WALKS", 4) {
        let place = Place::new();
        let mut dice = Dice::new(seed);
        let memory = MemoryStore::with_clock(place.clock.clone());
        let mut file = Arc::new(place.options().compact_after(3_000).open().await.expect("open"));
        for round in 0..1_500 {
            let now = place.clock.now();
            // A load does not queue behind the writes before it, so it has a round of its own.
            let load = Call::Load(Call::some_id(&mut dice), Call::renewal(&mut dice, now));
            assert_eq!(
                load.make(&*file, None).await,
                load.make(&memory, None).await,
                "seed {seed} round {round}"
            );
            let calls: [Call; 6] = std::array::from_fn(|_| Call::random(&mut dice, now));
            let (mut of_memory, mut of_file) = (Vec::new(), Vec::new());
            for call in &calls {
                of_memory.push(call.seen(&memory).await);
                of_file.push(call.seen(&*file).await);
            }
            let mut there = Vec::new();
            for (call, seen) in calls.iter().zip(&of_memory) {
                there.push(call.make(&memory, seen.as_ref()).await);
            }
            // All at once: they are queued in this order, and so they are decided.
            let tasks: Vec<_> = calls
                .iter()
                .zip(of_file)
                .map(|(call, seen)| {
                    let (call, file) = (call.clone(), Arc::clone(&file));
                    tokio::spawn(async move { call.make(&*file, seen.as_ref()).await })
                })
                .collect();
            let mut here = Vec::new();
            for task in tasks {
                here.push(task.await.expect("task"));
            }
            assert_eq!(here, there, "seed {seed} round {round}: {calls:?}");
            assert_eq!(
                all(&*file).await,
                all(&memory).await,
                "seed {seed} round {round}: {calls:?}"
            );
            match dice.roll(40) {
                0 => place.clock.advance(Duration::from_secs(dice.roll(10))),
                1 => {
                    drop(file);
                    file = Arc::new(place.options().compact_after(3_000).open().await.expect("open"));
                }
                2 => {
                    file.close().await.expect("close");
                    file = Arc::new(place.options().compact_after(3_000).open().await.expect("open"));
                }
                _ => {}
            }
        }
    }
}

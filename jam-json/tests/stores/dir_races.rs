//! Many tasks and several processes at once: nothing comes back from the dead, nothing is lost, nobody waits for ever.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dir_support::*;
use jam_core::{ErrorKind, Record, RecordId, Rename, SessionStore, SystemClock};
use jam_json::{Durability, JsonDir};

/// Rounds of each race; `JAM_TEST_ROUNDS` sets another number.
fn rounds(default: u64) -> u64 {
    std::env::var("JAM_TEST_ROUNDS").map_or(default, |text| text.parse().expect("JAM_TEST_ROUNDS is a number"))
}

/// Two stores on one directory, as two processes would have them: they share the lock files and nothing else.
async fn two_stores(it: Fixture) -> (Arc<Fixture>, [Arc<JsonDir>; 2]) {
    let (one, other) = (it.again().await, it.again().await);
    (Arc::new(it), [Arc::new(one), Arc::new(other)])
}

/// Starts a task, the `n`th of them on one of the two stores.
fn spawn<F, R>(stores: &[Arc<JsonDir>; 2], n: usize, work: impl FnOnce(Arc<JsonDir>) -> F) -> tokio::task::JoinHandle<R>
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    tokio::spawn(work(Arc::clone(&stores[n % 2])))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_inserts_of_one_id_exactly_one_wins() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    for round in 0..rounds(20) {
        let id = id("user1", &format!("session {round}"));
        let tasks: Vec<_> = (0..32)
            .map(|n| {
                let id = id.clone();
                spawn(&stores, n, |store| async move {
                    store.insert(&id, &forever(&format!("{{\"n\":{n}}}"))).await
                })
            })
            .collect();
        let mut won = Vec::new();
        for (n, task) in tasks.into_iter().enumerate() {
            match task.await.expect("no panic") {
                Ok(()) => won.push(n),
                Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(payload(&stores[0], &id).await, Some(format!("{{\"n\":{}}}", won[0])));
    }
}

async fn increment(store: &JsonDir, id: &RecordId) -> u64 {
    let mut conflicts = 0;
    loop {
        let stored = load(store, id).await.expect("there");
        let number: u64 = str::from_utf8(&stored.payload[5..stored.payload.len() - 1])
            .expect("text")
            .parse()
            .expect("a number");
        let record = forever(&format!("{{\"n\":{}}}", number + 1));
        match store.replace(id, Some(&stored.version), &record).await {
            Ok(()) => return conflicts,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
        conflicts += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_increment_is_lost() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    let a = id("user1", "user1:a");
    stores[0].insert(&a, &forever("{\"n\":0}")).await.expect("inserted");
    let each = rounds(25);
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let id = a.clone();
            spawn(&stores, n, move |store| async move {
                let mut conflicts = 0;
                for _ in 0..each {
                    conflicts += increment(&store, &id).await;
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await.expect("no panic");
    }
    assert_eq!(payload(&stores[0], &a).await, Some(format!("{{\"n\":{}}}", 32 * each)));
    assert!(conflicts > 0, "they did race");
}

#[derive(Clone, Copy, Debug)]
enum End {
    Remove,
    Clear,
    Rename,
    RenameAway,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_late_write_revives_an_ended_session() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    for round in 0..rounds(40) {
        for end in [End::Remove, End::Clear, End::Rename, End::RenameAway] {
            race(&stores, round, end).await;
        }
    }
}

/// 32 tasks save and touch a session that one more ends meanwhile. Afterwards it must be gone, and stay so.
async fn race(stores: &[Arc<JsonDir>; 2], round: u64, end: End) {
    let old = id("user1", &format!("{round} old"));
    let new = match end {
        End::RenameAway => id("user2", &format!("{round} new")),
        _ => id("user1", &format!("{round} new")),
    };
    stores[0].insert(&old, &until("{\"n\":0}", 60)).await.expect("inserted");
    let ended = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..32)
        .map(|n| {
            let (old, ended) = (old.clone(), Arc::clone(&ended));
            spawn(stores, n, move |store| async move {
                for _ in 0..4 {
                    let was_ended = ended.load(Ordering::SeqCst);
                    let written = match n % 3 {
                        0 => store.replace(&old, None, &until("{\"late\":1}", 60)).await.is_ok(),
                        1 => store.touch(&old, after(100)).await.expect("touched"),
                        _ => load(&store, &old).await.is_some(),
                    };
                    assert!(
                        !(was_ended && written),
                        "{end:?}: something was written to a session that had ended"
                    );
                }
            })
        })
        .collect();
    let finisher = {
        let (old, new, ended) = (old.clone(), new.clone(), Arc::clone(&ended));
        spawn(stores, 1, move |store| async move {
            tokio::task::yield_now().await;
            match end {
                End::Remove => assert!(store.remove(&old).await.expect("removed")),
                End::Clear => assert_eq!(store.clear(old.key()).await.expect("cleared"), 1),
                End::Rename | End::RenameAway => move_on(&store, &old, &new).await,
            }
            ended.store(true, Ordering::SeqCst);
        })
    };
    finisher.await.expect("no panic");
    for writer in writers {
        writer.await.expect("no panic");
    }
    for store in stores {
        assert!(load(store, &old).await.is_none(), "{end:?}: revived");
    }
    if matches!(end, End::Rename | End::RenameAway) {
        assert_eq!(payload(&stores[0], &new).await.as_deref(), Some("{\"new\":1}"));
        assert!(stores[1].remove(&new).await.expect("removed"));
    }
    assert!(stores[0].list(old.key()).await.expect("listed").is_empty(), "{end:?}");
}

async fn move_on(store: &JsonDir, old: &RecordId, new: &RecordId) {
    loop {
        let version = load(store, old).await.expect("only this task ends it").version;
        let record = forever("{\"new\":1}");
        match store.rename(Rename::new(old, &version, new, &record)).await {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_a_moving_session_under_one_of_its_ids_at_every_moment() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    let ids = [id("user1", "a"), id("user1", "b"), id("user1", "c")];
    stores[0]
        .insert(&ids[0], &forever("{\"n\":0}"))
        .await
        .expect("inserted");
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|n| {
            let done = Arc::clone(&done);
            spawn(&stores, n, move |store| async move {
                let mut looks = 0;
                while !done.load(Ordering::SeqCst) {
                    let listed = store.list(&key("user1")).await.expect("listed");
                    assert_eq!(listed.len(), 1, "never both, never neither");
                    let page = store
                        .scan(None, 10)
                        .await
                        .expect("a session that moves is never taken for damaged");
                    assert!(page.entries.len() <= 3);
                    for id in ["a", "b", "c"] {
                        load(&store, &self::id("user1", id)).await;
                    }
                    looks += 1;
                }
                looks
            })
        })
        .collect();
    for step in 0..usize::try_from(rounds(300)).expect("small") {
        let (from, to) = (&ids[step % 3], &ids[(step + 1) % 3]);
        let version = load(&stores[1], from).await.expect("there").version;
        let record = forever(&format!("{{\"n\":{}}}", "1".repeat(1 + step % 50)));
        stores[step % 2]
            .rename(Rename::new(from, &version, to, &record))
            .await
            .expect("renamed");
        assert!(load(&stores[0], from).await.is_none());
        assert_eq!(load(&stores[1], to).await.expect("there").payload, record.payload);
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.expect("no panic") > 0, "they did read");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opposite_moves_between_two_keys_do_not_wait_for_each_other() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            spawn(&stores, n, move |store| async move {
                let keys = if n % 4 < 2 {
                    ["user1", "user2"]
                } else {
                    ["user2", "user1"]
                };
                let (from, to) = (id(keys[0], &format!("{n}")), id(keys[1], &format!("{n}")));
                store.insert(&from, &forever("{}")).await.expect("inserted");
                for _ in 0..20 {
                    for (from, to) in [(&from, &to), (&to, &from)] {
                        let version = load(&store, from).await.expect("there").version;
                        let record = forever("{}");
                        store
                            .rename(Rename::new(from, &version, to, &record))
                            .await
                            .expect("renamed");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(stores[0].scan(None, 99).await.expect("scanned").entries.len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_renewal_that_races_an_expiry_sweep_keeps_the_session() {
    let (it, stores) = two_stores(Fixture::new().await).await;
    for round in 0..rounds(40) {
        let a = id("user1", &format!("session {round}"));
        stores[0].insert(&a, &until("{}", 60)).await.expect("inserted");
        let touch = {
            let a = a.clone();
            spawn(&stores, 0, |store| async move {
                store.touch(&a, after(600)).await.expect("touched")
            })
        };
        let sweep = spawn(&stores, 1, |store| async move {
            store.remove_expired(after(60)).await.expect("swept")
        });
        let (touched, swept) = (touch.await.expect("no panic"), sweep.await.expect("no panic"));
        assert_ne!(touched, swept == 1, "either it was prolonged or it was swept");
        assert_eq!(load(&it.store, &a).await.is_some(), touched);
        it.store.remove(&a).await.expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dropped_call_happens_as_a_whole_or_not_at_all_and_holds_up_nobody() {
    let (_it, stores) = two_stores(Fixture::new().await).await;
    let a = id("user1", "user1:a");
    stores[0].insert(&a, &forever("{\"n\":0}")).await.expect("inserted");
    for round in 0..rounds(200) {
        let record = Record::new(format!("{{\"n\":{round}}}"), None);
        let dropped = stores[0].replace(&a, None, &record);
        let polls = round % 4;
        give_up(dropped, polls).await;
        let record = forever(&format!("{{\"after\":{round}}}"));
        stores[1].replace(&a, None, &record).await.expect("nobody is held up");
    }
    assert!(load(&stores[0], &a).await.is_some());
}

/// Polls a future so many times and drops it.
async fn give_up<F: Future>(future: F, polls: u64) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready()));
        if polled.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

const CHILD_DIRECTORY: &str = "JAM_TEST_RACING_DIRECTORY";

fn child(name: &str, directory: &std::path::Path, number: usize) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this test's path"))
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env("JAM_TEST_CHILD", number.to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("a second process")
}

#[tokio::test]
async fn processes_that_share_a_directory_lose_no_increment_and_no_session() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = JsonDir::options()
        .storage_path(directory.path())
        .durability(Durability::Os)
        .clock(Arc::new(SystemClock))
        .open()
        .await
        .expect("opened");
    let counter = id("shared", "counter");
    store.insert(&counter, &forever("{\"n\":0}")).await.expect("inserted");
    let children: Vec<_> = (0..3)
        .map(|number| child("dir_races::one_of_several_processes", directory.path(), number))
        .collect();
    for mut child in children {
        assert!(
            child.wait().expect("waited").success(),
            "a process failed; see its output above"
        );
    }
    assert_eq!(payload(&store, &counter).await.as_deref(), Some("{\"n\":300}"));
    let left: BTreeSet<_> = store
        .list(&key("crowd"))
        .await
        .expect("listed")
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    let expected = (0..3).flat_map(|n| (50..100).map(move |i| id("crowd", &format!("{n} moved {i}"))));
    assert_eq!(left, expected.collect());
}

#[tokio::test]
#[ignore = "run by processes_that_share_a_directory_lose_no_increment_and_no_session in a process of its own"]
async fn one_of_several_processes() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else {
        return;
    };
    let number = std::env::var("JAM_TEST_CHILD").expect("its number");
    let options = JsonDir::options().storage_path(directory).durability(Durability::Os);
    let store = options.open().await.expect("opened");
    for index in 0..100 {
        increment(&store, &id("shared", "counter")).await;
        let (from, to) = (
            id("crowd", &format!("{number} {index}")),
            id("crowd", &format!("{number} moved {index}")),
        );
        store.insert(&from, &forever("{}")).await.expect("inserted");
        move_on(&store, &from, &to).await;
        if index < 50 {
            assert!(store.remove(&to).await.expect("removed"));
        }
        if index % 10 == 0 {
            store.remove_expired(NOW).await.expect("swept");
        }
    }
}

//! Logging in: a session moves from one key to another, on the same node or not.

use std::sync::Arc;
use std::time::Duration;

use jam_core::{ErrorKind, Load as How, Rename, Result, SessionKey, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::slot_of;

use crate::Stage;
use crate::support::{IN_TIME, id, open, options, path, record, slots_of, tag, tagged};

async fn rename(store: &RedisStore, from: &SessionKey, to: &SessionKey) -> Result<()> {
    let (old, new) = (id(from, "old"), id(to, "new"));
    let version = store
        .load(&old, How::new())
        .await?
        .expect("the session is there")
        .version;
    store.rename(Rename::new(&old, &version, &new, &record("moved"))).await
}

/// Whether the session is at its old key, and whether at its new one.
async fn where_is(store: &RedisStore, from: &SessionKey, to: &SessionKey) -> (bool, bool) {
    let old = store.load(&id(from, "old"), How::new()).await.unwrap().is_some();
    let new = store.load(&id(to, "new"), How::new()).await.unwrap().is_some();
    (old, new)
}

/// Two keys, on two nodes.
fn apart(cluster: &Stage) -> (SessionKey, SessionKey) {
    let one = cluster.primary_of("one");
    let slots = slots_of(one, one.port());
    let from = tagged(&tag("visitor", |slot| slots.contains(&slot)), "");
    (from, tagged(&tag("user", |slot| !slots.contains(&slot)), ""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_in_one_slot_are_renamed_by_one_command() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let (from, to) = (tagged("same", "visitor"), tagged("same", "user"));
    store.insert(&id(&from, "old"), &record("x")).await.unwrap();
    let version = store
        .load(&id(&from, "old"), How::new())
        .await
        .unwrap()
        .unwrap()
        .version;
    let mut monitor = cluster.primary_of("same").monitor();
    let (old, new) = (id(&from, "old"), id(&to, "new"));
    store
        .rename(Rename::new(&old, &version, &new, &record("moved")))
        .await
        .unwrap();
    let mut commands = monitor.client_commands();
    commands.retain(|command| !["PING", "REPLCONF"].contains(&command.as_str()));
    assert_eq!(commands, ["EVALSHA"]);
    assert_eq!(where_is(&store, &from, &to).await, (false, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_whose_slot_is_half_moved_are_renamed_once_they_are_together() {
    let cluster = Stage::set().await;
    // It waits for as long as an answer may take, which on a busy machine must not be over before the keys are together.
    let patient = options(cluster.url(), &path()).response_timeout(Duration::from_secs(30));
    let store = Arc::new(patient.open().await.unwrap());
    let (from, to) = (tagged("together", "visitor"), tagged("together", "user"));
    store.insert(&id(&from, "old"), &record("x")).await.unwrap();
    store.insert(&id(&to, "other"), &record("x")).await.unwrap();
    let home = cluster.primary_of("together").port();
    let target = cluster.primaries().into_iter().find(|node| node.port() != home);
    let migration = cluster.begin_migrating(slot_of("together"), target.unwrap());
    assert_eq!(migration.move_keys(1), 1);
    let renaming = {
        let (store, from, to) = (store.clone(), from.clone(), to.clone());
        tokio::spawn(async move { rename(&store, &from, &to).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!renaming.is_finished(), "no node has both keys");
    migration.finish();
    renaming.await.unwrap().unwrap();
    assert_eq!(where_is(&store, &from, &to).await, (false, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rename_across_nodes_that_is_refused_leaves_all_as_it_was() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let (from, to) = apart(&cluster);
    let (old, new) = (id(&from, "old"), id(&to, "new"));
    store.insert(&old, &record("x")).await.unwrap();
    let version = store.load(&old, How::new()).await.unwrap().unwrap().version;
    store.replace(&old, None, &record("changed")).await.unwrap();
    let moved = record("moved");
    let rename = || store.rename(Rename::new(&old, &version, &new, &moved));
    assert_eq!(rename().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(where_is(&store, &from, &to).await, (true, false));
    store.remove(&old).await.unwrap();
    assert_eq!(rename().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(where_is(&store, &from, &to).await, (false, false));
    assert!(store.list(&to).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_broken_off_half_way_leaves_the_old_session_and_says_what_it_does_not_know() {
    let cluster = Stage::set().await;
    let store = open(cluster.url(), &path()).await;
    let (from, to) = apart(&cluster);
    let hash = |key: &SessionKey| key.as_str().to_owned();
    for away in [&from, &to] {
        store.clear(&from).await.unwrap();
        store.clear(&to).await.unwrap();
        let (old, new) = (id(&from, "old"), id(&to, "new"));
        store.insert(&old, &record("x")).await.unwrap();
        let version = store.load(&old, How::new()).await.unwrap().unwrap().version;
        let node = cluster.primary_of(&hash(away));
        node.pause();
        let start = std::time::Instant::now();
        let moved = record("moved");
        let rename = store.rename(Rename::new(&old, &version, &new, &moved));
        let error = rename.await.unwrap_err();
        assert!(start.elapsed() < IN_TIME);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.outcome_unknown(), "the silent node may still do it: {error}");
        node.resume();
        cluster.wait_until_ok();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = store.load(&old, How::new()).await;
        let _ = store.load(&new, How::new()).await;
        // Nobody was given the new id; the old one is as good as it can be known to be.
        let (old, new) = where_is(&store, &from, &to).await;
        assert!(old || new, "the session is not lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_login_that_cannot_reach_the_old_sessions_node_takes_the_new_one_back() {
    let cluster = Stage::set().await;
    let path = path();
    let (from, to) = apart(&cluster);
    let store = open(cluster.url(), &path).await;
    let (old, new) = (id(&from, "old"), id(&to, "new"));
    store.insert(&old, &record("x")).await.unwrap();
    let version = store.load(&old, How::new()).await.unwrap().unwrap().version;
    let node = cluster.primary_of(from.as_str());
    node.kill();
    // The lost connection shows first, so that the rename has none to send anything on.
    while store.load(&old, How::new()).await.is_ok() {}
    let moved = record("moved");
    let error = store
        .rename(Rename::new(&old, &version, &new, &moved))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.outcome_unknown(), "nothing was sent to the old node: {error}");
    assert!(
        store.list(&to).await.unwrap().is_empty(),
        "the new session was taken back"
    );
}

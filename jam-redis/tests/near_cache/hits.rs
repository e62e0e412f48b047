//! What a hit costs, and one's own writes.

use std::sync::Arc;
use std::time::Duration;

use jam_core::{Load, Renewal, SessionStore, Sessions};
use jam_test_servers::{Kind, Monitor, Server};
use serde_json::json;
use tokio::task::JoinSet;

use crate::common::{after, pass};
use crate::{eventually, id, near, payload, record, tracks, warm};

/// How often clients asked for a session.
fn asked(monitor: &mut Monitor) -> usize {
    let lines = monitor.lines_until_quiet();
    let asks = |line: &&jam_test_servers::Line| !line.in_script() && line.words().iter().any(|word| word == "one");
    lines.iter().filter(asks).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hit_asks_the_server_nothing() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = near(server.url()).open().await.unwrap();
        let one = id("user1", "one");
        store.insert(&one, &record("{}", Some(60_000))).await.unwrap();
        warm(&store, &server, &one).await;
        let mut monitor = server.monitor();
        for _ in 0..1_000 {
            assert_eq!(payload(&store, &one).await.as_deref(), Some("{}"));
        }
        assert_eq!(asked(&mut monitor), 0, "{kind:?}");
        store.load(&one, Load::new().fresh()).await.unwrap().unwrap();
        assert_eq!(asked(&mut monitor), 1, "{kind:?}: what decides is asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_read_back_what_they_wrote_at_once() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let sessions = Sessions::new(near(server.url()).open().await.unwrap());
        let mut tasks = JoinSet::new();
        for task in 0..64_u64 {
            let sessions = sessions.clone();
            tasks.spawn(async move {
                let id = sessions
                    .create(format!("user{}", task % 8), json!({"count": 0}))
                    .await
                    .unwrap();
                for count in 1..=100_u64 {
                    sessions.update(&id, json!({"count": count})).await.unwrap();
                    for _ in 0..3 {
                        let read = sessions.get(&id).await.unwrap().unwrap();
                        assert_eq!(read.get::<u64>("count").unwrap(), Some(count));
                    }
                }
                assert!(sessions.delete(&id).await.unwrap());
                assert!(sessions.get(&id).await.unwrap().is_none());
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        assert!(tracks(&server) == 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hit_never_outlives_the_session() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = near(server.url()).open().await.unwrap();
        let other = id("user1", "other");
        store.insert(&other, &record("{}", None)).await.unwrap();
        warm(&store, &server, &other).await;
        for round in 0..5 {
            let one = id(&format!("user{round}"), "one");
            let ends = after(Duration::from_millis(300));
            store
                .insert(&one, &jam_core::Record::new("{}", Some(ends)))
                .await
                .unwrap();
            let mut there = 0;
            loop {
                // Before it is asked: on a busy machine its answer may have to wait for a thread.
                let asked = crate::common::now();
                if payload(&store, &one).await.is_none() {
                    break;
                }
                there += 1;
                assert!(asked <= ends.plus(Duration::from_millis(20)), "{kind:?}");
            }
            assert!(there > 1_000, "{kind:?}: {there} reads, most of them hits");
            pass(ends).await;
            assert_eq!(payload(&store, &one).await, None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_renewal_is_made_when_it_is_due_and_costs_nothing_when_it_is_not() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        let store = near(server.url()).open().await.unwrap();
        let one = id("user1", "one");
        let ends = after(Duration::from_mins(1));
        store
            .insert(&one, &jam_core::Record::new("{}", Some(ends)))
            .await
            .unwrap();
        warm(&store, &server, &one).await;
        let mut monitor = server.monitor();
        let not_due = Load::new().renew(Renewal::new(ends.plus(Duration::from_secs(1)), ends));
        for _ in 0..100 {
            store.load(&one, not_due).await.unwrap().unwrap();
        }
        assert_eq!(asked(&mut monitor), 0, "{kind:?}");
        let to = ends.plus(Duration::from_mins(1));
        store
            .load(&one, Load::new().renew(Renewal::new(to, to)))
            .await
            .unwrap()
            .unwrap();
        let listed = store.list(one.key()).await.unwrap();
        assert_eq!(listed[0].expires_at, Some(to), "{kind:?}");
    }
}

/// Nobody reads, so nobody is asked; the next reader finds everything as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_was_dropped_lets_go_of_its_connections() {
    let server = Server::start(Kind::New);
    let store = near(server.url()).open().await.unwrap();
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    warm(&store, &server, &one).await;
    assert_eq!(tracks(&server), 1);
    drop(store);
    eventually("the connection is closed", || async { tracks(&server) == 0 }).await;
    let store = near(server.url()).open().await.unwrap();
    warm(&store, &server, &one).await;
    store.close().await.unwrap();
    assert!(store.load(&one, Load::new()).await.is_err(), "closed");
    eventually("the connection is closed", || async { tracks(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_another_task_reads_is_kept_for_all() {
    let server = Server::start(Kind::New);
    let store = Arc::new(near(server.url()).open().await.unwrap());
    let one = id("user1", "one");
    store.insert(&one, &record("{}", None)).await.unwrap();
    warm(&store, &server, &one).await;
    let mut monitor = server.monitor();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (store, one) = (Arc::clone(&store), one.clone());
        tasks.spawn(async move { payload(&store, &one).await });
    }
    while let Some(read) = tasks.join_next().await {
        assert!(read.unwrap().is_some());
    }
    assert_eq!(asked(&mut monitor), 0);
}

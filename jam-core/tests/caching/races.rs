//! Many at once: what was written is read back, and what was ended does not come back.

use std::time::{Duration, Instant};

use jam_core::cache::CachingStore;
use jam_core::{MemoryStore, Sessions};
use serde_json::json;
use tokio::task::JoinSet;

/// A cache that would show anything for an hour.
fn sessions() -> Sessions {
    Sessions::new(CachingStore::new(MemoryStore::new(), Duration::from_hours(1), 10_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_read_back_what_they_wrote_at_once() {
    let sessions = sessions();
    let mut tasks = JoinSet::new();
    for task in 0..64_u64 {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            // Few users, so that they make each other forget.
            let id = sessions
                .create(format!("user{}", task % 4), json!({"count": 0}))
                .await
                .unwrap();
            for count in 1..=300_u64 {
                sessions.update(&id, json!({"count": count})).await.unwrap();
                for _ in 0..3 {
                    let read = sessions.get(&id).await.unwrap().unwrap();
                    assert_eq!(read.get::<u64>("count").unwrap(), Some(count));
                }
                if count % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_ended_through_a_manager_it_never_shows_again() {
    let sessions = sessions();
    for round in 0..2_000 {
        let id = sessions.create("user1", json!({})).await.unwrap();
        let mut readers = JoinSet::new();
        for _ in 0..4 {
            let (sessions, id) = (sessions.clone(), id.clone());
            readers.spawn(async move {
                let since = Instant::now();
                while sessions.get(&id).await.unwrap().is_some() {
                    assert!(
                        since.elapsed() < Duration::from_secs(10),
                        "a reader sees it to this day"
                    );
                    tokio::task::yield_now().await;
                }
            });
        }
        match round % 4 {
            0 => assert!(sessions.delete(&id).await.unwrap()),
            1 => assert!(sessions.clear("user1").await.unwrap() > 0),
            2 => drop(
                sessions
                    .rework_as(&id, "user2", jam_core::SessionOptions::new())
                    .await
                    .unwrap(),
            ),
            _ => {
                let handle = sessions.list("user1").await.unwrap()[0].handle().clone();
                assert!(sessions.revoke("user1", handle.as_str()).await.unwrap());
            }
        }
        assert!(sessions.get(&id).await.unwrap().is_none(), "round {round}");
        while let Some(ended) = readers.join_next().await {
            ended.unwrap();
        }
    }
}

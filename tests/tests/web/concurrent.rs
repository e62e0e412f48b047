//! Many requests of one session at once, on every store.

use std::sync::Arc;

use jam::Sessions;
use jam_http::{Session, SessionConfig};
use jam_tests::web::{Browser, Framework, Site};
use jam_tests::{Stage, on_every_framework_and_store};
use serde_json::json;
use tokio::sync::{Barrier, Semaphore};

use crate::support::{cookie_of, everything_in};

on_every_framework_and_store!(
    sixty_four_requests_that_set_a_field_each_all_win,
    counters_of_many_tabs_lose_no_step,
    a_logout_is_not_undone_by_a_thousand_writers_in_flight,
    changes_race_rotations_and_lose_nothing,
);

async fn begin<F: Framework>(sessions: &Sessions, site: Site) -> (F, String) {
    let id = sessions.create("user1", json!({})).await.unwrap();
    (F::serve(site).await, cookie_of(id))
}

/// Sends that many requests at once, each in a task of its own, and waits for all.
async fn all_at_once<F: Framework>(app: &F, cookie: &str, paths: impl Iterator<Item = &'static str>) {
    let tasks: Vec<_> = paths
        .map(|path| {
            let tab = Browser::with_cookie(app, cookie);
            tokio::spawn(async move { assert_eq!(tab.status(path).await, 200) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn sixty_four_requests_that_set_a_field_each_all_win<F: Framework>(stage: Stage) {
    let sessions = stage.sessions();
    // All have loaded before the first one writes.
    let barrier = Arc::new(Barrier::new(64));
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let site = Site::new(SessionConfig::new(sessions.clone())).on("/field", move |session: Session| {
        let (barrier, next) = (Arc::clone(&barrier), Arc::clone(&next));
        async move {
            let n = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            session.insert(format!("field{n}"), n).await?;
            barrier.wait().await;
            Ok("")
        }
    });
    let (app, cookie) = begin::<F>(&sessions, site).await;
    all_at_once(&app, &cookie, (0..64).map(|_| "/field")).await;
    let data = sessions.list("user1").await.unwrap().remove(0).data().unwrap();
    assert_eq!(data.len(), 64);
    assert!((0..64).all(|n| data[&format!("field{n}")] == n));
}

async fn counters_of_many_tabs_lose_no_step<F: Framework>(stage: Stage) {
    let sessions = stage.sessions();
    let site = Site::new(SessionConfig::new(sessions.clone())).on("/count", |session: Session| async move {
        let raise = |data: &mut jam::Data| {
            let n = data.get("n").and_then(serde_json::Value::as_u64).unwrap_or(0) + 1;
            data.insert("n".into(), n.into());
            n
        };
        session.modify(raise).await
    });
    let (app, cookie) = begin::<F>(&sessions, site).await;
    all_at_once(&app, &cookie, (0..200).map(|_| "/count")).await;
    let data = sessions.list("user1").await.unwrap().remove(0).data().unwrap();
    assert_eq!(data["n"], 200);
}

async fn a_logout_is_not_undone_by_a_thousand_writers_in_flight<F: Framework>(stage: Stage) {
    const WRITERS: usize = 1000;
    let sessions = stage.sessions();
    let (arrived, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let gates = (Arc::clone(&arrived), Arc::clone(&go));
    let site = Site::new(SessionConfig::new(sessions.clone()))
        .on("/write", move |session: Session| {
            let (arrived, go) = gates.clone();
            async move {
                session.insert("n", 1).await?;
                arrived.add_permits(1);
                go.acquire().await.unwrap().forget();
                Ok("")
            }
        })
        .on("/logout", |session: Session| async move { session.logout().await });
    let (app, cookie) = begin::<F>(&sessions, site).await;
    let writers = tokio::spawn({
        let (app, cookie) = (app.clone(), cookie.clone());
        async move { all_at_once(&app, &cookie, (0..WRITERS).map(|_| "/write")).await }
    });
    let all = u32::try_from(WRITERS).unwrap();
    arrived.acquire_many(all).await.unwrap().forget();
    // Some write before the logout, some at the same time, some after it.
    go.add_permits(WRITERS / 10);
    tokio::task::yield_now().await;
    let browser = Browser::with_cookie(&app, cookie.clone());
    let logout = tokio::spawn(async move { browser.read("/logout").await });
    go.add_permits(WRITERS / 2);
    assert_eq!(logout.await.unwrap(), "true");
    go.add_permits(WRITERS);
    writers.await.unwrap();
    assert_eq!(sessions.list("user1").await.unwrap().len(), 0);
    assert_eq!(everything_in(&sessions).await.len(), 0, "sessions that came back");
}

async fn changes_race_rotations_and_lose_nothing<F: Framework>(stage: Stage) {
    let grace = std::time::Duration::from_mins(1);
    let sessions = stage.builder().grace(grace).build().unwrap();
    let config = SessionConfig::builder(sessions.clone())
        .rotate_every(grace)
        .build()
        .unwrap();
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let site = Site::new(config).on("/field", move |session: Session| {
        let next = Arc::clone(&next);
        async move {
            let n = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            session.insert(format!("field{n}"), n).await?;
            tokio::task::yield_now().await;
            Ok("")
        }
    });
    let (app, mut cookie) = begin::<F>(&sessions, site).await;
    for round in 1..=5 {
        stage.advance(61);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let tab = Browser::with_cookie(&app, cookie.clone());
                tokio::spawn(async move {
                    assert_eq!(tab.status("/field").await, 200);
                    tab.cookie().unwrap()
                })
            })
            .collect();
        let before = cookie.clone();
        for task in tasks {
            let now = task.await.unwrap();
            if now != before {
                cookie = now;
            }
        }
        assert_ne!(cookie, before, "round {round}");
    }
    let data = sessions.list("user1").await.unwrap().remove(0).data().unwrap();
    assert_eq!(data.len(), 80);
}

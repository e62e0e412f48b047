//! Where a call works, and where it is refused instead of hanging.

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use jam::blocking::Sessions;
use jam::{ErrorKind, MemoryStore, SessionOptions};
use jam_tests::{Stage, kind};
use serde_json::json;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::coop;

use crate::support::*;

on_every_store_blocking!(works_wherever_a_thread_may_block);

fn memory() -> Sessions {
    Sessions::new(MemoryStore::new()).unwrap()
}

fn works_wherever_a_thread_may_block(stage: impl Future<Output = Stage>) {
    let (_stage, sessions) = open(stage, |builder| builder);
    let call = {
        let sessions = sessions.clone();
        move || {
            let id = sessions.create("user1", json!({})).unwrap();
            sessions.modify(&id, |data| data.insert("n".into(), 1.into())).unwrap();
            assert!(sessions.delete(&id).unwrap());
        }
    };
    call();
    thread::spawn(call.clone()).join().unwrap();
    let several = Runtime::new().unwrap();
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    for runtime in [&several, &one] {
        runtime.block_on(runtime.spawn_blocking(call.clone())).unwrap();
        let _context = runtime.enter();
        call();
    }
    let task = several.spawn({
        let call = call.clone();
        async move { tokio::task::block_in_place(call) }
    });
    several.block_on(task).unwrap();
    several.block_on(async { tokio::task::block_in_place(call) });
}

fn assert_refused<T>(result: jam::Result<T>) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!error.is_retryable());
    let message = error.to_string();
    assert!(
        message.contains("spawn_blocking") && message.contains("operation="),
        "{message}"
    );
}

/// Every operation that waits.
fn assert_all_refused(sessions: &Sessions, id: &jam::SessionId, session: &jam::Session) {
    let none = SessionOptions::new();
    assert_refused(sessions.create("user2", json!({})));
    assert_refused(sessions.create_with("user2", json!({}), none));
    assert_refused(sessions.get(id));
    assert_refused(sessions.get_as::<jam::Data>(id));
    assert_refused(sessions.exists(id));
    assert_refused(sessions.update(id, json!({"n": 2})));
    assert_refused(sessions.touch(id));
    assert_refused(sessions.delete(id));
    assert_refused(sessions.clear("user1"));
    assert_refused(sessions.modify(id, jam::Data::clear));
    assert_refused(sessions.try_modify(id, |_| Ok::<_, ()>(())));
    assert_refused(sessions.commit(session.clone()));
    assert_refused(sessions.rework(id));
    assert_refused(sessions.rework_loaded_with_grace(session));
    assert_refused(sessions.rework_with_grace(id));
    assert_refused(sessions.rework_as(id, "user2", none));
    assert_refused(sessions.mark_superseded(session, Duration::from_secs(30)));
    assert_refused(sessions.delete_superseded(id));
    assert_refused(sessions.delete_superseded_as(id, "user2"));
    assert_refused(sessions.was_superseded(id));
    assert_refused(sessions.list("user1"));
    assert_refused(sessions.revoke("user1", session.handle()));
    assert_refused(sessions.clear_others(id));
    assert_refused(sessions.remove_expired());
    assert_refused(sessions.close());
    assert_refused(jam::blocking::open("memory:"));
}

#[test]
fn inside_async_code_every_call_is_refused_before_anything_happens() {
    let sessions = memory();
    let id = sessions.create("user1", json!({"n": 1})).unwrap();
    let session = sessions.get(&id).unwrap().unwrap();
    let several = Runtime::new().unwrap();
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    for runtime in [&several, &one] {
        runtime.block_on(async { assert_all_refused(&sessions, &id, &session) });
        let (sessions, id, session) = (sessions.clone(), id.clone(), session.clone());
        let task = runtime.spawn(async move { assert_all_refused(&sessions, &id, &session) });
        runtime.block_on(task).unwrap();
    }
    tokio::task::LocalSet::new().block_on(&one, async {
        let (sessions, id, session) = (sessions.clone(), id.clone(), session.clone());
        let task = tokio::task::spawn_local(async move { assert_all_refused(&sessions, &id, &session) });
        task.await.unwrap();
    });
    let session = sessions.get(&id).unwrap().unwrap();
    assert_eq!(session.get::<u64>("n").unwrap(), Some(1));
    assert_eq!(sessions.list("user1").unwrap().len(), 1);
    assert_eq!(sessions.list("user2").unwrap().len(), 0);
}

#[test]
fn what_needs_no_waiting_works_inside_async_code() {
    let one = Builder::new_current_thread().build().unwrap();
    one.block_on(async {
        let sessions = memory();
        assert!(sessions.grace().is_none() && !sessions.renews_on_read());
        assert_eq!(sessions.lifetime("nonsense"), None);
        assert!(sessions.life("nonsense").is_none());
        let id = sessions.as_async().create("user1", json!({})).await.unwrap();
        assert!(sessions.as_async().exists(&id).await.unwrap());
    });
}

#[test]
fn being_refused_takes_nothing_from_the_task_that_asked() {
    fn steps() -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(_whole) = coop::poll_proceed(&mut context) else {
            return 0;
        };
        let step = |_| match coop::poll_proceed(&mut context) {
            Poll::Ready(step) => {
                step.made_progress();
                true
            }
            Poll::Pending => false,
        };
        1 + (0..10_000).map(step).take_while(|made| *made).count()
    }
    let one = Builder::new_current_thread().build().unwrap();
    one.block_on(async {
        let sessions = memory();
        coop::consume_budget().await;
        let before = steps();
        assert!((2..1000).contains(&before), "{before}");
        assert_refused(sessions.get("id"));
        assert_eq!(steps(), before);
        // Nor does it matter that there is none left.
        while coop::has_budget_remaining() {
            let Poll::Ready(step) = coop::poll_proceed(&mut Context::from_waker(Waker::noop())) else {
                break;
            };
            step.made_progress();
        }
        assert_refused(sessions.get("id"));
        assert_eq!(steps(), 0);
    });
}

#[test]
fn async_code_that_cannot_be_told_is_held_up_and_no_more() {
    let one = Builder::new_current_thread().enable_all().build().unwrap();
    let (_stage, sessions) = open(Stage::redis_new(), |builder| builder);
    let call = || {
        let id = sessions.create("user1", json!({})).unwrap();
        assert!(sessions.delete(&id).unwrap());
    };
    one.block_on(coop::unconstrained(async { call() }));
    futures_lite::future::block_on(async { call() });
}

#[test]
fn a_call_from_inside_a_change_is_refused_instead_of_waiting_for_itself() {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let sessions = memory();
        let id = sessions.create("user1", json!({"n": 1})).unwrap();
        let inner = sessions.modify(&id, |data| {
            data["n"] = 2.into();
            sessions.modify(&id, |data| data["n"] = 3.into())
        });
        let n = sessions.get(&id).unwrap().unwrap().get::<u64>("n").unwrap();
        tell.send((inner.unwrap().unwrap_err(), n)).unwrap();
    });
    let (error, n) = told.recv_timeout(Duration::from_secs(20)).expect("it waits for itself");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("inside another one"), "{error}");
    assert_eq!(n, Some(2));
}

#[test]
fn a_manager_of_async_code_has_a_blocking_face() {
    let several = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let async_face = several.block_on(jam::open(url)).unwrap();
    let sessions = Sessions::try_from(async_face.clone()).unwrap();
    let id = sessions.create("user1", json!({"n": 1})).unwrap();
    several.block_on(async {
        async_face.modify(&id, |data| data["n"] = 2.into()).await.unwrap();
        let face = sessions.clone();
        let read = tokio::task::spawn_blocking(move || face.get(&id)).await.unwrap();
        assert_eq!(read.unwrap().unwrap().get::<u64>("n").unwrap(), Some(2));
        assert_eq!(kind(sessions.list("user1")), ErrorKind::Unsupported);
        assert_eq!(
            Handle::current().runtime_flavor(),
            tokio::runtime::RuntimeFlavor::MultiThread
        );
    });
}

//! Handlers that fail, panic, or are late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::poll_once;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use jam::{MemoryStore, Sessions};
use jam_http::{Error, Exchange, Session, SessionConfig};
use jam_tests::web::{Browser, Framework, Site};
use jam_tests::{Hooked, on_every_framework};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::support::{cookie_of, header, pages, sessions};

on_every_framework!(
    field_changes_of_a_failed_request_are_dropped,
    field_changes_of_a_failed_request_are_kept_where_configured,
    field_changes_of_a_refused_request_are_kept,
    field_changes_of_a_grpc_call_that_failed_are_dropped,
    a_login_before_a_failure_holds_and_its_cookie_goes_out,
    a_logout_and_a_rework_before_a_failure_hold,
    a_panic_is_answered_500_with_the_cookie_of_the_login,
    a_change_after_the_headers_left_is_an_error,
    reading_after_the_headers_left_needs_a_look_before,
    a_task_that_changes_while_the_handler_returns_loses_nothing_in_silence,
);

fn failing(status: u16) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// Pages that change the session and fail.
fn broken_pages(config: SessionConfig) -> Site {
    pages(config)
        .on_response("/insert/500", |session: Session| async move {
            session.insert("n", 99).await?;
            Ok(failing(500))
        })
        .on_response("/insert/408", |session: Session| async move {
            session.insert("n", 99).await?;
            Ok(failing(408))
        })
        .on_response("/insert/404", |session: Session| async move {
            session.insert("n", 99).await?;
            Ok(failing(404))
        })
        .on_response("/insert/panic", |session: Session| async move {
            session.insert("n", 99).await?;
            panic!("a bug");
        })
        .on_response("/modify/500", |session: Session| async move {
            session.modify(|data| data.insert("n".into(), 99.into())).await?;
            Ok(failing(500))
        })
        .on_response("/login/500", |session: Session| async move {
            session.login("user1").await?;
            Ok(failing(500))
        })
        .on_response("/login/panic", |session: Session| async move {
            session.login("user1").await?;
            panic!("a bug");
        })
        .on_response("/logout/500", |session: Session| async move {
            session.logout().await?;
            Ok(failing(500))
        })
        .on_response("/rework/500", |session: Session| async move {
            session.rework().await?;
            Ok(failing(500))
        })
}

async fn field_changes_of_a_failed_request_are_dropped<F: Framework>() {
    // A timeout further in answers 408, for a handler that was stopped half-way.
    for (path, status) in [("/insert/500", 500), ("/insert/panic", 500), ("/insert/408", 408)] {
        let browser = Browser::new(&F::serve(broken_pages(SessionConfig::new(sessions()))).await);
        assert_eq!(browser.status(path).await, status);
        assert_eq!(browser.cookie(), None, "{path}");
        browser.visit("/write").await;
        assert_eq!(browser.status(path).await, status);
        assert_eq!(browser.read("/read").await, "1", "{path}");
    }
    // What reached the store when it was called stays.
    let browser = Browser::new(&F::serve(broken_pages(SessionConfig::new(sessions()))).await);
    assert_eq!(browser.status("/modify/500").await, 500);
    assert_eq!(browser.read("/read").await, "99");
}

async fn field_changes_of_a_failed_request_are_kept_where_configured<F: Framework>() {
    for (path, status) in [("/insert/500", 500), ("/insert/panic", 500), ("/insert/408", 408)] {
        let config = SessionConfig::builder(sessions()).keep_changes_of_failures(true);
        let browser = Browser::new(&F::serve(broken_pages(config.build().unwrap())).await);
        assert_eq!(browser.status(path).await, status);
        assert_eq!(browser.read("/read").await, "99", "{path}");
    }
}

async fn field_changes_of_a_refused_request_are_kept<F: Framework>() {
    let browser = Browser::new(&F::serve(broken_pages(SessionConfig::new(sessions()))).await);
    assert_eq!(browser.status("/insert/404").await, 404);
    assert_eq!(browser.read("/read").await, "99");
}

/// A gRPC call that failed is a 200 all the same.
async fn field_changes_of_a_grpc_call_that_failed_are_dropped<F: Framework>() {
    let mut site = pages(SessionConfig::new(sessions()));
    let statuses = [
        ("/internal", "13"),
        ("/unknown", "2"),
        ("/no-code", "x"),
        ("/unauthenticated", "16"),
        ("/ok", "0"),
    ];
    for (path, grpc_status) in statuses {
        site = site.on_response(path, move |session: Session| async move {
            session.insert(path, true).await?;
            let mut response = Response::default();
            let grpc_status = HeaderValue::from_static(grpc_status);
            response.headers_mut().insert("grpc-status", grpc_status);
            Ok(response)
        });
    }
    let site = site.on("/fields", |session: Session| async move {
        let data = session.data().await?;
        Ok(data.keys().cloned().collect::<Vec<_>>().join(" "))
    });
    let browser = Browser::new(&F::serve(site).await);
    for (path, _) in statuses {
        assert_eq!(browser.status(path).await, 200);
    }
    assert_eq!(
        browser.read("/fields").await,
        "/unauthenticated /ok",
        "as a 200 and a 401"
    );
}

async fn a_login_before_a_failure_holds_and_its_cookie_goes_out<F: Framework>() {
    for begun in [false, true] {
        let browser = Browser::new(&F::serve(broken_pages(SessionConfig::new(sessions()))).await);
        if begun {
            browser.visit("/write").await;
        }
        assert_eq!(browser.status("/login/500").await, 500);
        assert_eq!(browser.read("/user").await, "user1");
    }
}

async fn a_logout_and_a_rework_before_a_failure_hold<F: Framework>() {
    let app = F::serve(broken_pages(SessionConfig::new(sessions()))).await;
    let browser = Browser::new(&app);
    browser.visit("/login").await;
    let before = browser.cookie().unwrap();
    assert_eq!(browser.status("/rework/500").await, 500);
    assert_eq!(browser.read("/user").await, "user1");
    assert_eq!(Browser::with_cookie(&app, before).status("/user").await, 401);
    let response = browser.visit("/logout/500").await;
    assert!(header(&response, &SET_COOKIE).unwrap().ends_with("; Max-Age=0"));
    assert_eq!(browser.status("/user").await, 401);
}

async fn a_panic_is_answered_500_with_the_cookie_of_the_login<F: Framework>() {
    let browser = Browser::new(&F::serve(broken_pages(SessionConfig::new(sessions()))).await);
    assert_eq!(browser.status("/login/panic").await, 500);
    assert_eq!(browser.read("/user").await, "user1");
}

/// A page that hands its session to the test, which goes on with it after the answer.
async fn with_late_session<F: Framework>(begun: bool) -> (Browser<F>, Session) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let site = pages(SessionConfig::new(sessions())).on("/late", move |session: Session| {
        let sender = sender.clone();
        async move {
            sender.send(session).unwrap();
            Ok("")
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    if begun {
        browser.visit("/write").await;
    }
    browser.visit("/late").await;
    (browser, receiver.recv().await.unwrap())
}

async fn a_change_after_the_headers_left_is_an_error<F: Framework>() {
    for begun in [false, true] {
        let (browser, session) = with_late_session::<F>(begun).await;
        let is_late = |error: Error| matches!(error, Error::Late);
        assert!(is_late(session.insert("n", 2).await.unwrap_err()));
        assert!(is_late(session.remove("n").await.unwrap_err()));
        assert!(is_late(session.merge(serde_json::json!({})).await.unwrap_err()));
        assert!(is_late(session.modify(|_| ()).await.unwrap_err()));
        assert!(is_late(session.login("user1").await.unwrap_err()));
        assert!(is_late(session.logout().await.unwrap_err()));
        assert!(is_late(session.logout_everywhere().await.unwrap_err()));
        assert!(is_late(session.rework().await.unwrap_err()));
        assert!(is_late(session.revoke("any").await.unwrap_err()));
        assert!(is_late(session.clear_others().await.unwrap_err()));
        assert_eq!(browser.read("/read").await, if begun { "1" } else { "none" });
    }
}

#[tokio::test]
async fn a_change_after_the_client_hung_up_is_an_error() {
    for look in [false, true] {
        let config = SessionConfig::new(sessions());
        let exchange = Exchange::begin(&config, &HeaderMap::new());
        let session = exchange.session();
        if look {
            session.insert("n", 1).await.unwrap();
        }
        drop(exchange);
        assert!(matches!(session.insert("n", 2).await, Err(Error::Late)));
        assert!(matches!(session.login("user1").await, Err(Error::Late)));
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_last_write_leaves_the_session_to_read() {
    // With the session loaded, and with one that was written meanwhile.
    for modifies in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let stuck = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&stuck);
        let store = Hooked::new(store, move |method| {
            let stuck = method == "replace" && gate.load(Ordering::SeqCst);
            async move { if stuck { std::future::pending().await } else { Ok(()) } }
        });
        let sessions = Sessions::new(store);
        let id = sessions.create("user1", json!({"n": 1})).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie_of(&id).parse().unwrap());
        let exchange = Exchange::begin(&SessionConfig::new(sessions), &headers);
        let session = exchange.session();
        if modifies {
            session.modify(|data| data.insert("m".into(), 2.into())).await.unwrap();
        }
        session.insert("n", 2).await.unwrap();
        stuck.store(true, Ordering::SeqCst);
        let mut finish = Box::pin(exchange.finish(StatusCode::OK));
        assert!(poll_once(&mut finish).await.is_none());
        drop(finish);
        assert_eq!(session.require_user().await.unwrap().as_str(), "user1");
        assert_eq!(session.get::<u64>("n").await.unwrap(), Some(1), "what the store has");
        assert!(matches!(session.insert("n", 3).await, Err(Error::Late)));
    }
}

/// Else a shared cache may have been given a page that then shows something of the session.
async fn reading_after_the_headers_left_needs_a_look_before<F: Framework>() {
    let (_, unseen) = with_late_session::<F>(true).await;
    for _ in 0..2 {
        assert!(matches!(unseen.get::<u64>("n").await.unwrap_err(), Error::Late));
    }
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let site = pages(SessionConfig::new(sessions())).on("/seen", move |session: Session| {
        let sender = sender.clone();
        async move {
            session.exists().await?;
            sender.send(session).unwrap();
            Ok("")
        }
    });
    let browser = Browser::new(&F::serve(site).await);
    browser.visit("/write").await;
    browser.visit("/seen").await;
    let seen = receiver.recv().await.unwrap();
    assert_eq!(seen.get::<u64>("n").await.unwrap(), Some(1));
    assert_eq!(seen.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_follows_a_change_of_protocol_may_be_the_first_to_look() {
    let config = SessionConfig::new(sessions());
    // Over HTTP/1.1, and over HTTP/2 or HTTP/3.
    for (method, status) in [(Method::GET, 101), (Method::CONNECT, 200), (Method::CONNECT, 204)] {
        let status = StatusCode::from_u16(status).unwrap();
        let begin = || Exchange::begin(&config, &HeaderMap::new()).with_method(&method);
        let (one, other) = (begin(), begin());
        let (at_once, awaited) = (one.session(), other.session());
        assert!(one.finish_at_once(status).unwrap().is_some());
        drop(other.finish(status).await);
        for session in [at_once, awaited] {
            assert!(!session.exists().await.unwrap());
            assert!(matches!(session.insert("n", 1).await.unwrap_err(), Error::Late));
        }
    }
    for (method, status) in [(Method::GET, 200), (Method::CONNECT, 404)] {
        let exchange = Exchange::begin(&config, &HeaderMap::new()).with_method(&method);
        let session = exchange.session();
        drop(exchange.finish(StatusCode::from_u16(status).unwrap()).await);
        assert!(matches!(session.exists().await.unwrap_err(), Error::Late));
    }
}

async fn a_task_that_changes_while_the_handler_returns_loses_nothing_in_silence<F: Framework>() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let site = pages(SessionConfig::new(sessions())).on("/race", move |session: Session| {
        let (sender, go) = (sender.clone(), Arc::clone(&go));
        async move {
            let notified = Arc::clone(&go);
            tokio::spawn(async move {
                notified.notified().await;
                let mut kept = 0_u64;
                while session.insert("n", kept + 1).await.is_ok() {
                    kept += 1;
                    assert!(kept < 1_000_000, "nobody says that it is too late");
                    tokio::task::yield_now().await;
                }
                sender.send(kept).unwrap();
            });
            go.notify_one();
            tokio::task::yield_now().await;
            Ok("")
        }
    });
    let app = F::serve(site).await;
    for _ in 0..100 {
        let browser = Browser::new(&app);
        browser.visit("/race").await;
        let kept = receiver.recv().await.unwrap();
        let expected = if kept == 0 { "none".to_owned() } else { kept.to_string() };
        assert_eq!(browser.read("/read").await, expected);
    }
}

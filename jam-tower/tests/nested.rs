//! A layer around another one with a cookie of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::{Request, Response, StatusCode, header};
use jam_core::{MemoryStore, Sessions};
use jam_http::Sent;
use jam_tower::{CookieConfig, Session, SessionConfig, SessionLayer};
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

type Service = BoxCloneSyncService<Request<()>, Response<String>, jam_http::Error>;

fn session_of(request: &Request<()>) -> Session {
    request.extensions().get::<Session>().unwrap().clone()
}

fn named(name: &str, sessions: &Sessions) -> SessionLayer {
    let cookie = CookieConfig::new().name(name);
    SessionLayer::with(SessionConfig::builder(sessions.clone()).cookie(cookie).build().unwrap())
}

/// Logs in where the path says so, and sets a cookie of its own.
fn handler() -> Service {
    Service::new(service_fn(async |request: Request<()>| {
        let session = session_of(&request);
        if request.uri().path() == "/login" {
            session.login("user1").await?;
        }
        session.user().await?;
        let mut response = Response::new("done".to_owned());
        let headers = response.headers_mut();
        headers.insert(header::SET_COOKIE, "theme=dark".parse().unwrap());
        Ok(response)
    }))
}

/// Writes to the session of the layer outside of it, before the service inside of it runs.
fn writing(inside: Service) -> Service {
    Service::new(service_fn(move |request: Request<()>| {
        let (session, inside) = (session_of(&request), inside.clone());
        async move {
            session.insert("n", 1).await?;
            inside.oneshot(request).await
        }
    }))
}

/// A layer around as many others as there are names, whose own changes cannot be written.
async fn around(names: &[&str], sessions: &Sessions, on_error: bool) -> Service {
    let mut service = handler();
    for name in names {
        service = writing(Service::new(named(name, sessions).layer(service)));
    }
    let closed = Sessions::new(MemoryStore::new());
    closed.close().await.unwrap();
    let outer = named("__Host-outer", &closed);
    if !on_error {
        return Service::new(outer.layer(service));
    }
    Service::new(
        outer
            .on_error(|error: &jam_http::Error| {
                let mut response = Response::new("sorry".to_owned());
                *response.status_mut() = error.status();
                response
            })
            .layer(service),
    )
}

#[tokio::test]
async fn what_the_layers_further_in_gave_out_outlives_their_response() {
    for (names, on_error) in [
        (&["__Host-inner"][..], false),
        (&["__Host-inner"], true),
        (&["__Host-inner", "__Host-middle"], false),
    ] {
        let sessions = Sessions::new(MemoryStore::new());
        let service = around(names, &sessions, on_error).await;
        let request = Request::get("/login").body(()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.body(), if on_error { "sorry" } else { "" });
        let all = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all(header::VARY), ["Cookie"]);
        assert_eq!(all(header::CACHE_CONTROL), ["no-store"]);
        // In the order in which they were given out; nothing of the handler is among them.
        let cookies = all(header::SET_COOKIE);
        let of: Vec<_> = cookies.iter().map(|cookie| cookie.to_str().unwrap()).collect();
        let of: Vec<_> = of.iter().map(|cookie| cookie.split('=').next().unwrap()).collect();
        assert_eq!(of, names);
        assert!(cookies.iter().all(|cookie| cookie.is_sensitive()));
        assert!(
            response.extensions().get::<Sent>().is_none(),
            "nobody further out needs it"
        );

        // The id of the login is the one that went out.
        let seen = named("__Host-inner", &sessions).layer(service_fn(async |request: Request<()>| {
            let user = session_of(&request).require_user().await?;
            Ok::<_, jam_http::Error>(Response::new(user.as_str().to_owned()))
        }));
        let request = Request::get("/").header(header::COOKIE, cookies[0]);
        assert_eq!(seen.oneshot(request.body(()).unwrap()).await.unwrap().body(), "user1");
    }
}

#[tokio::test]
async fn a_response_that_an_inner_session_may_have_made_is_still_for_one_client() {
    let sessions = Sessions::new(MemoryStore::new());
    let bearer = SessionConfig::builder(sessions).bearer().build().unwrap();
    let service = writing(Service::new(SessionLayer::with(bearer).layer(handler())));
    let closed = Sessions::new(MemoryStore::new());
    closed.close().await.unwrap();
    let service = named("__Host-outer", &closed).layer(service);
    let response = service.oneshot(Request::get("/").body(()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let all = |name| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(all(header::VARY), ["Authorization", "Cookie"]);
    assert_eq!(all(header::CACHE_CONTROL), ["private, no-cache"]);
    assert!(all(header::SET_COOKIE).is_empty());
}

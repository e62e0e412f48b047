//! What a session layer costs a request: jam's tower layer against that of tower-sessions, both on their in-memory store,
//! around the same axum handlers, and against the handler alone. `cargo run --release` in this directory.
//!
//! No network and no threads: requests go straight into the router, one after another, turn by turn, in the same
//! process. A session holds the same 200 bytes of JSON.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use jam_core::{MemoryStore, Sessions};
use jam_tower::SessionLayer;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use tower_sessions::SessionManagerLayer;

type Failure = Box<dyn Error + Send + Sync>;

const TURNS: usize = 15;
const REQUESTS: u32 = 20_000;

/// What a handler does.
const PAGES: [(&str, &str); 5] = [
    ("/untouched", "does not look at the session, which the request names"),
    ("/stranger", "does not look, and the request names none"),
    ("/read", "reads one field"),
    ("/write", "reads one field and sets it"),
    ("/begin", "sets a field for a visitor without a session"),
];

fn data() -> Map<String, Value> {
    let data = json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    });
    data.as_object().cloned().unwrap_or_default()
}

fn bare() -> Router {
    let mut router = Router::new().route("/fill", get(async || "17"));
    for (page, _) in PAGES {
        router = router.route(page, get(async || "17"));
    }
    router
}

mod with_jam {
    use super::*;
    use jam_tower::{Result, Session};

    async fn fill(session: Session) -> Result<()> {
        Ok(session.merge(data()).await?)
    }

    async fn read(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits").await?.unwrap_or_default();
        Ok(visits.to_string())
    }

    async fn write(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits").await?.unwrap_or_default();
        session.insert("visits", visits + 1).await?;
        Ok(visits.to_string())
    }

    async fn begin(session: Session) -> Result<&'static str> {
        session.insert("visits", 1).await?;
        Ok("1")
    }

    pub(super) fn router() -> Router {
        Router::new()
            .route("/fill", get(fill))
            .route("/untouched", get(async || "17"))
            .route("/stranger", get(async || "17"))
            .route("/read", get(read))
            .route("/write", get(write))
            .route("/begin", get(begin))
            .layer(SessionLayer::new(Sessions::new(MemoryStore::new())))
    }
}

mod with_tower_sessions {
    use super::*;
    use tower_sessions::Session;

    type Result<T> = std::result::Result<T, StatusCode>;

    fn failed(_: tower_sessions::session::Error) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    async fn fill(session: Session) -> Result<()> {
        for (field, value) in data() {
            session.insert(&field, value).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn read(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits").await.map_err(failed)?.unwrap_or_default();
        Ok(visits.to_string())
    }

    async fn write(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits").await.map_err(failed)?.unwrap_or_default();
        session.insert("visits", visits + 1).await.map_err(failed)?;
        Ok(visits.to_string())
    }

    async fn begin(session: Session) -> Result<&'static str> {
        session.insert("visits", 1).await.map_err(failed)?;
        Ok("1")
    }

    pub(super) fn router() -> Router {
        Router::new()
            .route("/fill", get(fill))
            .route("/untouched", get(async || "17"))
            .route("/stranger", get(async || "17"))
            .route("/read", get(read))
            .route("/write", get(write))
            .route("/begin", get(begin))
            .layer(SessionManagerLayer::new(tower_sessions::MemoryStore::default()))
    }
}

/// A session's cookie, as a request names it.
async fn cookie(router: &Router) -> Result<Option<String>, Failure> {
    let request = Request::get("/fill").body(Body::empty())?;
    let response = router.clone().oneshot(request).await?;
    let set = response.headers().get(SET_COOKIE).map(|set| set.to_str()).transpose()?;
    Ok(set.and_then(|set| set.split(';').next()).map(str::to_owned))
}

/// Nanoseconds per request.
async fn measure(router: &Router, page: &str, cookie: Option<&str>) -> Result<f64, Failure> {
    let cookie = cookie.filter(|_| page != "/stranger" && page != "/begin");
    let started = Instant::now();
    for _ in 0..REQUESTS {
        let mut request = Request::get(page);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = router.clone().oneshot(request.body(Body::empty())?).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("{page}: {}", response.status()).into());
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS))
}

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    println!("ns per request beyond the bare handler, median of {TURNS} interleaved turns (least to most)\n");
    println!("| a handler that | jam | tower-sessions | jam / tower-sessions |\n|---|---|---|---|");
    for (page, what) in PAGES {
        let mut beyond = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            // New ones each turn, so that sessions that pages begin do not pile up.
            let bare = bare();
            let layered = [with_jam::router(), with_tower_sessions::router()];
            let mut nanos = [0.0; 2];
            // With the cookie it would get, which has to be parsed from the same bytes.
            let alone = measure(&bare, page, Some("__Host-session=none")).await?;
            for place in 0..2 {
                let library = (turn + place) % 2;
                let cookie = cookie(&layered[library]).await?;
                nanos[library] = measure(&layered[library], page, cookie.as_deref()).await?;
            }
            // The first turn warms up.
            if turn > 0 {
                for library in 0..2 {
                    beyond[library].push(nanos[library] - alone);
                }
            }
        }
        let ratios = beyond[0].iter().zip(&beyond[1]).map(|(jam, tower)| jam / tower).collect();
        let [jam, tower] = beyond.map(median);
        let ratio = median(ratios);
        println!(
            "| {what} | {:.0} ({:.0} to {:.0}) | {:.0} ({:.0} to {:.0}) | {:.2} ({:.2} to {:.2}) |",
            jam.0, jam.1, jam.2, tower.0, tower.1, tower.2, ratio.0, ratio.1, ratio.2
        );
    }
    Ok(())
}

//! Walks one of jam's hot paths so and so often: `jam-instructions <path> <times>`. `scripts/instructions` counts what that
//! executes; two runs that differ in how often tell what one time costs, without the start of the program.
#![forbid(unsafe_code)]

use std::error::Error;

use futures_lite::future::block_on;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use jam_core::{HashedIds, IdCodec, MemoryStore, Sessions};
use jam_crypto::{AesIds, AesKey, AesSealer, KeyRing};
use jam_tower::{Session, SessionLayer};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

type Failure = Box<dyn Error + Send + Sync>;

const USERS: usize = 100;

/// About 200 bytes of JSON.
fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(times)) = (arguments.next(), arguments.next()) else {
        return Err("usage: jam-instructions <path> <times>".into());
    };
    block_on(walk(&path, times.parse()?))
}

async fn walk(path: &str, times: usize) -> Result<(), Failure> {
    let mut sessions = Sessions::builder(MemoryStore::new());
    if path.starts_with("sealed") {
        let ring = KeyRing::from(AesKey::from_bytes(&[7; 32]));
        sessions = sessions.ids(AesIds::new(ring.clone())).sealer(AesSealer::new(ring));
    }
    let sessions = sessions.build()?;
    let data = data();
    let mut ids = Vec::new();
    for user in 0..USERS {
        ids.push(sessions.create(format!("user{user}"), &data).await?);
    }
    if path == "memory_rework" {
        for time in 0..times {
            ids[time % USERS] = sessions.rework(&ids[time % USERS]).await?;
        }
        return Ok(());
    }
    let id = |time: usize| &ids[time % USERS];
    match path {
        "locate_id" => {
            for time in 0..times {
                HashedIds.locate(id(time).as_str())?;
            }
        }
        "memory_get" | "sealed_get" => {
            for time in 0..times {
                sessions.get(id(time)).await?.ok_or("a session is gone")?;
            }
        }
        "memory_read" => {
            for time in 0..times {
                sessions.get(id(time)).await?.ok_or("a session is gone")?.data()?;
            }
        }
        "memory_commit" => {
            for time in 0..times {
                let mut session = sessions.get(id(time)).await?.ok_or("a session is gone")?;
                let visits: u64 = session.get("visits")?.unwrap_or_default();
                session.insert("visits", visits + 1)?;
                sessions.commit(session).await?;
            }
        }
        "memory_list" => {
            for time in 0..times {
                sessions.list(format!("user{}", time % USERS)).await?;
            }
        }
        "memory_create" | "sealed_create" => {
            for time in 0..times {
                sessions.create(format!("newcomer{time}"), &data).await?;
            }
        }
        "memory_update" => {
            for time in 0..times {
                sessions.update(id(time), &data).await?;
            }
        }
        "request_reads" => requests(sessions, "/read", times).await?,
        "request_writes" => requests(sessions, "/write", times).await?,
        "request_begins" => requests(sessions, "/begin", times).await?,
        _ => return Err(format!("there is no path {path:?}").into()),
    }
    Ok(())
}

/// What a handler does.
async fn page(request: Request<()>) -> Result<Response<()>, Failure> {
    let session = request.extensions().get::<Session>().ok_or("there is no layer")?;
    match request.uri().path() {
        "/begin" => session.insert("visits", 1).await?,
        "/fill" => session.merge(data()).await?,
        path => {
            let visits: u64 = session.get("visits").await?.ok_or("the session is gone")?;
            if path == "/write" {
                session.insert("visits", visits + 1).await?;
            }
        }
    }
    Ok(Response::new(()))
}

/// Requests through the layer, one after another; those of a session that is there name it.
async fn requests(sessions: Sessions, path: &str, times: usize) -> Result<(), Failure> {
    let service = SessionLayer::new(sessions).layer(service_fn(page));
    let filled = service.clone().oneshot(Request::get("/fill").body(())?).await?;
    let set = filled.headers().get(SET_COOKIE).ok_or("there is no cookie")?.to_str()?;
    let cookie = set.split(';').next().filter(|_| path != "/begin");
    for _ in 0..times {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        service.clone().oneshot(request.body(())?).await?;
    }
    Ok(())
}

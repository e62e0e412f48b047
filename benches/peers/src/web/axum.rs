//! jam's tower layer and that of tower-sessions around the same axum handlers.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use jam_core::{MemoryStore, Sessions};
use jam_tower::SessionLayer;
use tower::ServiceExt;
use tower_sessions::SessionManagerLayer;

use jam_bench_harness::{Failure, fields};

use super::{PAGES, Site};

pub(crate) struct Axum(Router);

impl Site for Axum {
    async fn visit(&self, page: &str, cookie: Option<&str>) -> Result<Option<String>, Failure> {
        let mut request = Request::get(page);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = self.0.clone().oneshot(request.body(Body::empty())?).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("{page}: {}", response.status()).into());
        }
        let set = response.headers().get(SET_COOKIE).filter(|_| page == "/fill");
        Ok(set.map(|set| set.to_str().map(str::to_owned)).transpose()?)
    }
}

pub(crate) fn bare() -> Axum {
    let mut router = Router::new();
    for (page, _) in PAGES {
        router = router.route(page, get(async || "17"));
    }
    Axum(router)
}

pub(crate) fn jam() -> Axum {
    Axum(with_jam::router())
}

pub(crate) fn tower_sessions() -> Axum {
    Axum(with_tower_sessions::router())
}

mod with_jam {
    use super::*;
    use jam_tower::{Result, Session};

    async fn fill(session: Session) -> Result<()> {
        Ok(session.merge(fields()).await?)
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
        for (field, value) in fields() {
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

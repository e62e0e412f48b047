//! jam's middleware for actix-web and actix-session around the same handlers.

use std::cell::RefCell;
use std::collections::HashMap;

use actix_session::SessionMiddleware as PeerMiddleware;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key};
use actix_web::body::MessageBody;
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use jam_actix::SessionMiddleware;
use jam_core::{MemoryStore, Sessions};

use jam_bench_harness::{Failure, fields};

use super::{PAGES, Site};

pub(crate) struct Actix<S>(S);

impl<S, B> Site for Actix<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    async fn visit(&self, page: &str, cookie: Option<&str>) -> Result<Option<String>, Failure> {
        let mut request = TestRequest::get().uri(page);
        if let Some(cookie) = cookie {
            request = request.insert_header((COOKIE, cookie));
        }
        let response = self
            .0
            .call(request.to_request())
            .await
            .map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("{page}: {}", response.status()).into());
        }
        let set = response.headers().get(SET_COOKIE).filter(|_| page == "/fill");
        Ok(set.map(|set| set.to_str().map(str::to_owned)).transpose()?)
    }
}

pub(crate) async fn bare() -> impl Site {
    let mut app = App::new();
    for (page, _) in PAGES {
        app = app.route(page, web::get().to(async || "17"));
    }
    Actix(init_service(app).await)
}

pub(crate) async fn jam() -> impl Site {
    use jam_actix::{Result, Session};

    async fn fill(session: Session) -> Result<&'static str> {
        session.merge(fields()).await?;
        Ok("")
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

    let app = App::new()
        .wrap(SessionMiddleware::new(Sessions::new(MemoryStore::new())))
        .route("/fill", web::get().to(fill))
        .route("/untouched", web::get().to(async || "17"))
        .route("/stranger", web::get().to(async || "17"))
        .route("/read", web::get().to(read))
        .route("/write", web::get().to(write))
        .route("/begin", web::get().to(begin));
    Actix(init_service(app).await)
}

pub(crate) async fn actix_session() -> impl Site {
    use actix_session::Session;
    use actix_web::Result;

    async fn fill(session: Session) -> Result<&'static str> {
        for (field, value) in fields() {
            session.insert(field, value)?;
        }
        Ok("")
    }

    async fn read(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits")?.unwrap_or_default();
        Ok(visits.to_string())
    }

    async fn write(session: Session) -> Result<String> {
        let visits: u64 = session.get("visits")?.unwrap_or_default();
        session.insert("visits", visits + 1)?;
        Ok(visits.to_string())
    }

    async fn begin(session: Session) -> Result<&'static str> {
        session.insert("visits", 1)?;
        Ok("1")
    }

    let app = App::new()
        .wrap(PeerMiddleware::new(InMemory::default(), Key::generate()))
        .route("/fill", web::get().to(fill))
        .route("/untouched", web::get().to(async || "17"))
        .route("/stranger", web::get().to(async || "17"))
        .route("/read", web::get().to(read))
        .route("/write", web::get().to(write))
        .route("/begin", web::get().to(begin));
    Actix(init_service(app).await)
}

/// actix-session brings no store in memory; this is the least there can be, for one thread and without expiry.
#[derive(Default)]
struct InMemory(RefCell<HashMap<String, HashMap<String, String>>>);

impl SessionStore for InMemory {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        Ok(self.0.borrow().get(key.as_ref()).cloned())
    }

    async fn save(&self, state: HashMap<String, String>, _: &Duration) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        self.0.borrow_mut().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        _: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.0.borrow_mut().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.borrow_mut().remove(key.as_ref());
        Ok(())
    }
}

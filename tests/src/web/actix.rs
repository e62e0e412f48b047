//! A site through actix-web.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::to_bytes;
use actix_web::dev::Service;
use actix_web::middleware::Condition;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpRequest, HttpResponse, web};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use jam_actix::{CrossOriginMiddleware, Error, Session, SessionMiddleware};
use tokio::sync::{mpsc, oneshot};

use super::{Framework, Site};

type Call = (Request<()>, oneshot::Sender<Response<String>>);

/// actix-web, with the middleware and the extractor of jam-actix: several workers, each a thread with an `App` of its own, as
/// its server has them.
#[derive(Clone)]
pub struct Actix {
    workers: Arc<[mpsc::UnboundedSender<Call>]>,
    turn: Arc<AtomicUsize>,
}

impl fmt::Debug for Actix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actix").finish_non_exhaustive()
    }
}

async fn handle(site: web::Data<Site>, request: HttpRequest, session: Session) -> Result<HttpResponse, Error> {
    let handler = site.handler(request.path()).expect("a route of the site");
    let (parts, body) = handler((*session).clone()).await?.into_parts();
    let status = actix_web::http::StatusCode::from_u16(parts.status.as_u16()).expect("a status");
    let mut response = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(response.body(body))
}

async fn work(site: web::Data<Site>, mut calls: mpsc::UnboundedReceiver<Call>) {
    let middleware = SessionMiddleware::with(site.config.clone());
    let protection = site.cross_origin.clone();
    let protection = Condition::new(
        protection.is_some(),
        CrossOriginMiddleware::with(protection.unwrap_or_default()),
    );
    let inner = site.inner.clone();
    let inner = Condition::new(
        inner.is_some(),
        SessionMiddleware::with(inner.unwrap_or_else(|| site.config.clone())),
    );
    let app = App::new().app_data(site).wrap(inner).wrap(middleware).wrap(protection);
    let app = Rc::new(init_service(app.default_service(web::to(handle))).await);
    while let Some((request, mut answer)) = calls.recv().await {
        let app = Rc::clone(&app);
        actix_web::rt::spawn(async move {
            let mut translated = TestRequest::default()
                .method(request.method().as_str().parse().expect("a method"))
                .uri(&request.uri().to_string());
            for (name, value) in request.headers() {
                translated = translated.append_header((name.as_str(), value.as_bytes()));
            }
            let called = async {
                let response = match app.call(translated.to_request()).await {
                    Ok(response) => response.into_parts().1.map_into_boxed_body(),
                    // As the server does it.
                    Err(error) => error.error_response(),
                };
                read(response).await
            };
            tokio::select! {
                // Who gave up waiting has hung up.
                () = answer.closed() => {}
                response = called => drop(answer.send(response)),
            }
        });
    }
}

async fn read(response: HttpResponse) -> Response<String> {
    let mut read = Response::new(String::new());
    *read.status_mut() = StatusCode::from_u16(response.status().as_u16()).expect("a status");
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name");
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        copy.set_sensitive(value.is_sensitive());
        read.headers_mut().append(name, copy);
    }
    let body = to_bytes(response.into_body()).await.expect("a body");
    *read.body_mut() = String::from_utf8(body.to_vec()).expect("text");
    read
}

impl Framework for Actix {
    async fn serve(site: Site) -> Self {
        // Shared by all workers, as `web::Data` is.
        let site = Arc::new(site);
        let worker = |_| {
            let (sender, calls) = mpsc::unbounded_channel();
            let site = web::Data::from(Arc::clone(&site));
            std::thread::spawn(move || actix_web::rt::System::new().block_on(work(site, calls)));
            sender
        };
        Self {
            workers: (0..4).map(worker).collect(),
            turn: Arc::default(),
        }
    }

    async fn send(&self, request: Request<()>) -> Response<String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let worker = &self.workers[turn % self.workers.len()];
        worker.send((request, sender)).expect("the worker works");
        answer.await.expect("the worker answers")
    }
}

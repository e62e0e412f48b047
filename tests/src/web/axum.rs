//! A site through axum.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response as AxumResponse};
use http::{Request, Response, Uri};
use jam_tower::{CrossOriginLayer, Error, Session, SessionLayer};
use tower::ServiceExt;

use super::{Framework, Site};

/// axum, with the layer and the extractor of jam-tower.
#[derive(Clone, Debug)]
pub struct Axum(Router);

async fn handle(State(site): State<Arc<Site>>, uri: Uri, session: Session) -> Result<AxumResponse, Error> {
    let handler = site.handler(uri.path()).expect("a route of the site");
    Ok(handler((*session).clone()).await?.into_response())
}

impl Framework for Axum {
    async fn serve(site: Site) -> Self {
        let layer = SessionLayer::with(site.config.clone());
        let protection = site.cross_origin.clone().map(CrossOriginLayer::with);
        let inner = site.inner.clone().map(SessionLayer::with);
        let router = Router::new().fallback(handle).with_state(Arc::new(site));
        let router = match inner {
            Some(inner) => router.layer(inner),
            None => router,
        };
        let router = router.layer(layer);
        Self(match protection {
            Some(protection) => router.layer(protection),
            None => router,
        })
    }

    async fn send(&self, request: Request<()>) -> Response<String> {
        let Ok(response) = self.0.clone().oneshot(request.map(|()| Body::empty())).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        Response::from_parts(parts, String::from_utf8(body.to_vec()).expect("text"))
    }
}

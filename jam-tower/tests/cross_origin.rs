//! What is this crate's own about requests of other origins. The table of what passes is in the workspace's `tests`.

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Request, StatusCode};
use jam_tower::{CrossOriginLayer, CrossOriginRefused};
use tower::ServiceExt;

#[tokio::test]
async fn a_layer_further_out_learns_why_a_request_was_refused() {
    let app = Router::new()
        .route("/", post(|| async {}))
        .layer(CrossOriginLayer::new());
    let request = Request::post("/").header("sec-fetch-site", "cross-site");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        response.extensions().get::<CrossOriginRefused>(),
        Some(&CrossOriginRefused::SecFetchSite)
    );
}

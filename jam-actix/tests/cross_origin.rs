//! What is this crate's own about requests of other origins. The table of what passes is in the workspace's `tests`.

use actix_web::dev::Service;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, web};
use jam_actix::{CrossOriginMiddleware, CrossOriginRefused};

#[actix_web::test]
async fn a_middleware_further_out_learns_why_a_request_was_refused() {
    let app = App::new().wrap(CrossOriginMiddleware::new());
    let app = init_service(app.route("/", web::post().to(HttpResponse::Ok))).await;
    let request = TestRequest::post()
        .uri("/")
        .insert_header(("sec-fetch-site", "cross-site"));
    let response = app.call(request.to_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        response.response().extensions().get::<CrossOriginRefused>(),
        Some(&CrossOriginRefused::SecFetchSite)
    );
}

#[actix_web::test]
async fn the_host_of_an_absolute_target_counts() {
    let app = App::new().wrap(CrossOriginMiddleware::new());
    let app = init_service(app.default_service(web::to(HttpResponse::Ok))).await;
    for (target, expected) in [("http://app.example/", 200), ("http://other.example/", 403)] {
        let request = TestRequest::post().uri(target).insert_header(("host", "app.example"));
        let request = request.insert_header(("origin", "http://app.example"));
        let response = app.call(request.to_request()).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{target}");
    }
}

//! What jam counts, as Prometheus reads it: a page that counts visits, and beside it the page `/metrics`.
//!
//! ```sh
//! cargo run --example axum_metrics                       # in memory, on http://127.0.0.1:3000
//! cargo run --example axum_metrics redis://localhost     # Redis: stop it meanwhile, and see the outage
//! curl http://127.0.0.1:3000/metrics
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use jam::Sessions;
use jam::tower::{CookieConfig, Result, Session, SessionConfig, SessionLayer};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::Value;

/// In seconds: from a microsecond (memory) to seconds (a network that fails).
const BUCKETS: [f64; 10] = [1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.025, 0.1, 0.5, 2.5];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = std::env::args().nth(1).unwrap_or_else(|| "memory:".to_owned());
    let prometheus = install()?;
    // The exporter keeps durations as they come until somebody reads them; this also does it when nobody does.
    let upkeep = prometheus.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    let sessions = jam::open(&store).await?;
    jam::spawn_sweeper(&sessions, Duration::from_mins(1));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!(
        "visits on http://{0}/, metrics on http://{0}/metrics",
        listener.local_addr()?
    );
    axum::serve(listener, app(sessions, prometheus)?).await?;
    Ok(())
}

/// The recorder of this process, and the help texts of what jam counts.
fn install() -> Result<PrometheusHandle, BuildError> {
    let duration = Matcher::Full(jam::metrics::DURATION.to_owned());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(duration, &BUCKETS)?
        .install_recorder()?;
    jam::metrics::describe();
    Ok(prometheus)
}

/// In production `/metrics` belongs on a port that only the scraper reaches.
fn app(sessions: Sessions, prometheus: PrometheusHandle) -> jam::Result<Router> {
    let config = SessionConfig::builder(sessions).cookie(CookieConfig::new().insecure_for_development(true));
    let visits = Router::new()
        .route("/", get(visits))
        .layer(SessionLayer::with(config.build()?));
    Ok(visits.route("/metrics", get(metrics)).with_state(prometheus))
}

/// `modify` reads and writes in one step, so two tabs at once both count.
async fn visits(session: Session) -> Result<String> {
    let raise = |data: &mut jam::Data| {
        let visits = data.get("visits").and_then(Value::as_u64).unwrap_or(0) + 1;
        data.insert("visits".to_owned(), visits.into());
        visits
    };
    let visits = session.modify(raise).await?;
    Ok(format!("visit {visits}\n"))
}

async fn metrics(State(prometheus): State<PrometheusHandle>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        prometheus.render(),
    )
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, Response};
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, path: &str, cookie: Option<&str>) -> Response<Body> {
        let mut request = Request::get(path).header(header::HOST, "localhost");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn text(response: Response<Body>) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_page_of_metrics_tells_what_visitors_did_and_not_who_they_are() {
        let prometheus = install().unwrap();
        let app = app(jam::open("memory:").await.unwrap(), prometheus).unwrap();
        let first = ask(&app, "/", None).await;
        let cookie = first.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        let cookie = cookie.split(';').next().unwrap();
        assert_eq!(text(first).await, "visit 1\n");
        assert_eq!(text(ask(&app, "/", Some(cookie)).await).await, "visit 2\n");
        let page = text(ask(&app, "/metrics", Some(cookie)).await).await;
        for line in [
            "# TYPE jam_operations_total counter",
            "# HELP jam_operations_total Operations on sessions that are over.",
            r#"jam_operations_total{backend="memory",operation="create",outcome="ok"} 1"#,
            r#"jam_operations_total{backend="memory",operation="modify",outcome="ok"} 1"#,
            "# TYPE jam_operation_duration_seconds histogram",
            r#"jam_operation_duration_seconds_bucket{backend="memory",operation="create",le="2.5"} 1"#,
            r#"jam_operation_duration_seconds_count{backend="memory",operation="create"} 1"#,
            r#"jam_store_outages_total{backend="memory"} 0"#,
        ] {
            assert!(
                page.lines().any(|of_page| of_page == line),
                "{line} is missing in\n{page}"
            );
        }
        let (_, id) = cookie.split_once('=').unwrap();
        assert!(!page.contains(id) && !page.contains("visitor"), "{page}");
    }
}

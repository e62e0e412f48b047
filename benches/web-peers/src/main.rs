//! What a session layer costs a request: jam's tower layer against that of tower-sessions around the same axum handlers, and
//! jam's middleware for actix-web against actix-session; all on stores in memory, and all against the handlers alone.
//! `cargo run --release` in this directory.
//!
//! No network and no threads: requests go straight into the router, one after another, turn by turn, in the same
//! process. A session holds the same 200 bytes of JSON.
#![forbid(unsafe_code)]

mod actix;
mod axum;

use std::error::Error;
use std::time::Instant;

use serde_json::{Map, Value, json};

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

/// A service with these pages, and `/fill`, which puts the data into a session.
trait Site {
    /// Asks for a page, and gives the cookie that `/fill` sets.
    async fn visit(&self, page: &str, cookie: Option<&str>) -> Result<Option<String>, Failure>;
}

/// Nanoseconds per request.
async fn measure(site: &impl Site, page: &str, cookie: Option<&str>) -> Result<f64, Failure> {
    let cookie = cookie.filter(|_| page != "/stranger" && page != "/begin");
    let started = Instant::now();
    for _ in 0..REQUESTS {
        site.visit(page, cookie).await?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS))
}

/// The same with a session.
async fn measure_layered(site: &impl Site, page: &str) -> Result<f64, Failure> {
    let set = site.visit("/fill", None).await?;
    measure(site, page, set.as_deref().and_then(|set| set.split(';').next())).await
}

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// Prints what both cost beyond the bare handlers. New sites each turn, so that sessions that pages begin do not pile up.
async fn compare<A: Site, B: Site, C: Site>(
    peer: &str,
    new_bare: impl AsyncFn() -> A,
    new_jam: impl AsyncFn() -> B,
    new_peer: impl AsyncFn() -> C,
) -> Result<(), Failure> {
    println!("\n| a handler that | jam | {peer} | jam / {peer} |\n|---|---|---|---|");
    for (page, what) in PAGES {
        let mut beyond = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            // With the cookie it would get, which has to be parsed from the same bytes.
            let alone = measure(&new_bare().await, page, Some("__Host-session=none")).await?;
            let mut nanos = [0.0; 2];
            for place in 0..2 {
                let library = (turn + place) % 2;
                nanos[library] = match library {
                    0 => measure_layered(&new_jam().await, page).await?,
                    _ => measure_layered(&new_peer().await, page).await?,
                };
            }
            // The first turn warms up.
            if turn > 0 {
                for library in 0..2 {
                    beyond[library].push(nanos[library] - alone);
                }
            }
        }
        let ratios = beyond[0].iter().zip(&beyond[1]).map(|(jam, peer)| jam / peer).collect();
        let [jam, peer] = beyond.map(median);
        let ratio = median(ratios);
        println!(
            "| {what} | {:.0} ({:.0} to {:.0}) | {:.0} ({:.0} to {:.0}) | {:.2} ({:.2} to {:.2}) |",
            jam.0, jam.1, jam.2, peer.0, peer.1, peer.2, ratio.0, ratio.1, ratio.2
        );
    }
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    println!("ns per request beyond the bare handler, median of {TURNS} interleaved turns (least to most)");
    compare(
        "tower-sessions",
        async || axum::bare(),
        async || axum::jam(),
        async || axum::tower_sessions(),
    )
    .await?;
    compare("actix-session", actix::bare, actix::jam, actix::actix_session).await
}

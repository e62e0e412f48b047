//! What a session layer costs a request: jam's tower layer against that of tower-sessions around the same axum handlers, and
//! jam's middleware for actix-web against actix-session; all on stores in memory, and beyond what the handlers alone cost.
//!
//! No network and no threads: requests go straight into the router, one after another.

mod actix;
mod axum;

use std::time::Instant;

use jam_bench_harness::{About, Failure, Measured, Part, Row};

const TURNS: usize = 11;
const REQUESTS: u32 = 10_000;

/// What a handler does.
const PAGES: [(&str, &str); 5] = [
    ("/untouched", "does not look at the session, which the request names"),
    ("/stranger", "does not look, and the request names none"),
    ("/read", "reads one field"),
    ("/write", "reads one field and sets it"),
    ("/begin", "sets a field for a visitor without a session"),
];

/// A service with these pages, and `/fill`, which puts the data into a session.
trait Site {
    /// Asks for a page, and gives the cookie that `/fill` sets.
    async fn visit(&self, page: &str, cookie: Option<&str>) -> Result<Option<String>, Failure>;
}

/// Nanoseconds per request.
async fn timed(site: &impl Site, page: &str, cookie: Option<&str>) -> Result<f64, Failure> {
    let cookie = cookie.filter(|_| page != "/stranger" && page != "/begin");
    let started = Instant::now();
    for _ in 0..REQUESTS {
        site.visit(page, cookie).await?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / f64::from(REQUESTS))
}

/// The same with a session.
async fn timed_with_session(site: &impl Site, page: &str) -> Result<f64, Failure> {
    let set = site.visit("/fill", None).await?;
    timed(site, page, set.as_deref().and_then(|set| set.split(';').next())).await
}

/// What both cost beyond the bare handlers. New sites each turn, so that sessions that pages begin do not pile up.
async fn compare<A: Site, B: Site, C: Site>(
    [jam, peer]: [About; 2],
    new_bare: impl AsyncFn() -> A,
    new_jam: impl AsyncFn() -> B,
    new_peer: impl AsyncFn() -> C,
) -> Result<[Row; 2], Failure> {
    let mut measured = [Vec::new(), Vec::new()];
    for (page, what) in PAGES {
        let mut rates = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            // With the cookie it would get, which has to be parsed from the same bytes.
            let alone = timed(&new_bare().await, page, Some("__Host-session=none")).await?;
            for place in 0..2 {
                let library = (turn + place) % 2;
                let with = match library {
                    0 => timed_with_session(&new_jam().await, page).await?,
                    _ => timed_with_session(&new_peer().await, page).await?,
                };
                // The first turn warms up.
                if turn > 0 {
                    rates[library].push(1e9 / (with - alone).max(1.0));
                }
            }
        }
        for (measured, rates) in measured.iter_mut().zip(rates) {
            measured.push(Measured {
                operation: what.to_owned(),
                rates,
                p50: None,
                p99: None,
            });
        }
    }
    let [of_jam, of_peer] = measured;
    Ok([
        Row {
            about: jam,
            measured: of_jam,
        },
        Row {
            about: peer,
            measured: of_peer,
        },
    ])
}

/// Around axum's handlers.
pub(crate) async fn measure_axum() -> Result<(), Failure> {
    let who = [
        About::jam("jam-tower", "its layer, on jam's memory store"),
        About::peer("tower-sessions", "its layer, on its memory store"),
    ];
    let rows = compare(
        who,
        async || axum::bare(),
        async || axum::jam(),
        async || axum::tower_sessions(),
    )
    .await?;
    Part::new("web-axum").in_nanos().write(1, &rows)
}

/// Around actix-web's.
pub(crate) async fn measure_actix() -> Result<(), Failure> {
    let who = [
        About::jam("jam-actix", "its middleware, on jam's memory store"),
        About::peer(
            "actix-session",
            "its middleware, on the least there can be: a map for one thread, of ours",
        ),
    ];
    let rows = compare(who, actix::bare, actix::jam, actix::actix_session).await?;
    Part::new("web-actix").in_nanos().write(1, &rows)
}

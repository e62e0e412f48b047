//! jam side by side with other session libraries, and with what the storage itself costs: `jam-bench-peers <part> <tasks>`.
//! `scripts/bench` runs it, at one task on one core: on two, each call costs what waking the other one takes.
#![forbid(unsafe_code)]

mod actix;
mod axum_session;
mod backends;
mod churn;
mod crypto;
mod footprint;
mod growth;
mod json;
mod log;
mod map;
mod memory;
mod near;
mod opening;
mod redis_raw;
mod redis_server;
mod sweep;
mod tower;
mod web;

use jam_bench_harness::Failure;
use jam_test_servers::Kind;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, tasks] = arguments.as_slice() else {
        return Err("usage: jam-bench-peers <part> <tasks>".into());
    };
    match part.as_str() {
        "web-axum" => actix_web::rt::System::new().block_on(web::measure_axum()),
        "web-actix" => actix_web::rt::System::new().block_on(web::measure_actix()),
        "footprint" => footprint::measure(),
        "opening" => opening::measure(),
        _ => tokio::runtime::Runtime::new()?.block_on(measure(part, tasks)),
    }
}

/// Some parts take something else than a number of tasks: seconds, or a path.
async fn measure(part: &str, argument: &str) -> Result<(), Failure> {
    let tasks = argument.parse().unwrap_or(1);
    match part {
        "opening-filled" => return opening::filled(argument, false).await,
        "opening-crashed" => return opening::filled(argument, true).await,
        "near-revoking" => return near::revoke(argument).await,
        "opening-opened" => return opening::open(argument).await,
        _ => {}
    }
    match part {
        "memory" => memory::measure(tasks).await,
        "json-os" => json::measure(false, tasks).await,
        "json-sync" => json::measure(true, tasks).await,
        "redis-new" => redis_server::measure(Kind::New, tasks).await,
        "redis-old" => redis_server::measure(Kind::Old, tasks).await,
        "crypto" => crypto::measure(tasks).await,
        "near-new" => near::rates(Kind::New).await,
        "near-old" => near::rates(Kind::Old).await,
        "staleness" => near::staleness().await,
        "sweep" => sweep::measure().await,
        _ => match part.split('-').collect::<Vec<_>>().as_slice() {
            ["footprint", store @ ..] => footprint::one(&store.join("-")).await,
            ["churn", backend @ ..] => churn::measure(&backend.join("-"), argument.parse()?).await,
            ["growth", what, backend @ ..] => growth::measure(what, &backend.join("-"), tasks).await,
            _ => Err(format!("no part {part}").into()),
        },
    }
}

//! jam side by side with other session libraries, and with what the storage itself costs: `jam-bench-peers <part> <tasks>`.
//! `scripts/bench` runs it, at one task on one core: on two, each call costs what waking the other one takes.
#![forbid(unsafe_code)]

mod actix;
mod axum_session;
mod crypto;
mod json;
mod log;
mod map;
mod memory;
mod redis_raw;
mod redis_server;
mod tower;

use jam_bench_harness::Failure;
use jam_test_servers::Kind;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [part, tasks] = arguments.as_slice() else {
        return Err("usage: jam-bench-peers <part> <tasks>".into());
    };
    let tasks = tasks.parse()?;
    match part.as_str() {
        "memory" => memory::measure(tasks).await,
        "json-os" => json::measure(false, tasks).await,
        "json-sync" => json::measure(true, tasks).await,
        "redis-new" => redis_server::measure(Kind::New, tasks).await,
        "redis-old" => redis_server::measure(Kind::Old, tasks).await,
        "crypto" => crypto::measure(tasks).await,
        _ => Err(format!("no part {part}").into()),
    }
}

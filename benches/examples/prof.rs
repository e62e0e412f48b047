use std::sync::Arc;
use jam_core::{SessionId, Sessions};
use jam_redis::RedisStore;
use serde_json::json;
#[tokio::main]
async fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let url = std::env::args().nth(2).unwrap();
    let n: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let s = Sessions::new(RedisStore::open(&url).await.unwrap());
    let mut ids: Vec<SessionId> = vec![];
    for i in 0..2000 { ids.push(s.create(format!("user{i}"), json!({"role":"admin","x":"y".repeat(180)})).await.unwrap()); }
    let ids = Arc::new(ids);
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut con = client.get_multiplexed_async_connection().await.unwrap();
    for i in 0..2000 { let mut c = redis::cmd("HSET"); c.arg(format!("raw:user{i}")).arg("565df195-b963-4ebb-8978-000000000000.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA").arg(format!("{{{}}}", "y".repeat(200))); let _: u64 = c.query_async(&mut con).await.unwrap(); }
    let t = std::time::Instant::now();
    let mut h = vec![];
    for task in 0..64 {
        let (s, ids, mode, mut con) = (s.clone(), ids.clone(), mode.clone(), con.clone());
        h.push(tokio::spawn(async move {
            for k in 0..n/64 {
                match mode.as_str() {
                    "get" => { s.get(&ids[(task*31+k)%2000]).await.unwrap().unwrap(); }
                    "create" => { s.create(format!("user{}", (task*31+k)%2000), json!({"role":"admin","x":"y".repeat(180)})).await.unwrap(); }
                    "rawcreate" => { let mut c = redis::cmd("HSETEX"); c.arg(format!("raw:user{}",(task*31+k)%2000)).arg("FNX").arg("PXAT").arg(2767225600000u64).arg("FIELDS").arg(1).arg(format!("565df195-b963-4ebb-{task:04}-{k:012}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA")).arg(format!("{{\"role\":\"admin\",\"x\":\"{}\"}}", "y".repeat(180))); let _: u64 = c.query_async(&mut con).await.unwrap(); }
                    _ => { let mut c = redis::cmd("HGET"); c.arg(format!("raw:user{}",(task*31+k)%2000)).arg("565df195-b963-4ebb-8978-000000000000.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA"); let _: Vec<u8> = c.query_async(&mut con).await.unwrap(); }
                }
            }
        }));
    }
    for x in h { x.await.unwrap(); }
    eprintln!("{mode} {:.0}/s", n as f64 / t.elapsed().as_secs_f64());
}

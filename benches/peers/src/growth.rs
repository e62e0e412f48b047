//! How cost grows: with the sessions there are, with the sessions of one user, with the size of the data. Stores of different
//! sizes take turns, as contestants do.

use jam_bench_harness::{About, Contestant, Failure, Jam, Local, Part, Settings, compete, fields};
use jam_core::Sessions;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backends::{Backend, open};

/// One size: what it is called, how many sessions there are, of how many users, with how much data.
struct Size {
    name: String,
    sessions: usize,
    users: usize,
    data: usize,
}

fn sizes(what: &str) -> Result<Vec<Size>, Failure> {
    let of = |name: &str, sessions, users, data| Size {
        name: name.to_owned(),
        sessions,
        users,
        data,
    };
    Ok(match what {
        "sessions" => vec![
            of("100 sessions", 100, 20, 200),
            of("10,000", 10_000, 2_000, 200),
            of("100,000", 100_000, 20_000, 200),
            of("1,000,000", 1_000_000, 200_000, 200),
        ],
        "user" => vec![
            of("1 session of each user", 10_000, 10_000, 200),
            of("10", 10_000, 1_000, 200),
            of("100", 10_000, 100, 200),
            of("1,000", 10_000, 10, 200),
        ],
        "data" => vec![
            of("200 bytes", 1_000, 200, 200),
            of("1 KiB", 1_000, 200, 1 << 10),
            of("8 KiB", 1_000, 200, 8 << 10),
            of("64 KiB", 1_000, 200, 64 << 10),
        ],
        _ => return Err(format!("nothing grows with {what}").into()),
    })
}

/// So many bytes of JSON: what a session has, and a list of things looked at.
fn data(bytes: usize) -> Value {
    let mut fields = fields();
    let mut seen = Vec::new();
    for number in 0..bytes.saturating_sub(200) / 54 {
        seen.push(json!({"item": 100_000 + number, "title": "a thing that was looked at"}));
    }
    if !seen.is_empty() {
        fields.insert("seen".into(), seen.into());
    }
    Value::Object(fields)
}

pub(crate) async fn measure(what: &str, backend: &str, tasks: usize) -> Result<(), Failure> {
    let directory = TempDir::new_in("/dev/shm")?;
    let sizes = sizes(what)?;
    let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
    let mut servers = Vec::new();
    for size in &sizes {
        let directory = directory.path().join(&size.name);
        std::fs::create_dir(&directory)?;
        let Backend { store, server } = open(backend, &directory).await?;
        servers.push(server);
        let sessions = Sessions::builder_on(store).build()?;
        let jam = Jam::new(About::jam(&size.name, ""), sessions);
        contestants.push(Local::timed(jam.with_users(size.users).with_data(data(size.data))));
    }
    let settings = Settings {
        seconds: 0.1,
        creates: 2_000,
        sessions: sizes.iter().map(|size| size.sessions).collect(),
        ..Settings::with_tasks(tasks)
    };
    compete(Part::new(format!("growth-{what}-{backend}")), &settings, contestants).await
}

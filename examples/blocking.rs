//! Sessions without async: a queue of work and a few plain threads, as in a program that has no runtime of its own.
//!
//! ```sh
//! cargo run --example blocking                       # in memory
//! cargo run --example blocking sqlite:sessions.db    # SQLite
//! cargo run --example blocking redis://localhost     # Redis or Valkey
//! cargo run --example blocking examples/jam.toml     # whatever the config file says
//! ```
#![expect(clippy::print_stdout, reason = "the example talks to whoever runs it")]

use std::thread;
use std::time::Duration;

use jam::blocking::{self, Sessions};
use jam::{Data, ErrorKind, Result};
use serde_json::json;

const THREADS: u64 = 4;
const VISITS: u64 = 25;

fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "memory:".to_owned());
    let sessions = blocking::open(wanted)?;
    // In the background, until the program ends.
    sessions.sweep_every(Duration::from_mins(5));
    println!("{}", run(&sessions)?);
    sessions.close()
}

fn run(sessions: &Sessions) -> Result<String> {
    let id = sessions.create("user1", json!({"visits": 0}))?;
    // Every thread has the same sessions; a clone costs nothing.
    thread::scope(|scope| {
        let visitors: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| visit(sessions, &id))).collect();
        visitors.into_iter().try_for_each(|visitor| match visitor.join() {
            Ok(visited) => visited,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let session = sessions.get(&id)?.ok_or(ErrorKind::NotFound)?;
    let visits = session.get::<u64>("visits")?;

    let id = sessions.rework(&id)?;
    let devices = sessions.list("user1")?.len();
    sessions.delete(&id)?;
    Ok(format!(
        "{THREADS} threads made {visits:?} visits, none was lost; {devices} device(s) before signing out"
    ))
}

fn visit(sessions: &Sessions, id: &jam::SessionId) -> Result<()> {
    for _ in 0..VISITS {
        sessions.modify(id, |data: &mut Data| {
            let visits = data["visits"].as_u64().unwrap_or(0) + 1;
            data["visits"] = visits.into();
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_visit_is_lost() {
        let told = run(&blocking::open("memory:").unwrap()).unwrap();
        assert!(told.contains("made Some(100) visits"), "{told}");
        assert!(told.contains("1 device(s)"), "{told}");
    }
}

//! Stores in files: without syncs in `/dev/shm`, with syncs in a fresh directory beside the results.

use jam_bench_harness::{About, Contestant, Failure, Jam, Local, Part, Python, Settings, compete};
use jam_core::{Durability, MemoryStore, Sessions};
use jam_json::{JsonDir, JsonFile};
use tempfile::TempDir;
use tower_sessions_file_based_store::FileStore;
use tower_sessions_file_store::FileSessionStorage;

use crate::log::Log;
use crate::tower::new::Tower;

pub(crate) async fn measure(synced: bool, tasks: usize) -> Result<(), Failure> {
    let directory = if synced {
        TempDir::new_in("target")?
    } else {
        TempDir::new_in("/dev/shm")?
    };
    let at = |name: &str| directory.path().join(name);
    let (durability, promise) = if synced {
        (Durability::Sync, "survives a power cut (fdatasync)")
    } else {
        (Durability::Os, "survives a crash of the process, no sync")
    };
    let file = JsonFile::options(at("jam.json")).durability(durability).open().await?;
    let dir = JsonDir::options()
        .storage_path(at("jam"))
        .durability(durability)
        .open()
        .await?;
    let mut contestants: Vec<Box<dyn Contestant>> = vec![
        Local::timed(Jam::new(
            About::jam("jam, JSON file", &format!("a journal with group commit; {promise}")),
            Sessions::new(file),
        )),
        Local::timed(Jam::new(
            About::jam("jam, JSON dir", &format!("one file per session; {promise}")),
            Sessions::new(dir),
        )),
        Local::timed(Jam::new(
            About::jam("jam, memory", "jam's own memory store, for the reads"),
            Sessions::new(MemoryStore::new()),
        )),
        Local::timed(Log::open(&at("log"), synced)?),
        Local::timed(Tower::new(
            About::peer(
                "tower-sessions-file-based-store",
                if synced {
                    "one file per session, `with_fsync(true)`: the file is synced before it is renamed, its directory is not"
                } else {
                    "one file per session, written beside and renamed, no sync (its default)"
                },
            ),
            FileStore::in_dir(at("file-based"))?.with_fsync(synced),
        )),
    ];
    if synced {
        contestants.push(Local::timed(Tower::new(
            About::peer(
                "tower-sessions-file-based-store, as it comes",
                "one file per session, no sync",
            ),
            FileStore::in_dir(at("file-based-as-it-comes"))?,
        )));
    } else {
        contestants.push(Local::timed(Tower::new(
            About::peer(
                "tower-sessions-file-store",
                "one file per session, overwritten in place, no sync; a crash can leave half a session",
            ),
            FileSessionStorage::new_in_folder(at("file-store")),
        )));
    }
    contestants.push(Python::start(
        About::peer(
            "jamlib, JSON",
            "Python; writes all sessions anew at each change, no sync, no file locks; one call at a time",
        ),
        &["jamlib-json", &at("jamlib.json").to_string_lossy()],
    )?);
    contestants.push(Python::start(
        About::peer(
            "Django, file backend",
            "Python; one file per session, written beside and renamed, no sync; a thread per task",
        ),
        &["django-file", &at("django").to_string_lossy()],
    )?);
    let part = Part::new(if synced { "json-sync" } else { "json-os" });
    let settings = Settings {
        creates: if synced { 2_000 } else { 10_000 },
        deletes_at_the_end: synced,
        ..Settings::with_tasks(tasks)
    };
    compete(part, &settings, contestants).await
}

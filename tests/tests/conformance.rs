//! The public conformance suite on every store of this repository, each as durable and as shared as it claims to be.

use std::sync::{Arc, Mutex};

use jam::conformance::Suite;
use jam::{Clock, SystemClock};
use jam_json::{Durability, JsonDir, JsonFile};
use jam_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

fn spawn(task: jam::conformance::Task) {
    drop(tokio::spawn(task));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_the_contract() {
    jam::conformance::run(|clock| async { Ok(jam::MemoryStore::with_clock(clock)) }, spawn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn json_file_keeps_the_contract_and_outlives_closing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions.json");
    let open = move |clock| JsonFile::options(&path).durability(Durability::Os).clock(clock).open();
    Suite::new(open, spawn).durable().run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn json_dir_keeps_the_contract_outlives_closing_and_is_shared() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions");
    // A second instance on the same directory goes by the clock the first one was given.
    let current: Arc<Mutex<Arc<dyn Clock>>> = Arc::new(Mutex::new(Arc::new(SystemClock)));
    let options = move |clock| {
        JsonDir::options()
            .storage_path(&path)
            .durability(Durability::Os)
            .clock(clock)
    };
    let (first, second) = (options.clone(), options);
    let remembered = Arc::clone(&current);
    let open = move |clock: Arc<dyn Clock>| {
        *remembered.lock().unwrap() = Arc::clone(&clock);
        first(clock).open()
    };
    Suite::new(open, spawn)
        .second_handle(move |_| second(Arc::clone(&current.lock().unwrap())).open())
        .durable()
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_the_contract_outlives_closing_and_is_shared() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sessions.db");
    let current: Arc<Mutex<Arc<dyn Clock>>> = Arc::new(Mutex::new(Arc::new(SystemClock)));
    let options = move |clock| SqliteStore::options(&path).durability(Durability::Os).clock(clock);
    let (first, second) = (options.clone(), options);
    let remembered = Arc::clone(&current);
    let open = move |clock: Arc<dyn Clock>| {
        *remembered.lock().unwrap() = Arc::clone(&clock);
        first(clock).open()
    };
    Suite::new(open, spawn)
        .second_handle(move |_| second(Arc::clone(&current.lock().unwrap())).open())
        .durable()
        .run()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_in_memory_keeps_the_contract() {
    let open = |clock| SqliteOptions::in_memory().clock(clock).open();
    jam::conformance::run(open, spawn).await;
}

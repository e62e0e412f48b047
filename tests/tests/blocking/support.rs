//! Setting the stage without a runtime of the test's own.

use std::fs;
use std::time::{Duration, Instant};

use jam::SessionsBuilder;
use jam::blocking::Sessions;
use jam_tests::Stage;

/// A blocking manager on a store that was opened on its runtime, and the stage.
pub(crate) fn open(
    stage: impl Future<Output = Stage>,
    settings: impl FnOnce(SessionsBuilder) -> SessionsBuilder,
) -> (Stage, Sessions) {
    let mut set = None;
    let sessions = Sessions::open_with(async {
        let stage = set.insert(stage.await);
        settings(stage.builder()).build()
    });
    (set.unwrap(), sessions.unwrap())
}

/// Makes a test without a runtime of each function on each store.
macro_rules! on_every_store_blocking {
    ($($promise:ident),+ $(,)?) => {
        on_every_store_blocking!(@ memory: $($promise),+);
        on_every_store_blocking!(@ encrypted: $($promise),+);
        on_every_store_blocking!(@ json_file: $($promise),+);
        on_every_store_blocking!(@ json_dir: $($promise),+);
        on_every_store_blocking!(@ sqlite: $($promise),+);
        on_every_store_blocking!(@ redis_old: $($promise),+);
        on_every_store_blocking!(@ redis_new: $($promise),+);
    };
    (@ $store:ident: $($promise:ident),+) => {
        mod $store {
            $(
                #[test]
                fn $promise() {
                    super::$promise(jam_tests::Stage::$store());
                }
            )+
        }
    };
}
pub(crate) use on_every_store_blocking;

/// Waits until it is so.
pub(crate) fn eventually(what: &str, so: impl Fn() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The threads of this process that blocking managers have, by number.
pub(crate) fn threads() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap());
    threads
        .filter(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "jam-blocking"))
        .map(|thread| thread.file_name().into_string().unwrap())
        .collect()
}

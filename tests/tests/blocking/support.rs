//! Setting the stage without a runtime of the test's own.

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

//! Opening a store before its server is there.

use jam_core::{ErrorKind, Load, RecordId, SessionStore};
use jam_test_servers::{Kind, Server};

use crate::load::{options, record, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opened_lazily_works_once_the_server_comes() {
    for kind in [Kind::Old, Kind::New] {
        let server = Server::start(kind);
        server.shut_down();
        let error = soon(options(&server.url()).open()).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Unavailable,
            "a wrong address shows at the start"
        );
        let store = soon(options(&server.url()).connect_lazily(true).open()).await.unwrap();
        let id = RecordId::new("user1".parse().unwrap(), "id").unwrap();
        for _ in 0..3 {
            let errors = [
                soon(store.load(&id, Load::new())).await.map(drop),
                soon(store.insert(&id, &record(1))).await,
                soon(store.list(id.key())).await.map(drop),
                soon(store.clear(id.key())).await.map(drop),
                soon(store.remove(&id)).await.map(drop),
                soon(store.scan(None, 10)).await.map(drop),
                soon(store.has_field_expiry()).await.map(drop),
            ];
            for error in errors.map(Result::unwrap_err) {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(!error.outcome_unknown(), "nothing was sent: {error}");
            }
        }
        server.restart();
        // An attempt that failed a moment ago stands for a tenth of a second.
        while let Err(error) = soon(store.insert(&id, &record(1))).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        let loaded = store.load(&id, Load::new()).await.unwrap().unwrap();
        assert_eq!(loaded.payload, "1");
        assert_eq!(store.has_field_expiry().await.unwrap(), kind == Kind::New);
    }
}

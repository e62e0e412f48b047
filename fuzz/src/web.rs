//! Headers of requests.

use std::sync::LazyLock;

use futures_lite::future::block_on;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use jam_core::{MemoryStore, Sessions};
use jam_http::{Error, Exchange, SessionConfig, Transport};

static CONFIGS: LazyLock<[SessionConfig; 2]> = LazyLock::new(|| {
    let sessions = Sessions::new(MemoryStore::new());
    let bearer = SessionConfig::builder(sessions.clone()).transport(Transport::Bearer);
    [SessionConfig::new(sessions), bearer.build().unwrap()]
});

/// `Cookie` and `Authorization`, one on each line: nobody is logged in by them, and what goes out with the response is a header.
pub fn cookie(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        headers.append(COOKIE, value.clone());
        headers.append(AUTHORIZATION, value);
    }
    for config in &*CONFIGS {
        let exchange = Exchange::begin(config, &headers);
        let session = exchange.session();
        match block_on(session.key()) {
            Ok(key) => assert!(key.is_none(), "nobody was given this id"),
            Err(error) => assert!(matches!(error, Error::Ambiguous), "{error}"),
        }
        if block_on(session.insert("n", 1)).is_ok() {
            let closing = block_on(exchange.finish(StatusCode::OK));
            assert!(closing.error().is_none());
            let mut sent = HeaderMap::new();
            closing.apply(&mut sent);
            block_on(
                session
                    .config()
                    .sessions()
                    .delete(block_on(session.id()).unwrap().unwrap()),
            )
            .unwrap();
        }
    }
}

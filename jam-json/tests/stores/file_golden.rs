//! Files of every format version open for ever, as what they were.

use crate::file_support::{Place, all};
use jam_core::Timestamp;

/// Document and journal of format 1: every kind of change, every form of payload.
const DOCUMENT_V1: &[u8] = include_bytes!("../golden/file_v1.json");
const JOURNAL_V1: &[u8] = include_bytes!("../golden/file_v1.journal");

#[tokio::test]
async fn format_1_opens() {
    let place = Place::new();
    std::fs::write(place.path(), DOCUMENT_V1).expect("write");
    std::fs::write(place.beside(".journal-2"), JOURNAL_V1).expect("write");
    let store = place.open().await;
    assert_eq!(store.recovery().replayed, 10);
    assert!(store.recovery().damage.is_empty());
    let session = |key: &str, id: &str, payload: &[u8], secs: Option<u64>| {
        let at = secs.map(Timestamp::from_secs);
        (key.to_owned(), id.to_owned(), payload.to_vec(), at)
    };
    let expected = [
        session("line\nbreak", "nul\0", b"{\"quote\":\"\\\"\"}", None),
        session("line\nbreak", "three", b"[1]", None),
        session("user1", "renamed", b"{\"role\": \"admin\", \"n\": 1.0}", Some(4_000)),
        session("user1", "touched", b"{}", Some(5_000)),
        session("user2", "swapped", b"\x00\xff", None),
        session("\u{1f600}", "kept", b"J$_sealed", Some(9_000)),
    ];
    assert_eq!(all(&store).await, expected);
}

//! What the manager makes of codecs and sealers of an application's own.

use std::sync::Arc;

use jam::{
    Described, ErrorKind, IdCodec, InnerId, MemoryStore, PlainIds, RecordId, SealContext, SealDomain, Sealer,
    SessionId, Sessions,
};
use jam_tests::kind;
use serde_json::json;

/// One that seals data and nothing else, as it may be written for a format from elsewhere.
#[derive(Debug)]
struct OfDataAlone;

impl Sealer for OfDataAlone {
    fn seal(&self, context: &SealContext<'_>, plain: &[u8]) -> jam::Result<Vec<u8>> {
        match context.domain {
            SealDomain::Data => Ok(plain.to_vec()),
            _ => Err(ErrorKind::Crypto.into()),
        }
    }

    fn open(&self, _: &SealContext<'_>, sealed: &[u8]) -> jam::Result<Vec<u8>> {
        Ok(sealed.to_vec())
    }
}

/// At the first login it would fail, where a note is left at the id that is replaced.
#[test]
fn a_sealer_of_data_alone_is_refused_where_notes_are_left() {
    let builder = || Sessions::builder(MemoryStore::new()).sealer(OfDataAlone);
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("cannot seal notes"), "{error}");
    assert!(builder().ids(PlainIds).build().is_ok());
}

/// Of an application's own, in an alphabet that has a `~`.
#[derive(Debug)]
struct Tildes;

impl IdCodec for Tildes {
    fn issue(&self, inner: &InnerId) -> jam::Result<(SessionId, RecordId)> {
        let (id, record) = PlainIds.issue(inner)?;
        Ok((id, RecordId::new(record.key().clone(), format!("{}~", record.id()))?))
    }

    fn resolve(&self, public: &str) -> jam::Result<RecordId> {
        let record = PlainIds.resolve(public)?;
        RecordId::new(record.key().clone(), format!("{}~", record.id()))
    }

    fn describe(&self, id: &RecordId) -> Described {
        Described::opaque(id)
    }

    fn keeps_life(&self) -> bool {
        false
    }
}

/// No list would show it, no revocation find it and no cap count it.
#[tokio::test]
async fn no_session_takes_the_place_of_a_note() {
    let store = Arc::new(MemoryStore::new());
    let sessions = Sessions::builder(Arc::clone(&store)).ids(Tildes).build().unwrap();
    let refused = sessions.create("user1", json!({})).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unexpected);
    let plain = Sessions::builder(store).ids(PlainIds).build().unwrap();
    let id = plain.create("user1", json!({})).await.unwrap();
    assert!(sessions.get(&id).await.unwrap().is_none());
    let refused = sessions.rework(&id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

/// Whose key server is away, say.
#[derive(Debug)]
struct Away;

impl IdCodec for Away {
    fn issue(&self, inner: &InnerId) -> jam::Result<(SessionId, RecordId)> {
        PlainIds.issue(inner)
    }

    fn resolve(&self, _: &str) -> jam::Result<RecordId> {
        Err(ErrorKind::Unavailable.into())
    }

    fn describe(&self, id: &RecordId) -> Described {
        PlainIds.describe(id)
    }

    fn keeps_life(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_codec_that_cannot_tell_is_an_error_and_never_an_absent_session() {
    let sessions = Sessions::builder(MemoryStore::new()).ids(Away).build().unwrap();
    let id = sessions.create("user1", json!({})).await.unwrap();
    assert_eq!(kind(sessions.get(&id).await), ErrorKind::Unavailable);
    assert_eq!(kind(sessions.delete(&id).await), ErrorKind::Unavailable);
}

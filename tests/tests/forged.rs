//! Forged, malformed and foreign ids: none is accepted, none panics, and with encryption on the store is never asked.
//!
//! `JAM_TEST_FORGED=1000000` runs the long version; `JAM_TEST_SEED` begins with one that failed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jam::{HashedIds, InnerId, MemoryStore, Record, RecordId, SessionOptions, SessionStore, Sessions};
use jam_crypto::{AesIds, AesSealer, FernetIds, FernetSealer, KeyRing};
use jam_test_trials::Dice;
use jam_tests::{Hooked, Trials};
use serde_json::json;

/// A store that counts how often it is asked anything.
fn counting(calls: &Arc<AtomicU64>) -> Hooked {
    let calls = Arc::clone(calls);
    Hooked::new(Arc::new(MemoryStore::new()), move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(()))
    })
}

/// Something a client might send instead of an id it was given.
fn forge(dice: &mut Dice, ids: &[String]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:$~ \0=+/%";
    let mut id = ids[dice.below(ids.len())].clone().into_bytes();
    match dice.below(6) {
        0 => {
            let at = dice.below(id.len());
            id[at] ^= 1 << dice.below(7);
        }
        1 => id.truncate(dice.below(id.len())),
        2 => id.insert(dice.below(id.len()), ALPHABET[dice.below(ALPHABET.len())]),
        3 => {
            let other = &ids[dice.below(ids.len())];
            let at = dice.below(id.len().min(other.len()) - 1) + 1;
            id.truncate(at);
            id.extend_from_slice(&other.as_bytes()[at..]);
        }
        4 => {
            id = (0..dice.below(200))
                .map(|_| ALPHABET[dice.below(ALPHABET.len())])
                .collect();
        }
        _ => {
            for _ in 0..2 {
                let at = dice.below(id.len());
                id[at] = ALPHABET[dice.below(ALPHABET.len())];
            }
        }
    }
    String::from_utf8_lossy(&id).into_owned()
}

async fn nothing_forged_is_accepted(what: &str, sessions: &Sessions, calls: &AtomicU64, store_may_be_asked: bool) {
    let mut ids = Vec::new();
    for number in 0..16 {
        ids.push(
            sessions
                .create(format!("user{number}"), json!({}))
                .await
                .unwrap()
                .into_string(),
        );
    }
    let asked_before = calls.load(Ordering::Relaxed);
    for round in Trials::new(format!("forged {what} ids"), "JAM_TEST_FORGED", 20_000) {
        let forged = forge(&mut Dice::new(round), &ids);
        if ids.contains(&forged) {
            continue;
        }
        let accepted = match round % 5 {
            0 => sessions.delete(&forged).await.unwrap(),
            1 => sessions.touch(&forged).await.unwrap(),
            2 => sessions.update(&forged, json!({})).await.is_ok(),
            3 => sessions
                .rework_as(&forged, "user0", SessionOptions::new())
                .await
                .is_ok(),
            _ => sessions.get(&forged).await.unwrap().is_some(),
        };
        assert!(!accepted, "round {round}: {forged:?} was accepted");
    }
    if !store_may_be_asked {
        assert_eq!(
            calls.load(Ordering::Relaxed),
            asked_before,
            "the store was asked for a forged id"
        );
    }
    for id in &ids {
        assert!(sessions.exists(id).await.unwrap());
    }
}

#[tokio::test]
async fn no_forged_encrypted_id_reaches_the_store() {
    let calls = Arc::new(AtomicU64::new(0));
    let ring: KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let builder = Sessions::builder(counting(&calls))
        .ids(AesIds::new(ring.clone()))
        .sealer(AesSealer::new(ring));
    let sessions = builder.grace(std::time::Duration::from_secs(30)).build().unwrap();
    nothing_forged_is_accepted("encrypted", &sessions, &calls, false).await;
}

#[tokio::test]
async fn no_forged_fernet_id_reaches_the_store() {
    let calls = Arc::new(AtomicU64::new(0));
    let ring: KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let builder = Sessions::builder(counting(&calls))
        .ids(FernetIds::new(ring.clone()))
        .sealer(FernetSealer::new(ring));
    nothing_forged_is_accepted("Fernet", &builder.build().unwrap(), &calls, false).await;
}

#[tokio::test]
async fn no_forged_plain_id_is_accepted() {
    let calls = Arc::new(AtomicU64::new(0));
    let sessions = Sessions::new(counting(&calls));
    nothing_forged_is_accepted("plain", &sessions, &calls, true).await;
}

#[tokio::test]
async fn a_record_moved_to_another_session_does_not_open() {
    let store = Arc::new(MemoryStore::new());
    let ring: KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let builder = Sessions::builder(Arc::clone(&store))
        .ids(AesIds::new(ring.clone()))
        .sealer(AesSealer::new(ring));
    let sessions = builder.build().unwrap();
    let victim = sessions.create("admin", json!({"role": "admin"})).await.unwrap();
    let attacker = sessions.create("mallory", json!({"role": "guest"})).await.unwrap();
    let of = async |key: &str| store.list(&key.parse().unwrap()).await.unwrap().remove(0);
    let (admin, mallory) = (of("admin").await, of("mallory").await);
    // Whoever can write to the store copies the administrator's data over their own.
    store
        .replace(&mallory.id, None, &Record::new(admin.stored.payload, None))
        .await
        .unwrap();
    assert_eq!(
        sessions.get(&attacker).await.unwrap_err().kind(),
        jam::ErrorKind::Crypto
    );
    assert!(sessions.get(&victim).await.unwrap().is_some());
}

/// The store keeps a hash of an id's secret that anybody can compute. Whoever can write there makes a record for a secret of their own
/// choice, and copies to it what is sealed for the same session.
#[tokio::test]
async fn a_session_opens_at_no_id_that_was_made_in_the_store() {
    let store = Arc::new(MemoryStore::new());
    let ring: KeyRing = jam_crypto::generate_aes_key().unwrap().parse().unwrap();
    let builder = Sessions::builder(Arc::clone(&store)).sealer(AesSealer::new(ring));
    let sessions = builder.grace(std::time::Duration::from_secs(30)).build().unwrap();
    let victim = sessions.create("admin", json!({"role": "admin"})).await.unwrap();
    let secret = sessions.create("mallory", json!({})).await.unwrap();
    let secret = secret.as_str().rsplit_once('.').unwrap().1;
    let list = async || store.list(&"admin".parse().unwrap()).await.unwrap();
    let admin = list().await.remove(0);
    let (session, _) = admin.id.id().rsplit_once('.').unwrap();
    let minted = InnerId::parse(&format!("admin:{session}.{secret}")).unwrap();
    let (minted, record) = (minted.to_text(), HashedIds.record_id(&minted).unwrap());
    let forged = Record::new(admin.stored.payload, None);
    store.insert(&record, &forged).await.unwrap();
    let refused = sessions.get(&minted).await.unwrap_err();
    assert_eq!(refused.kind(), jam::ErrorKind::Crypto);
    store.remove(&record).await.unwrap();

    // Nor does a note lead on from there.
    let rotated = sessions.rework_with_grace(&victim).await.unwrap();
    let note = list().await.into_iter().find(|entry| entry.id.is_reserved()).unwrap();
    let beside = RecordId::new("admin".parse().unwrap(), format!("{}~", record.id())).unwrap();
    let forged = Record::new(note.stored.payload, None);
    store.insert(&beside, &forged).await.unwrap();
    assert!(sessions.get(&victim).await.unwrap().is_some(), "the true one does");
    assert!(sessions.get(&minted).await.unwrap().is_none());
    assert!(!sessions.delete(&minted).await.unwrap());
    assert!(sessions.exists(&rotated).await.unwrap());
}

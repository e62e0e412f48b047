//! `layout = "jamlib"`: what the store keeps is what Python's jamlib would, plain and encrypted.
#![cfg(feature = "crypto")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use jam::{
    Config, ErrorKind, IdCodec, Layout, MemoryStore, PlainIds, Registry, Result, SessionStore, Sessions, StoreConfig,
    StoreFactory,
};
use serde_json::{Value, json};

/// A backend that shows which layout it was told, and lets one look into its store.
#[derive(Clone, Debug, Default)]
struct Glass {
    store: Arc<MemoryStore>,
    layouts: Arc<Mutex<Vec<Layout>>>,
}

#[async_trait::async_trait]
impl StoreFactory for Glass {
    fn names(&self) -> &'static [&'static str] {
        &["glass"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        config.finish()?;
        self.layouts.lock().unwrap().push(config.layout());
        Ok(Arc::clone(&self.store) as Arc<dyn SessionStore>)
    }
}

impl Glass {
    async fn open(&self, more: Value) -> Result<Sessions> {
        let Value::Object(mut fields) = more else {
            panic!("an object")
        };
        fields.insert("type".to_owned(), json!("glass"));
        let mut registry = Registry::new();
        registry.register(self.clone());
        let config = Config::from_value(fields).environment::<&str, &str>([]);
        config.registry(registry).open().await
    }

    /// Record id and payload of the one session of a key.
    async fn kept(&self, key: &str) -> (String, String) {
        let entry = self.store.list(&key.parse().unwrap()).await.unwrap().remove(0);
        let payload = String::from_utf8(entry.stored.payload.to_vec()).unwrap();
        (entry.id.id().to_owned(), payload)
    }
}

fn key() -> String {
    jam::crypto::generate_aes_key().unwrap()
}

#[tokio::test]
async fn plain_the_store_keeps_the_id_and_readable_data() {
    let glass = Glass::default();
    let sessions = glass.open(json!({"layout": "jamlib"})).await.unwrap();
    let id = sessions.create("a:b", json!({"n": 1})).await.unwrap();
    assert_eq!(
        glass.kept("a:b").await,
        (id.as_str().to_owned(), r#"{"n":1}"#.to_owned())
    );
    assert!(PlainIds.resolve(id.as_str()).is_ok());
}

#[tokio::test]
async fn encrypted_the_store_keeps_fernet_tokens_of_id_and_data() {
    let (glass, key) = (Glass::default(), key());
    let encrypted = json!({"layout": "jamlib", "is_session_crypt": true, "session_aes_secret": key});
    let sessions = glass.open(encrypted).await.unwrap();
    let id = sessions.create("a:b", json!({"pin": "hidden"})).await.unwrap();
    let (kept, payload) = glass.kept("a:b").await;
    assert_eq!(kept, id.as_str());
    for token in [&kept, &payload] {
        assert!(token.starts_with("J$_gAAAAA"), "{token}");
    }

    // Everything works on them: get, update, rework, list, revoke.
    sessions.update(&id, json!({"n": 2})).await.unwrap();
    let id = sessions.rework(&id).await.unwrap();
    let session = sessions.get(&id).await.unwrap().unwrap();
    assert_eq!(session.get::<u32>("n").unwrap(), Some(2));
    let devices = sessions.list("a:b").await.unwrap();
    assert!(sessions.revoke("a:b", devices[0].handle()).await.unwrap());
    assert!(!sessions.exists(&id).await.unwrap());
}

#[tokio::test]
async fn keys_of_fernet_rotate_too() {
    let (glass, old, new) = (Glass::default(), key(), key());
    let open =
        |secret: Value| glass.open(json!({"layout": "jamlib", "is_session_crypt": true, "session_aes_secret": secret}));
    let id = open(json!(old))
        .await
        .unwrap()
        .create("user1", json!({}))
        .await
        .unwrap();
    let rotated = open(json!([new, old])).await.unwrap();
    assert!(rotated.get(&id).await.unwrap().is_some());
    assert!(open(json!(new)).await.unwrap().get(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_backend_is_told_the_layout_and_need_not_ask() {
    let glass = Glass::default();
    glass.open(json!({})).await.unwrap();
    glass.open(json!({"layout": "jam"})).await.unwrap();
    glass.open(json!({"layout": "jamlib"})).await.unwrap();
    assert_eq!(
        *glass.layouts.lock().unwrap(),
        [Layout::Jam, Layout::Jam, Layout::Jamlib]
    );
    let of_url = Config::from_url("memory:?layout=jamlib").unwrap();
    assert!(of_url.environment::<&str, &str>([]).open().await.is_ok());
}

#[tokio::test]
async fn what_the_layout_cannot_carry_is_refused() {
    let key = key();
    let encrypted = |field: &str, value: Value| json!({"layout": "jamlib", "is_session_crypt": true, "session_aes_secret": key, field: value});
    for (wrong, expected) in [
        (encrypted("max_lifetime", json!(60)), "`max_lifetime` needs ids"),
        (encrypted("grace", json!(60)), "`grace` needs ids"),
        (
            encrypted("encrypt_data", json!(false)),
            "`encrypt_data` must be left out: jamlib encrypts ids and data, or neither",
        ),
        (
            encrypted("accept_plaintext", json!(true)),
            "`accept_plaintext` must be left out",
        ),
        (json!({"layout": "jamlib", "grace": 60}), "`grace` needs ids"),
        (json!({"layout": "python"}), "`layout` must be \"jam\" or \"jamlib\""),
    ] {
        let glass = Glass::default();
        let error = glass.open(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(expected), "{error}");
        assert!(glass.layouts.lock().unwrap().is_empty(), "the store was opened");
    }
    // What is true anyway may be said.
    assert!(
        Glass::default()
            .open(encrypted("encrypt_data", json!(true)))
            .await
            .is_ok()
    );
}

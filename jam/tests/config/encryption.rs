//! Encryption by configuration: one switch, where its keys come from, and how it is turned on later.

use jam::ErrorKind;
use serde_json::{Value, json};

use super::{config, fields};

#[tokio::test]
async fn encryption_is_one_switch_and_keys_rotate() {
    let open = async |secret: Value, more: Value| {
        let mut value = json!({"type": "json", "is_session_crypt": true, "session_aes_secret": secret});
        value.as_object_mut().unwrap().extend(fields(more));
        config(value).open().await
    };
    let directory = tempfile::tempdir().unwrap();
    let path = json!({"json_path": directory.path().join("s.json")});
    let (old, new) = (
        jam::crypto::generate_aes_key().unwrap(),
        jam::crypto::generate_aes_key().unwrap(),
    );

    let sessions = open(json!(old), path.clone()).await.unwrap();
    let id = sessions.create("user1", json!({"pin": "hidden"})).await.unwrap();
    assert!(id.as_str().starts_with("J$_") && !id.as_str().contains("user1"));
    sessions.close().await.unwrap();
    drop(sessions);
    let kept = std::fs::read_to_string(directory.path().join("s.json")).unwrap();
    assert!(!kept.contains("hidden"));

    let sessions = open(json!([new, old]), path.clone()).await.unwrap();
    assert_eq!(
        sessions
            .get(&id)
            .await
            .unwrap()
            .unwrap()
            .get::<String>("pin")
            .unwrap()
            .as_deref(),
        Some("hidden")
    );
    let newer = sessions.create("user1", json!({})).await.unwrap();
    sessions.close().await.unwrap();
    drop(sessions);

    let sessions = open(json!(new), path).await.unwrap();
    assert!(sessions.get(&id).await.unwrap().is_none(), "the old key was taken away");
    assert!(sessions.get(&newer).await.unwrap().is_some());
    sessions.close().await.unwrap();

    let error = open(json!("too short"), json!({})).await.unwrap_err();
    assert!(!format!("{error:?}").contains("too short"));
}

/// The name of the variable is that of the field, so it would replace the list it stands in.
#[tokio::test]
async fn a_variable_that_its_own_field_names_stays_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.json");
    let (old, new) = (
        jam::crypto::generate_aes_key().unwrap(),
        jam::crypto::generate_aes_key().unwrap(),
    );
    let open = async |secret: Value, variables: &[(&str, &str)]| {
        let value = json!({"type": "json", "json_path": path, "is_session_crypt": true, "session_aes_secret": secret});
        let variables = variables.iter().copied();
        config(value).environment(variables).open().await.unwrap()
    };
    let before = open(json!("$JAM_SESSION_AES_SECRET"), &[("JAM_SESSION_AES_SECRET", &old)]).await;
    let first = before.create("user1", json!({})).await.unwrap();
    before.close().await.unwrap();
    drop(before);

    for list in [
        json!(["$NEW", "$JAM_SESSION_AES_SECRET"]),
        json!("$NEW, ${JAM_SESSION_AES_SECRET}"),
    ] {
        let both = open(list, &[("NEW", &new), ("JAM_SESSION_AES_SECRET", &old)]).await;
        assert!(both.exists(&first).await.unwrap(), "the old key opens");
        let second = both.create("user1", json!({})).await.unwrap();
        both.close().await.unwrap();
        drop(both);
        let after = open(json!(new), &[]).await;
        assert!(after.exists(&second).await.unwrap(), "the new key seals");
        after.close().await.unwrap();
    }

    // What is no reference to it is overridden, as any other field.
    let overridden = open(
        json!("$$JAM_SESSION_AES_SECRET $NEW"),
        &[("JAM_SESSION_AES_SECRET", &old)],
    )
    .await;
    assert!(overridden.exists(&first).await.unwrap());
}

#[tokio::test]
async fn data_can_stay_readable_and_be_sealed_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.json");
    let key = jam::crypto::generate_aes_key().unwrap();
    let open = async |more: Value| {
        let mut value = json!({"type": "json", "json_path": path, "is_session_crypt": true, "session_aes_secret": key});
        value.as_object_mut().unwrap().extend(fields(more));
        config(value).open().await.unwrap()
    };
    let readable = open(json!({"encrypt_data": false})).await;
    let id = readable.create("user1", json!({"place": "Lisbon"})).await.unwrap();
    assert!(id.as_str().starts_with("J$_"));
    readable.close().await.unwrap();
    drop(readable);
    assert!(std::fs::read_to_string(&path).unwrap().contains("Lisbon"));

    let strict = open(json!({})).await;
    assert_eq!(
        strict.get(&id).await.unwrap_err().kind(),
        ErrorKind::Crypto,
        "there is no plaintext path"
    );
    strict.close().await.unwrap();
    drop(strict);

    let migrating = open(json!({"accept_plaintext": true})).await;
    assert_eq!(
        migrating
            .get(&id)
            .await
            .unwrap()
            .unwrap()
            .get::<String>("place")
            .unwrap()
            .as_deref(),
        Some("Lisbon")
    );
    // A rework seals what it moves.
    let id = migrating.rework(&id).await.unwrap();
    migrating.close().await.unwrap();
    drop(migrating);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("Lisbon"));
    let strict = open(json!({})).await;
    assert!(strict.get(&id).await.unwrap().is_some());
    strict.close().await.unwrap();
}

/// Most likely it was to be the path of one, from another directory.
#[tokio::test]
async fn a_text_that_is_neither_key_nor_file_is_told_to_be_neither_and_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let no_key = directory.path().join("key");
    std::fs::write(&no_key, "no key").unwrap();
    let key = jam::crypto::generate_aes_key().unwrap();
    let said = async |secret: Value| {
        let value = json!({"type": "memory", "is_session_crypt": true, "session_aes_secret": secret});
        let error = config(value).open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2") && !said.contains(&key), "{said}");
        assert!(said.contains("no AES key"), "{said}");
        said.contains("nor is there a file of that name")
    };
    assert!(said(json!("hunter2.key")).await);
    assert!(said(json!([key, "hunter2.key"])).await);
    assert!(said(json!(format!("{key}x"))).await, "it may be the name of a file");
    assert!(!said(json!("")).await);
    assert!(
        !said(json!([no_key, "hunter2.key"])).await,
        "what is in the file is no key"
    );
}

#[tokio::test]
async fn a_key_may_stand_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, format!("{}\n", jam::crypto::generate_aes_key().unwrap())).unwrap();
    let value = json!({"type": "memory", "is_session_crypt": true, "session_aes_secret": path});
    let sessions = config(value).open().await.unwrap();
    assert!(
        sessions
            .create("user1", json!({}))
            .await
            .unwrap()
            .as_str()
            .starts_with("J$_")
    );
}

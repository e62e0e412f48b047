//! No session key or id escapes its file, collides with another one, or shows up where it should not.

use std::collections::BTreeSet;

use crate::dir_support::*;
use jam_core::{ErrorKind, Load, Rename, SessionStore};
use jam_json::{Durability, JsonDir, JsonDirOptions};

fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "a",
        "A",
        "\u{e4}",
        "a\u{308}",
        "\u{212b}",
        "\u{c5}",
        "ss",
        "\u{df}",
        "\u{fb01}",
        "fi",
        "\0",
        "\0\0",
        "a\0",
        "a\0b",
        "\n",
        "\r\n",
        " ",
        "  ",
        ".",
        "..",
        "../..",
        "../../../../etc/passwd",
        "/",
        "/etc/passwd",
        "//",
        "\\",
        "..\\..",
        "C:\\",
        "CON",
        "nul.json",
        "a:b:c",
        ":",
        "~",
        "a~",
        "*",
        "?",
        "%2e%2e",
        "\"",
        "{}",
        "}{",
        "\u{202e}txt",
        "\u{1f980}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "-rf",
        "$HOME",
        "`id`",
        "next.tmp",
        ".json",
        ".lock",
        ".trash",
        "jam_",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend((1..=512).step_by(73).map(|len| "x".repeat(len)));
    texts.push("\u{1f980}".repeat(128));
    texts.push("../".repeat(170));
    texts
}

#[tokio::test]
async fn every_key_and_id_is_a_session_of_its_own() {
    let it = Fixture::new().await;
    let texts = hostile();
    for (index, text) in texts.iter().enumerate() {
        // As a key, as an id of one shared key, and as both.
        for id in [id(text, "id"), id("shared", text), id(text, text)] {
            let record = forever(&format!("{{\"n\":{index}}}"));
            match it.store.insert(&id, &record).await {
                Ok(()) => {}
                Err(error) => panic!("{text:?}: {error}"),
            }
        }
    }
    for (index, text) in texts.iter().enumerate() {
        let expected = format!("{{\"n\":{index}}}");
        for id in [id(text, "id"), id("shared", text), id(text, text)] {
            assert_eq!(payload(&it.store, &id).await.as_deref(), Some(&*expected), "{text:?}");
        }
        let listed = it.store.list(&key(text)).await.expect("listed");
        let ids: BTreeSet<_> = listed.into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids, BTreeSet::from([id(text, "id"), id(text, text)]), "{text:?}");
    }
    assert_eq!(it.store.list(&key("shared")).await.expect("listed").len(), texts.len());
    let page = it.store.scan(None, usize::MAX).await.expect("scanned");
    assert_eq!(page.entries.len(), 3 * texts.len());
    for text in &texts {
        let (from, to) = (id(text, text), id(text, &format!("moved {}", text.len())));
        let version = load(&it.store, &from).await.expect("there").version;
        let record = forever("{}");
        it.store
            .rename(Rename::new(&from, &version, &to, &record))
            .await
            .expect("renamed");
        assert!(it.store.remove(&id("shared", text)).await.expect("removed"));
        assert_eq!(it.store.clear(&key(text)).await.expect("cleared"), 2, "{text:?}");
    }
    assert!(it.session_files().is_empty());
}

#[tokio::test]
async fn nothing_but_hashes_and_the_prefix_is_in_a_file_name() {
    let it = Fixture::new().await;
    for text in hostile() {
        it.store
            .insert(&id(&text, &text), &forever("{}"))
            .await
            .expect("inserted");
    }
    let hash = |name: &str| name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    for entry in std::fs::read_dir(it.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("ASCII").to_owned();
        let rest = name.strip_prefix("jam_").expect("the prefix");
        match rest.strip_suffix(".lock") {
            Some(slot) => assert!(slot.len() == 2 && hash(&slot.repeat(32)), "{name}"),
            None => assert!(hash(rest), "{name}"),
        }
        if path.is_dir() {
            for file in files(&path, "") {
                let name = file.file_name().expect("a name").to_str().expect("ASCII");
                assert!(hash(name.strip_suffix(".json").expect("a session")), "{name}");
            }
        }
    }
    let outside = std::fs::read_dir(it.directory.path()).expect("listed").count();
    assert_eq!(outside, 1, "nothing escaped the storage directory");
}

#[tokio::test]
async fn made_up_ids_leave_nothing_on_the_disk() {
    let it = Fixture::new().await;
    for text in hostile() {
        let id = id(&text, &text);
        assert!(load(&it.store, &id).await.is_none());
        assert!(!it.store.touch(&id, after(1)).await.expect("touched"));
        assert!(!it.store.remove(&id).await.expect("removed"));
        assert_eq!(
            kind(it.store.replace(&id, None, &forever("{}")).await),
            ErrorKind::NotFound
        );
        assert!(it.store.list(id.key()).await.expect("listed").is_empty());
        assert_eq!(it.store.clear(id.key()).await.expect("cleared"), 0);
    }
    assert_eq!(
        std::fs::read_dir(it.path()).expect("listed").count(),
        0,
        "not even a lock file"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let it = Fixture::new().await;
    let id = id("user1", "user1:a");
    it.store.insert(&id, &forever("{}")).await.expect("inserted");
    it.store
        .replace(&id, None, &forever("{\"n\":1}"))
        .await
        .expect("replaced");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(it.path()), 0o700);
    assert_eq!(mode(it.session_file().parent().expect("a directory")), 0o700);
    for file in files(it.path(), "") {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn stores_of_different_prefixes_share_a_directory_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let open = async |prefix: &str| {
        let options = JsonDir::options().storage_path(directory.path()).file_prefix(prefix);
        options.durability(Durability::Os).open().await
    };
    let stores = [
        open("jam_").await.expect("opened"),
        open("jam_a").await.expect("opened"),
        open("").await.expect("opened"),
    ];
    for (index, store) in stores.iter().enumerate() {
        let record = forever(&format!("{{\"n\":{index}}}"));
        store.insert(&id("user1", "user1:a"), &record).await.expect("inserted");
    }
    for (index, store) in stores.iter().enumerate() {
        assert_eq!(store.scan(None, 9).await.expect("scanned").entries.len(), 1);
        assert_eq!(store.clear(&key("user1")).await.expect("cleared"), 1, "store {index}");
    }
    let long = "x".repeat(JsonDirOptions::MAX_PREFIX_LEN + 1);
    for bad in ["a/b", "../", "\0", "a b", "\u{e4}", &long] {
        let error = error(open(bad).await);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("`file_prefix`"), "{error}");
    }
}

#[tokio::test]
async fn errors_and_debug_show_no_key_id_or_data() {
    let it = Fixture::new().await;
    let id = id("secret-user", "secret-id");
    it.store
        .insert(&id, &forever("{\"secret\":1}"))
        .await
        .expect("inserted");
    let mut bytes = std::fs::read(it.session_file()).expect("read");
    *bytes.last_mut().expect("some") = b'!';
    std::fs::write(it.session_file(), bytes).expect("written");
    let error = error(it.store.load(&id, Load::new()).await);
    let shown = format!("{error} {error:?} {:?}", it.store);
    assert!(!shown.contains("secret"), "{shown}");
    // Where it keeps its files, and how well, is what one looks for in a log.
    assert!(
        shown.contains("JsonDir { ") && shown.contains("durability: "),
        "{shown}"
    );
    let folder = it.session_file();
    let name = folder
        .ancestors()
        .nth(2)
        .and_then(|path| path.file_name())
        .expect("a storage directory");
    assert!(shown.contains(name.to_str().expect("text")), "{shown}");
}

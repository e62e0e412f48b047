//! What root leaves in a directory of another user: nothing that shuts that user out, and nothing that was not theirs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use jam_core::SessionStore;
use jam_json::{JsonDir, JsonFile};
use tempfile::TempDir;

use crate::file_support::{id, record};

const SERVICE: u32 = 12_345;

/// A directory of another user; `None` where this is not root, who alone may give one away.
fn of_the_service() -> Option<TempDir> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    chown(folder.path(), Some(SERVICE), Some(SERVICE)).ok().map(|()| folder)
}

fn all_are_the_services(folder: &Path) -> usize {
    all_are_of(folder, SERVICE)
}

/// Tells how many there are.
fn all_are_of(folder: &Path, owner: u32) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("entry").path();
        let meta = path.symlink_metadata().expect("there");
        assert_eq!((meta.uid(), meta.gid()), (owner, owner), "{}", path.display());
        count += 1;
        if meta.is_dir() {
            count += all_are_of(&path, owner);
        }
    }
    count
}

async fn use_it(store: &impl SessionStore) {
    for name in ["a", "b"] {
        store.insert(&id("u", name), &record("{}")).await.expect("insert");
    }
    store
        .replace(&id("u", "b"), None, &record("{}"))
        .await
        .expect("replace");
    store.remove(&id("u", "a")).await.expect("remove");
}

#[tokio::test]
async fn what_root_creates_for_a_file_of_another_user_is_that_users() {
    let Some(folder) = of_the_service() else { return };
    fs::write(
        folder.path().join("sessions.json"),
        include_str!("../golden/jamlib_sessions.json"),
    )
    .expect("written");
    chown(folder.path().join("sessions.json"), Some(SERVICE), Some(SERVICE)).expect("root's right");
    let store = JsonFile::open(folder.path().join("sessions.json")).await.expect("open");
    use_it(&store).await;
    // The document, its journal, its lock, and the original of the import.
    assert_eq!(all_are_the_services(folder.path()), 4);
    store.compact().await.expect("compact");
    assert_eq!(all_are_the_services(folder.path()), 4);
    store.close().await.expect("close");
    assert_eq!(all_are_the_services(folder.path()), 3);
}

#[tokio::test]
async fn a_document_that_root_writes_anew_stays_whose_it_was_in_anybodys_directory() {
    for of_directory in [0, SERVICE + 1] {
        let Some(folder) = of_the_service() else { return };
        let path = folder.path().join("sessions.json");
        use_it_and_close(&path).await;
        chown(folder.path(), Some(of_directory), None).expect("root's right");
        use_it_and_close(&path).await;
        let meta = path.metadata().expect("there");
        assert_eq!(
            (meta.uid(), meta.gid()),
            (SERVICE, SERVICE),
            "in a directory of {of_directory}"
        );
    }
}

async fn use_it_and_close(path: &Path) {
    let store = JsonFile::open(path).await.expect("open");
    store.clear(id("u", "a").key()).await.expect("clear");
    use_it(&store).await;
    store.close().await.expect("close");
}

#[tokio::test]
async fn what_root_creates_in_a_directory_of_another_user_is_that_users() {
    let Some(folder) = of_the_service() else { return };
    let store = JsonDir::open(folder.path().join("sessions")).await.expect("open");
    use_it(&store).await;
    // The storage directory, a lock, the directory of the key, a session.
    assert_eq!(all_are_the_services(folder.path()), 4);
    store.clear(id("u", "a").key()).await.expect("clear");
    store.close().await.expect("close");
    assert!(all_are_the_services(folder.path()) >= 2);
}

#[tokio::test]
async fn in_a_directory_of_its_own_that_others_may_write_to_root_looks_whose_each_key_is() {
    let Some(folder) = of_the_service() else { return };
    let root = folder.path().join("sessions");
    fs::create_dir(&root).expect("created");
    fs::set_permissions(&root, Permissions::from_mode(0o777)).expect("root's right");
    let key_dir = || {
        let mut entries = fs::read_dir(&root)
            .expect("listed")
            .map(|entry| entry.expect("entry").path());
        entries.find(|path| path.is_dir()).expect("there")
    };
    use_it(&JsonDir::open(&root).await.expect("open")).await;
    assert_eq!(all_are_of(&key_dir(), 0), 1);
    for entry in fs::read_dir(key_dir()).expect("listed") {
        chown(entry.expect("entry").path(), Some(SERVICE), Some(SERVICE)).expect("root's right");
    }
    chown(key_dir(), Some(SERVICE), Some(SERVICE)).expect("root's right");
    let store = JsonDir::open(&root).await.expect("open");
    store.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    assert_eq!(all_are_of(&key_dir(), SERVICE), 2);
}

#[tokio::test]
async fn what_root_did_not_create_it_gives_to_nobody() {
    let Some(folder) = of_the_service() else { return };
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let (there, missing) = (elsewhere.path().join("there"), elsewhere.path().join("missing"));
    fs::write(&there, "").expect("written");
    for target in [&there, &missing] {
        let name = target.file_name().expect("name").to_str().expect("utf-8");
        symlink(target, folder.path().join(format!("{name}.json.lock"))).expect("link");
        let store = JsonFile::open(folder.path().join(format!("{name}.json"))).await;
        drop(store.expect("open"));
        assert_eq!(target.metadata().expect("there").uid(), 0, "{name}");
    }
}

//! What root leaves in a directory of another user: nothing that shuts that user out, and nothing that was not theirs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use jam_core::{ErrorKind, SessionStore};
use jam_json::{JsonDir, JsonFile};
use tempfile::TempDir;

use crate::file_support::{id, record};

const SERVICE: u32 = 12_345;

/// A directory of another user; `None` where this is not root, who alone may give one away.
fn of_the_service() -> Option<TempDir> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    chown(folder.path(), Some(SERVICE), Some(SERVICE)).ok().map(|()| folder)
}

/// Tells how many there are.
fn all_are_the_services(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("entry").path();
        let meta = path.symlink_metadata().expect("there");
        assert_eq!((meta.uid(), meta.gid()), (SERVICE, SERVICE), "{}", path.display());
        count += 1;
        if meta.is_dir() {
            count += all_are_the_services(&path);
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

/// A part of what root has made, which somebody is given then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// As if the service had made them.
    Keys,
    /// All that is in the storage directory.
    Content,
    /// And the directory itself.
    All,
}

fn give_to_the_service(root: &Path, part: Part) {
    let give = |path: &Path| chown(path, Some(SERVICE), Some(SERVICE)).expect("root's right");
    let paths = |path: &Path| {
        fs::read_dir(path)
            .expect("listed")
            .map(|entry| entry.expect("entry").path())
    };
    for path in paths(root) {
        if path.is_dir() {
            paths(&path).for_each(|path| give(&path));
            give(&path);
        } else if part != Part::Keys {
            give(&path);
        }
    }
    if part == Part::All {
        give(root);
    }
}

#[tokio::test]
async fn what_root_creates_in_its_own_directory_belongs_to_those_who_were_given_a_part_of_it() {
    let cases = [
        (0o770, Part::Keys),
        (0o707, Part::Keys),
        (0o755, Part::Content),
        (0o755, Part::All),
    ];
    for (mode, part) in cases {
        for is_open_before in [true, false] {
            let Some(folder) = of_the_service() else { return };
            let root = folder.path().join("sessions");
            fs::create_dir(&root).expect("created");
            chown(&root, Some(0), Some(0)).expect("root's right");
            fs::set_permissions(&root, Permissions::from_mode(mode)).expect("root's right");
            let mut store = JsonDir::open(&root).await.expect("open");
            use_it(&store).await;
            give_to_the_service(&root, part);
            if !is_open_before {
                store = JsonDir::open(&root).await.expect("open");
            }
            use_it_again(&store).await;
            let key_dir = fs::read_dir(&root)
                .expect("listed")
                .map(|entry| entry.expect("entry").path());
            let key_dir = key_dir.into_iter().find(|path| path.is_dir()).expect("there");
            assert_eq!(
                all_are_the_services(&key_dir),
                2,
                "{mode:o}, {part:?}, {is_open_before}"
            );
        }
    }
}

/// Twice, for the lock of the first time stays open.
async fn use_it_again(store: &impl SessionStore) {
    for name in ["c", "d"] {
        store.insert(&id("u", name), &record("{}")).await.expect("insert");
    }
    store.remove(&id("u", "b")).await.expect("remove");
}

#[tokio::test]
async fn what_root_did_not_create_it_gives_to_nobody() {
    let Some(folder) = of_the_service() else { return };
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let (there, missing) = (elsewhere.path().join("there"), elsewhere.path().join("missing"));
    fs::write(&there, "").expect("written");
    for (target, opens) in [(&there, true), (&missing, false)] {
        let name = target.file_name().expect("name").to_str().expect("utf-8");
        symlink(target, folder.path().join(format!("{name}.json.lock"))).expect("link");
        let store = JsonFile::open(folder.path().join(format!("{name}.json"))).await;
        assert_eq!(store.is_ok(), opens, "{name}");
    }
    assert_eq!(there.metadata().expect("there").uid(), 0);
    assert!(missing.symlink_metadata().is_err(), "nothing was created there");
}

#[tokio::test]
async fn a_lock_file_that_is_a_link_to_nowhere_is_an_error_and_creates_nothing() {
    let (folder, elsewhere) = (
        tempfile::tempdir().expect("a temporary directory"),
        tempfile::tempdir().expect("a temporary directory"),
    );
    let missing = elsewhere.path().join("missing");
    let file = folder.path().join("sessions.json");
    symlink(&missing, folder.path().join("sessions.json.lock")).expect("link");
    let of_file = JsonFile::open(&file).await.expect_err("no lock");
    let store = JsonDir::open(folder.path().join("sessions")).await.expect("open");
    for slot in 0..=u8::MAX {
        let lock = store.storage_path().join(format!("jam_{slot:02x}.lock"));
        symlink(&missing, lock).expect("link");
    }
    let of_dir = store.insert(&id("u", "a"), &record("{}")).await.expect_err("no lock");
    for error in [of_file, of_dir] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let source = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(source.contains("a link that leads nowhere"), "{source}");
    }
    assert!(missing.symlink_metadata().is_err(), "nothing was created there");
    fs::write(&missing, "").expect("written");
    drop(
        JsonFile::open(&file)
            .await
            .expect("a link that leads somewhere is a lock"),
    );
    store.insert(&id("u", "a"), &record("{}")).await.expect("so it is here");
    assert_eq!(fs::read(&missing).expect("there"), b"");
}

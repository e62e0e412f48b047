//! Lock files of `JsonDir`: few, shared by keys, kept open while the store is.

use std::collections::BTreeMap;

use crate::dir_support::*;
use jam_core::{ErrorKind, Rename, SessionStore};

#[tokio::test]
async fn there_are_never_more_than_256_lock_files() {
    let it = Fixture::new().await;
    for number in 0..2_000 {
        let id = id(&format!("user{number}"), "only");
        it.store.insert(&id, &forever("{}")).await.expect("inserted");
        assert_eq!(it.store.clear(id.key()).await.expect("cleared"), 1);
    }
    it.store.remove_expired(NOW).await.expect("swept");
    let left = std::fs::read_dir(it.path()).expect("listed").count();
    assert_eq!(left, files(it.path(), ".lock").len(), "nothing else is left of them");
    assert!(left <= 256, "{left}");
}

/// Two keys whose writers take the same lock: each leaves no lock file that the other does not.
async fn keys_of_one_lock() -> (String, String) {
    let mut seen = BTreeMap::new();
    for number in 0.. {
        let it = Fixture::new().await;
        let key = format!("user{number}");
        it.store.insert(&id(&key, "a"), &forever("{}")).await.expect("inserted");
        let lock = files(it.path(), ".lock").remove(0);
        let name = lock.file_name().expect("a name").to_owned();
        if let Some(other) = seen.insert(name, key.clone()) {
            return (other, key);
        }
    }
    unreachable!("there are 256 of them");
}

#[tokio::test]
async fn a_session_moves_between_keys_that_share_a_lock_and_back_also_at_once() {
    let (one, other) = keys_of_one_lock().await;
    let it = Fixture::new().await;
    let second = it.again().await;
    for round in 0..50 {
        let (a, b) = (id(&one, &format!("a{round}")), id(&other, &format!("b{round}")));
        let record = forever("{}");
        it.store.insert(&a, &record).await.expect("inserted");
        it.store.insert(&b, &record).await.expect("inserted");
        let (a_version, b_version) = (
            load(&it.store, &a).await.expect("there").version,
            load(&it.store, &b).await.expect("there").version,
        );
        let (new_a, new_b) = (id(&other, &format!("na{round}")), id(&one, &format!("nb{round}")));
        let (there, back) = tokio::join!(
            it.store.rename(Rename::new(&a, &a_version, &new_a, &record)),
            second.rename(Rename::new(&b, &b_version, &new_b, &record)),
        );
        there.expect("renamed");
        back.expect("renamed");
        assert!(load(&it.store, &a).await.is_none() && load(&it.store, &b).await.is_none());
        let version = load(&second, &new_a).await.expect("there").version;
        let taken = second.rename(Rename::new(&new_a, &version, &new_b, &record)).await;
        assert_eq!(kind(taken), ErrorKind::AlreadyExists);
    }
    assert_eq!(it.store.list(&key(&one)).await.expect("listed").len(), 50);
    assert_eq!(it.store.list(&key(&other)).await.expect("listed").len(), 50);
}

/// How many files of this store the process has open.
#[cfg(target_os = "linux")]
fn open_files(it: &Fixture) -> usize {
    let handles = std::fs::read_dir("/proc/self/fd").expect("listed");
    let paths = handles.filter_map(|handle| std::fs::read_link(handle.ok()?.path()).ok());
    paths.filter(|path| path.starts_with(it.path())).count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_store_has_no_file_open() {
    let it = Fixture::new().await;
    for number in 0..20 {
        let id = id(&format!("user{number}"), "a");
        it.store.insert(&id, &forever("{}")).await.expect("inserted");
    }
    it.store.remove_expired(NOW).await.expect("swept");
    assert_eq!(
        open_files(&it),
        files(it.path(), ".lock").len(),
        "one for each lock file that was used"
    );
    it.store.close().await.expect("closed");
    assert_eq!(open_files(&it), 0);
}

#[cfg(target_os = "linux")]
const FEW_FILES: &str = "JAM_TEST_FEW_FILES";

/// Started by the test below, in a process that may have 64 files open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_in_a_process_of_few_files() {
    if std::env::var_os(FEW_FILES).is_none() {
        return;
    }
    let it = Fixture::new().await;
    for number in 0..500 {
        let id = id(&format!("user{number}"), "a");
        it.store.insert(&id, &forever("{}")).await.expect("inserted");
        assert!(open_files(&it) <= 8, "{}", open_files(&it));
    }
    assert_eq!(open_files(&it), 8, "as many as it may");
    println!("\nkept few");
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_leaves_most_of_the_files_that_a_process_may_open_to_others() {
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("exe"))
        .args(["dir_locks::a_store_in_a_process_of_few_files", "--exact", "--nocapture"])
        .env(FEW_FILES, "")
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&limited.stdout);
    assert!(limited.status.success(), "{said}");
    assert!(said.lines().any(|line| line == "kept few"), "{said}");
}

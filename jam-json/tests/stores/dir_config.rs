//! `JsonDir` opened by name, from a config or a URL, and where it goes when nothing is said.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::dir_support::*;
use jam_core::{
    ErrorKind, Load, ManualClock, Registry, Result, SessionStore, Severity, StoreConfig, StoreFactory, Timestamp,
};
use jam_json::{JsonDir, JsonDirFactory};
use serde_json::{Map, Value, json};

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => panic!("fields are an object"),
    }
}

async fn open_named(name: &str, config: StoreConfig) -> Result<Arc<dyn SessionStore>> {
    let mut registry = Registry::new();
    registry.register(JsonDirFactory);
    registry.open(name, config).await
}

#[tokio::test]
async fn it_opens_under_both_its_names_with_every_field() {
    for name in ["json-dir", "file"] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = fields(json!({
            "storage_path": directory.path(), "file_prefix": "shop_", "durability": "os",
        }));
        let clock = Arc::new(ManualClock::new(NOW));
        let config = StoreConfig::new("jam.toml", config).with_clock(Arc::clone(&clock) as _);
        let store = open_named(name, config).await.expect("opened");
        assert_eq!(store.name(), "json-dir");
        let id = id("user1", "user1:a");
        store.insert(&id, &until("{}", 10)).await.expect("inserted");
        assert_eq!(files(directory.path(), ".json").len(), 1);
        for entry in std::fs::read_dir(directory.path()).expect("listed") {
            let name = entry.expect("an entry").file_name();
            assert!(name.to_string_lossy().starts_with("shop_"));
        }
        clock.set(after(10));
        assert!(
            store.load(&id, Load::new()).await.expect("loaded").is_none(),
            "it goes by the config's clock"
        );
    }
}

#[tokio::test]
async fn a_url_names_the_directory_behind_the_scheme_or_as_a_field() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s").display().to_string();
    for url in [
        format!("json-dir:{path}?durability=os"),
        format!("file:?storage_path={path}"),
    ] {
        let config = StoreConfig::from_url(&url).expect("a URL");
        let store = open_named("json-dir", config).await.expect("opened");
        let id = id("user1", &url);
        store.insert(&id, &forever("{}")).await.expect("inserted");
    }
    assert_eq!(files(directory.path(), ".json").len(), 2);
    let both = StoreConfig::from_url(&format!("file:{path}?storage_path={path}")).expect("a URL");
    let error = error(open_named("file", both).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("`storage_path`"), "{error}");
}

#[tokio::test]
async fn a_setting_that_is_wrong_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s");
    std::fs::write(directory.path().join("file"), "").expect("written");
    for (config, words) in [
        (
            json!({"storage_path": path, "durability": "later"}),
            "`durability` must be \"sync\" or \"os\"",
        ),
        (
            json!({"storage_path": path, "file_prefx": "x"}),
            "did you mean `file_prefix`",
        ),
        (
            json!({"storage_path": path, "file_prefix": "../"}),
            "`file_prefix` must be",
        ),
        (json!({"storage_path": 7}), "`storage_path`"),
        (
            json!({"storage_path": directory.path().join("file")}),
            "`storage_path` is no directory",
        ),
        (
            json!({"storage_path": directory.path().join("no/such")}),
            "`storage_path` is no directory",
        ),
    ] {
        let shown = config.to_string();
        let error = error(open_named("json-dir", StoreConfig::new("jam.toml", fields(config))).await);
        assert_eq!(error.kind(), ErrorKind::Config, "{shown}");
        assert!(error.to_string().contains(words), "{shown}: {error}");
        assert!(!path.exists(), "{shown}: nothing is created");
    }
}

#[tokio::test]
async fn a_missing_directory_is_created_and_one_that_is_there_is_taken() {
    let it = Fixture::new().await;
    assert!(it.path().is_dir());
    assert!(it.path().is_absolute());
    it.again().await;
}

#[test]
fn without_a_path_it_goes_to_a_directory_of_its_own_in_the_temporary_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let temporary = tempfile::tempdir_in(directory.path()).expect("a temporary directory");
    let temporary = temporary.path();
    let run = |temporary: &Path, moves: bool| {
        let mut command = Command::new(std::env::current_exe().expect("this test's path"));
        command
            .args(["--exact", "dir_config::insert_without_a_path", "--ignored"])
            .current_dir(directory.path())
            .env("TMPDIR", temporary)
            .env("JAM_TEST_DEFAULT_PATH", if moves { "moves" } else { "stays" });
        let status = command.output().expect("run");
        String::from_utf8_lossy(&status.stdout).into_owned()
    };
    let sessions = temporary.join("jam-sessions");
    #[cfg(unix)]
    {
        let relative = temporary.file_name().map(Path::new).expect("a name");
        let output = run(relative, true);
        assert!(output.contains("1 passed"), "{output}");
        assert_eq!(files(&sessions, ".json").len(), 1);
        std::fs::remove_dir_all(&sessions).expect("removed");
    }
    let output = run(temporary, false);
    assert!(output.contains("1 passed"), "{output}");
    assert_eq!(files(&sessions, ".json").len(), 1);
    #[cfg(unix)]
    {
        std::fs::rename(&sessions, directory.path().join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &sessions).expect("linked");
        let output = run(temporary, false);
        assert!(output.contains("symbolic link"), "a planted link is refused: {output}");
    }
}

#[tokio::test]
#[ignore = "run by without_a_path_it_goes_to_a_directory_of_its_own_in_the_temporary_directory, with another TMPDIR"]
async fn insert_without_a_path() {
    let Some(test) = std::env::var_os("JAM_TEST_DEFAULT_PATH") else {
        return;
    };
    let store = JsonDir::options().open().await.expect("opened");
    assert!(store.storage_path().is_absolute());
    if test == "moves" {
        std::env::set_current_dir("/").expect("moved");
    }
    let far = Timestamp::from_secs(u64::MAX / 2000);
    let record = jam_core::Record::new("{}", Some(far));
    store.insert(&id("user1", "user1:a"), &record).await.expect("inserted");
}

#[tokio::test]
async fn the_doctor_tries_it_out_and_looks_at_who_may_open_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s").display().to_string();
    let config = || StoreConfig::new("jam.toml", fields(json!({"storage_path": path})));
    let found = JsonDirFactory.diagnose(&mut config()).await.expect("found");
    let subjects: Vec<_> = found.iter().map(|finding| &*finding.subject).collect();
    assert_eq!(subjects, ["durability", "a write", "permissions"]);
    assert!(
        found.iter().all(|finding| finding.severity == Severity::Fine),
        "{found:?}"
    );
    std::fs::remove_dir_all(&path).expect("removed");
    std::fs::write(&path, "no directory").expect("written");
    let found = JsonDirFactory.diagnose(&mut config()).await.expect("found");
    assert!(matches!(&found[..], [only] if only.severity == Severity::Wrong && only.subject == "opening"));
}

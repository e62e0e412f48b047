//! The real file system, as this crate uses it.

use super::*;

#[test]
fn what_the_system_cannot_do_is_an_error() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing");
    assert!(RealFs.read(&missing).is_err());
    assert!(RealFs.sync_file(&missing).is_err());
    assert!(RealFs.sync_dir(&missing).is_err());
    let unlocked = RealFs.lock(&missing.join("lock")).expect_err("no such directory");
    assert!(!unlocked.to_string().contains("link"), "{unlocked}");
    assert!(
        RealFs.read(directory.path()).is_err(),
        "a directory cannot be read as a file"
    );
}

/// Somebody else may have put it there just now, for root to write to what it leads to.
#[test]
#[cfg(unix)]
fn what_is_created_is_never_what_a_link_leads_to() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (there, missing) = (directory.path().join("there"), directory.path().join("missing"));
    fs::write(&there, "theirs").expect("written");
    for target in [&there, &missing] {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(target, &link).expect("link");
        for created in [
            RealFs.append_new(&link),
            RealFs.create_new(&link),
            RealFs.create_new_own(&link),
        ] {
            assert_eq!(created.expect_err("there").kind(), io::ErrorKind::AlreadyExists);
        }
        fs::remove_file(&link).expect("removed");
    }
    assert_eq!(fs::read(&there).expect("there"), b"theirs");
    assert!(!missing.exists());
}

/// What a child process has that was forked off: the same open file, whose lock would be one for both.
#[test]
#[cfg(unix)]
fn a_lock_that_another_process_kept_open_is_not_taken() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lock");
    let mut kept = RealFs.lock(&path).expect("locked").keep().expect("kept");
    let parents = kept.file.try_clone().expect("another handle on the open file");
    parents.try_lock().expect("nobody has it");
    kept.process = kept.process.wrapping_add(1);
    assert!(kept.lock(&path).expect("asked").is_none());
    assert!(
        RealFs.try_lock(&path).expect("asked").is_none(),
        "the parent still has it"
    );
    drop(parents);
    assert!(RealFs.try_lock(&path).expect("asked").is_some());
}

/// Somebody removed it, and perhaps made it anew: whoever has the lock of that one has the right to write.
#[test]
#[cfg(unix)]
fn a_lock_that_was_kept_open_is_not_taken_once_another_file_has_its_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lock");
    let kept = || RealFs.lock(&path).expect("locked").keep().expect("kept");
    assert!(kept().lock(&path).expect("asked").is_some());
    for made_anew in [false, true] {
        let kept = kept();
        fs::remove_file(&path).expect("removed");
        let others = made_anew.then(|| RealFs.lock(&path).expect("locked"));
        assert!(kept.lock(&path).expect("asked").is_none(), "made anew: {made_anew}");
        drop(others);
    }
}

/// What the system answers is passed on: a device that cannot be synced, and a file that is only a name, stand for what fails.
#[test]
#[cfg(target_os = "linux")]
fn a_sync_and_a_lock_that_the_system_refuses_are_errors() {
    use std::os::unix::fs::OpenOptionsExt;

    const O_PATH: i32 = 0x20_0000;
    let mut device = private().write(true).open("/dev/null").expect("a device");
    assert!(FsFile::sync(&mut device).is_err());
    let name = OpenOptions::new().read(true).custom_flags(O_PATH).open("/dev/null");
    assert!(wait_for(name.expect("a name")).is_err());
}

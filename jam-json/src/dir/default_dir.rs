//! The storage directory when none is configured: one of its own in the system's temporary directory, where every user
//! of the machine may put things, so it is looked at closely.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jam_core::{Error, ErrorKind, Result};

/// Its name in the system's temporary directory.
pub(super) const NAME: &str = "jam-sessions";

/// Creates `jam-sessions` in `parent` with mode 0700, or takes the one that is there.
///
/// # Errors
/// `Config` if somebody else may have planted it, or could take it away.
pub(super) fn prepare(parent: &Path) -> Result<PathBuf> {
    let path = parent.join(NAME);
    check_parent(parent)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    match builder.create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(refuse(&path, "it cannot be created").with_source(error));
        }
    }
    check(&path)?;
    #[cfg(unix)]
    check_owners(parent, &path)?;
    Ok(path)
}

fn refuse(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "the default storage directory is refused: {why}; set `storage_path` to a directory that only this service writes to"
        ),
    )
    .with("path", path.display().to_string())
}

fn check_parent(parent: &Path) -> Result<()> {
    let meta = fs::metadata(parent).map_err(|error| refuse(parent, "it cannot be looked at").with_source(error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // Without the sticky bit, whoever may write there may also put another directory in its place.
        if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
            return Err(refuse(
                parent,
                "others may rename what lies in the temporary directory (no sticky bit)",
            ));
        }
    }
    if !meta.is_dir() {
        return Err(refuse(parent, "the temporary directory is no directory"));
    }
    Ok(())
}

fn check(path: &Path) -> Result<()> {
    // Not followed: a link of that name is itself the trap.
    let meta = fs::symlink_metadata(path).map_err(|error| refuse(path, "it cannot be looked at").with_source(error))?;
    if meta.is_symlink() {
        return Err(refuse(
            path,
            "it is a symbolic link, which another user may have planted",
        ));
    }
    if !meta.is_dir() {
        return Err(refuse(path, "there is something of that name that is no directory"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if meta.mode() & 0o022 != 0 {
            return Err(refuse(path, "its mode lets others write to it"));
        }
    }
    Ok(())
}

/// The directory must be this process's own, and the one it lies in, whose owner may rename everything there, root's or
/// also its own.
#[cfg(unix)]
fn check_owners(parent: &Path, path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;

    let owner = |path: &Path, meta: io::Result<fs::Metadata>| {
        meta.map(|meta| meta.uid())
            .map_err(|error| refuse(path, "it cannot be looked at").with_source(error))
    };
    let own = own_uid(path)?;
    if owner(path, fs::symlink_metadata(path))? != own {
        return Err(refuse(path, "it belongs to another user, who may have planted it"));
    }
    if ![0, own].contains(&owner(parent, fs::metadata(parent))?) {
        return Err(refuse(
            parent,
            "the temporary directory belongs to another user, who may rename what lies in it",
        ));
    }
    Ok(())
}

/// What the name of a probe begins and ends with.
#[cfg(unix)]
const PROBE: (&str, &str) = ("owner-", ".tmp");

/// The user this process creates files as, told by a file that it creates (and removes).
#[cfg(unix)]
fn own_uid(dir: &Path) -> Result<u32> {
    use std::hash::{BuildHasher, RandomState};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

    remove_probes(dir).map_err(|error| refuse(dir, "a probe in it cannot be removed").with_source(error))?;
    let chance = RandomState::new().hash_one(std::process::id());
    let probe = dir.join(format!("{}{chance:016x}{}", PROBE.0, PROBE.1));
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&probe)
        .map_err(|error| refuse(&probe, "no file can be created in it").with_source(error))?;
    let uid = file.metadata().map(|meta| meta.uid());
    remove_if_there(&probe).map_err(|error| refuse(&probe, "a file in it cannot be removed").with_source(error))?;
    uid.map_err(|error| refuse(&probe, "it cannot be looked at").with_source(error))
}

/// Removes the probes of processes that died; one that lives does not mind, it has its file open.
#[cfg(unix)]
fn remove_probes(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PROBE.0) && name.ends_with(PROBE.1) {
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn temp() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    fn refusal(parent: &Path) -> String {
        let error = prepare(parent).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("storage_path"), "says what helps: {error}");
        error.to_string()
    }

    #[test]
    fn to_remove_what_is_not_there_is_no_error_and_anything_else_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        remove_if_there(&directory.path().join("missing")).expect("nothing to do");
        remove_if_there(directory.path()).expect_err("a directory is no file");
    }

    #[test]
    fn it_is_created_for_its_owner_alone_and_taken_again() {
        let parent = temp();
        let path = prepare(parent.path()).expect("created");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o700);
        assert_eq!(prepare(parent.path()).expect("taken again"), path);
        assert_eq!(fs::read_dir(&path).expect("listed").count(), 0, "no probe stays behind");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_nothing_can_be_created_that_is_said() {
        assert!(refusal(Path::new("/proc")).contains("cannot be created"));
    }

    #[test]
    fn a_planted_link_is_refused() {
        let (parent, elsewhere) = (temp(), temp());
        symlink(elsewhere.path(), parent.path().join(NAME)).expect("link");
        assert!(refusal(parent.path()).contains("symbolic link"));
    }

    #[test]
    fn a_directory_others_may_write_to_is_refused() {
        for open in [0o770, 0o707, 0o777] {
            let parent = temp();
            let path = parent.path().join(NAME);
            fs::create_dir(&path).expect("created");
            mode(&path, open);
            assert!(refusal(parent.path()).contains("lets others write"));
        }
    }

    #[test]
    fn a_file_of_that_name_is_refused() {
        let parent = temp();
        fs::write(parent.path().join(NAME), "").expect("written");
        assert!(refusal(parent.path()).contains("no directory"));
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let parent = temp();
        let path = parent.path().join(NAME);
        fs::create_dir(&path).expect("created");
        mode(&path, 0o755);
        // Only root may give a directory away; for others, `check` compares the same two numbers with the same code.
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            assert!(refusal(parent.path()).contains("belongs to another user"));
        }
    }

    #[test]
    fn a_temporary_directory_where_others_may_rename_is_refused() {
        for open in [0o777, 0o770, 0o707] {
            let parent = temp();
            mode(parent.path(), open);
            assert!(refusal(parent.path()).contains("sticky"), "{open:o}");
            mode(parent.path(), 0o1000 | open);
            prepare(parent.path()).expect("with the sticky bit it is fine");
        }
    }

    #[test]
    fn a_temporary_directory_of_another_user_is_refused() {
        let parent = temp();
        mode(parent.path(), 0o1777);
        // Only root may give a directory away.
        if std::os::unix::fs::chown(parent.path(), Some(12_345), None).is_ok() {
            for _ in 0..2 {
                assert!(refusal(parent.path()).contains("temporary directory belongs to another user"));
            }
        }
    }

    #[test]
    fn a_probe_that_a_crash_left_behind_is_removed() {
        let parent = temp();
        let path = prepare(parent.path()).expect("created");
        fs::write(path.join("owner-0123456789abcdef.tmp"), "").expect("written");
        for foreign in ["owner.txt", "owner-notes", "notes.tmp"] {
            fs::write(path.join(foreign), "").expect("written");
        }
        prepare(parent.path()).expect("taken again");
        assert_eq!(
            fs::read_dir(&path).expect("listed").count(),
            3,
            "what is not ours stays"
        );
    }
}

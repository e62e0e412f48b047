//! What only looks at a file of Python's jamlib leaves it as it is; what writes imports it.

use std::collections::BTreeMap;

use crate::support::Shell;

const JAMLIB: &str = include_str!("../../../jam-json/tests/golden/jamlib_sessions.json");

/// The live file of a service in Python, alone in a folder, and its URL.
const URL: &str = "json:live/sessions.json?layout=jamlib";

fn shell() -> Shell {
    let shell = Shell::on(URL);
    std::fs::create_dir(shell.path("live")).unwrap();
    shell.write("live/sessions.json", JAMLIB);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let owners = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(shell.path("live/sessions.json"), owners).unwrap();
    }
    shell
}

/// Names and bytes of what is in the folder.
fn live(shell: &Shell) -> BTreeMap<String, Vec<u8>> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    };
    shell.path("live").read_dir().unwrap().map(entry).collect()
}

#[test]
fn what_only_looks_leaves_a_file_of_jamlib_and_its_folder_as_they_are() {
    let (shell, other) = (shell(), "json:a.json?layout=jamlib");
    shell.ok(&["--url", other, "create", "user1", "{}"]);
    let before = live(&shell);
    for words in [
        &["stats"][..],
        &["list", "user1"],
        &["get", "user1:565df195-b963-4ebb-8978-318998ef191c"],
        &["migrate", URL, "json:b.json?layout=jamlib", "--dry-run"],
        &["migrate", URL, other, "--dry-run", "--verify"],
        &["migrate", other, URL, "--dry-run"],
        &["migrate", other, URL],
    ] {
        let error = shell.run(words).failed(3);
        assert!(
            error.contains("a sessions file of Python's jamlib") && error.contains("jam sweep"),
            "{error}"
        );
        assert!(live(&shell) == before, "{words:?}");
    }
    let doctor = shell.ok(&["doctor"]);
    assert!(
        doctor.contains("warning") && doctor.contains("a sessions file of Python's jamlib"),
        "{doctor}"
    );
    assert!(live(&shell) == before, "doctor");
}

#[test]
fn what_writes_imports_a_file_of_jamlib() {
    for words in [
        &["sweep"][..],
        &["create", "user3", "{}"],
        &["clear", "user3"],
        &["migrate", URL, "json:b.json?layout=jamlib"],
    ] {
        let shell = shell();
        shell.ok(words);
        assert_eq!(live(&shell)["sessions.json.jamlib"], JAMLIB.as_bytes(), "{words:?}");
        // Those of jamlib have no end.
        assert_eq!(shell.json(&["stats"])["expiring"]["never"], 3, "{words:?}");
        assert!(shell.ok(&["list", "user1"]).contains("never"));
    }
}

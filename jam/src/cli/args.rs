//! The command line: what there is to say, and what help says about it.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

/// What `jam --help` says above the list of commands.
const ABOUT: &str = "Server-side sessions, from a shell.

Which sessions: --config FILE, --url URL, the variable JAM_CONFIG (a file or a URL), or the variables JAM_SESSION_*. \
An ID may be `-`, which reads it from standard input, or stand in a file (--id-file), so that it is in no shell's history \
and no list of processes.";

/// What it says below.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 no such session, 2 usage, 3 configuration, 4 store unavailable, 5 damaged or \
does not open, 6 refused, 7 a check found something wrong, 8 unforeseen, 130 interrupted, 141 the reader of the output \
went away.";

/// Server-side sessions, from a shell.
#[derive(Debug, Parser)]
#[command(name = "jam", version, propagate_version = true, arg_required_else_help = true)]
#[command(long_about = ABOUT, after_long_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) store: Store,
    /// Prints JSON, for machines.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Which sessions.
#[derive(Debug, clap::Args)]
pub(super) struct Store {
    /// The config file: .toml, .yaml, .json.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "url")]
    pub(super) config: Option<PathBuf>,
    /// The store's URL, such as json:sessions.json. A password in it shows in the list of processes; a file is better.
    #[arg(long, global = true)]
    pub(super) url: Option<String>,
    /// The table of the config file that holds the settings [default: jam.session].
    #[arg(long, global = true, value_name = "TABLE", conflicts_with = "url")]
    pub(super) pointer: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes keys.
    Keys {
        #[command(subcommand)]
        keys: Keys,
    },
    /// Creates a session and prints its id, alone.
    Create {
        /// Whose session it is.
        key: String,
        /// Its data, a JSON object; `-` reads it from standard input.
        #[arg(value_name = "JSON")]
        data: String,
    },
    /// Prints a session's data as JSON, alone.
    Get(Id),
    /// Replaces a session's data.
    #[command(
        override_usage = "jam update [OPTIONS] <ID|-> <JSON|->\n       jam update [OPTIONS] --id-file <FILE> <JSON|->"
    )]
    Update {
        /// The session id and the data, a JSON object; either may be `-` for standard input. With --id-file the data alone.
        #[arg(value_name = "ID JSON", num_args = 1..=2, required = true)]
        words: Vec<String>,
        /// Reads the id from the first line of this file.
        #[arg(long, value_name = "FILE")]
        id_file: Option<PathBuf>,
    },
    /// Ends a session.
    Delete(Id),
    /// Ends every session of a key, and prints how many there were.
    Clear {
        /// Whose sessions.
        key: String,
    },
    /// Gives a session a new id and prints that, alone; the old one ends.
    Rework(Id),
    /// Lists the sessions of a key by their handles; never their ids.
    List {
        /// Whose sessions.
        key: String,
    },
    /// Ends a session by its handle, or every one of a key.
    Revoke {
        /// Whose session.
        key: String,
        /// The session's handle, as `jam list` prints it.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        handle: Option<String>,
        /// Every session of the key.
        #[arg(long)]
        all: bool,
    },
    /// Reclaims the space of expired sessions, and prints how many records that were.
    Sweep,
    /// Counts sessions, users, bytes, and when sessions expire.
    Stats,
    /// Looks at configuration and store, and says what is wrong and what to do.
    Doctor,
    /// Copies every session into another store; ids, data and expiry stay valid.
    Migrate(Migrate),
    /// Prints a completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Makes a key for `session_aes_secret` and prints it, alone. It is a secret.
    Aes,
}

/// A session id from one of three places.
#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// The session id; `-` reads it from the first line of standard input.
    #[arg(required_unless_present = "id_file", conflicts_with = "id_file")]
    pub(super) id: Option<String>,
    /// Reads the id from the first line of this file.
    #[arg(long, value_name = "FILE")]
    pub(super) id_file: Option<PathBuf>,
}

/// Stop the services of both stores first: what changes while it runs is not carried over. An interrupted run goes on
/// when it is started again with its checkpoint file, which is removed at the end; it then makes TO as FROM is by then. A target that holds sessions, or that
/// a migration has filled before, is refused: running it twice would bring back what has ended since.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The config file or URL of the store to read.
    pub(super) from: String,
    /// The config file or URL of the store to fill.
    pub(super) to: String,
    /// Compares both stores afterwards, record by record; with --dry-run, without copying.
    #[arg(long)]
    pub(super) verify: bool,
    /// Writes nothing: counts, and says whether the migration would start.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Where to note how far it is.
    #[arg(long, value_name = "FILE", default_value = "jam-migration.json")]
    pub(super) checkpoint: PathBuf,
    /// The table in FROM [default: jam.session].
    #[arg(long, value_name = "TABLE")]
    pub(super) from_pointer: Option<String>,
    /// The table in TO [default: jam.session].
    #[arg(long, value_name = "TABLE")]
    pub(super) to_pointer: Option<String>,
}

/// The error without what the user typed, where that may be an id, a key or a password: what is no plain name is left
/// out.
pub(super) fn without_values(mut error: clap::Error) -> clap::Error {
    for kind in [
        ContextKind::InvalidArg,
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidValue,
    ] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && !is_plain(text)
        {
            error.insert(kind, ContextValue::String("(not shown)".to_owned()));
            // What clap proposes instead repeats it.
            error.insert(ContextKind::Suggested, ContextValue::None);
        }
    }
    error
}

/// An option, a placeholder such as `<ID>`, or a word that could be a command.
fn is_plain(text: &str) -> bool {
    text.len() <= 24
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'<' | b'>' | b'_'))
}

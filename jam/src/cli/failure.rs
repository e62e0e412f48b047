//! How the command ends when it does not end well: an exit code that scripts can use, and a message for people.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use jam_core::{Error, ErrorKind};

/// What the exit code says. The table in the module's documentation is for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    NoSuchSession = 1,
    Usage = 2,
    Config = 3,
    Unavailable = 4,
    Unreadable = 5,
    Refused = 6,
    CheckFailed = 7,
    Unforeseen = 8,
    Interrupted = 130,
    ReaderGone = 141,
}

impl Code {
    fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound | ErrorKind::InvalidId => Self::NoSuchSession,
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::Config | ErrorKind::Unsupported => Self::Config,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt | ErrorKind::Crypto => Self::Unreadable,
            ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::LimitReached => Self::Refused,
            _ => Self::Unforeseen,
        }
    }
}

/// Why the command did not do what it was asked for.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn no_such_session() -> Self {
        Self::new(Code::NoSuchSession, "there is no such session")
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(super) fn config(message: impl Into<String>) -> Self {
        Self::new(Code::Config, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(Code::Refused, message)
    }

    pub(super) fn unforeseen(message: impl Into<String>) -> Self {
        Self::new(Code::Unforeseen, message)
    }

    /// Why a store could not be opened.
    pub(super) fn of_opening(error: Error) -> Self {
        if error.kind() == ErrorKind::NotFound {
            // The store, and not a session in it.
            let hint = "is the name right? (`jam create` begins one)";
            return Self::new(Code::Unavailable, Self::from(error).message).hint(hint);
        }
        error.into()
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code
    }

    /// The same, said of one of two stores.
    pub(super) fn about(mut self, store: &str) -> Self {
        self.message = format!("{store}: {}", self.message);
        self
    }

    /// The same with more said.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.message.push('\n');
        self.message.push_str(hint);
        self
    }

    /// Tells standard error, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.code != Code::ReaderGone {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "{}", self.text());
        }
        ExitCode::from(self.code as u8)
    }

    fn text(&self) -> String {
        // clap's own messages begin like this.
        match self.message.strip_prefix("error: ") {
            Some(message) => format!("jam: {}", message.trim_end()),
            None => format!("jam: {}", self.message.trim_end()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // It fails for no text.
            let _ = write!(message, "\n  because: {cause}");
            source = cause.source();
        }
        Self::new(Code::of(error.kind()), message)
    }
}

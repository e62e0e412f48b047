//! What the driver and the server say, in jam's words. Server texts are not passed on: they may repeat a key or an id.

use std::time::Duration;

use jam_core::{Error, ErrorKind};
use redis::{RedisError, ServerErrorKind};

/// Why a call did not give an answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The key's slot is at this address now.
    Moved(String),
    /// This key is at that address already, its slot not yet.
    Ask(String),
    /// The keys of this call are being moved.
    TryAgain,
    /// The server lacks a command of this call, or has got those that the call does without.
    OtherGeneration,
    /// The server does not know the script.
    NoScript,
    /// A replica, or a primary that is one now.
    ReadOnly,
    /// The connection is gone or silent; the call may have been carried out.
    Lost(Error),
    /// The call was carried out, and too few replicas say that they have it.
    Unconfirmed(Error),
    /// The server refused, and did nothing.
    Refused(Error),
}

impl Trouble {
    pub(crate) fn of(error: RedisError) -> Self {
        let kind = error.kind();
        if let redis::ErrorKind::Server(kind) = kind {
            match kind {
                ServerErrorKind::Moved | ServerErrorKind::Ask => {
                    if let Some((address, _)) = error.redirect_node() {
                        let address = address.to_owned();
                        return match kind {
                            ServerErrorKind::Moved => Self::Moved(address),
                            _ => Self::Ask(address),
                        };
                    }
                }
                ServerErrorKind::TryAgain => return Self::TryAgain,
                ServerErrorKind::NoScript => return Self::NoScript,
                ServerErrorKind::ReadOnly => return Self::ReadOnly,
                ServerErrorKind::ResponseError if lacks_a_command(&error) => return Self::OtherGeneration,
                _ => {}
            }
        }
        match code_in_script(&error).or(error.code()) {
            // What waited for replicas was let go, since the server is a replica now itself.
            Some("UNBLOCKED") => Self::Lost(refused("UNBLOCKED")),
            Some("JAMNEWER") => Self::OtherGeneration,
            Some("READONLY") => Self::ReadOnly,
            Some(code) => Self::Refused(refused(code)),
            None => Self::Lost(lost(error)),
        }
    }

    /// Where no call can go on.
    pub(crate) fn into_error(self, writes: bool) -> Error {
        match self {
            Self::Unconfirmed(error) => error.with_outcome_unknown(),
            Self::Lost(error) if writes => error.with_outcome_unknown(),
            Self::Lost(error) | Self::Refused(error) => error,
            Self::ReadOnly => refused("READONLY"),
            Self::Moved(_) | Self::Ask(_) => in_a_cluster(),
            Self::TryAgain => refused("TRYAGAIN"),
            Self::OtherGeneration | Self::NoScript => unexpected("the server changed what it can do between two calls"),
        }
    }
}

/// Redis before 7 wraps what a script was refused: `ERR Error running script (call to f_...): @user_script:7: @user_script:
/// 7: -OOM command not allowed ...`.
fn code_in_script(error: &RedisError) -> Option<&'static str> {
    let text = error.detail().filter(|text| text.starts_with("Error running script"))?;
    ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE"]
        .into_iter()
        .find(|code| text.contains(&format!(": -{code} ")) || text.contains(&format!(": {code} ")))
}

/// Whether the server could not read a script. To Redis before 7 the line that gives a script flags is no Lua.
pub(crate) fn is_not_compiled(error: &RedisError) -> bool {
    let detail = error.detail();
    detail.is_some_and(|text| text.starts_with("Error compiling script"))
}

fn lacks_a_command(error: &RedisError) -> bool {
    error.detail().is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("unknown command") || text.contains("unknown redis command")
    })
}

/// A node of a cluster, taken for a server of its own.
pub(crate) fn in_a_cluster() -> Error {
    Error::new(
        ErrorKind::Config,
        "the server belongs to a Redis Cluster; open it as one, with a `redis+cluster://` URL",
    )
}

/// The server's refusal, by its code. It did nothing.
fn refused(code: &str) -> Error {
    let (kind, message) = match code {
        "LOADING" => (
            ErrorKind::Unavailable,
            "the Redis server is loading its data; try again soon",
        ),
        "MASTERDOWN" => (
            ErrorKind::Unavailable,
            "the Redis server is a replica without its primary",
        ),
        "CLUSTERDOWN" => (
            ErrorKind::Unavailable,
            "the Redis Cluster is down, or no node serves this slot now",
        ),
        "TRYAGAIN" => (
            ErrorKind::Unavailable,
            "the Redis Cluster is moving these sessions; try again soon",
        ),
        "READONLY" => (
            ErrorKind::Unavailable,
            "the Redis server is a read-only replica; after a failover the next call finds the new primary if the store \
             knows the sentinels or the cluster",
        ),
        "MISCONF" => (
            ErrorKind::Unavailable,
            "the Redis server refuses writes since it cannot save to its disk; see its log",
        ),
        "UNBLOCKED" => (
            ErrorKind::Unavailable,
            "the Redis server ceased to be the primary while a call waited for its replicas",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the Redis server is at its `maxmemory` and may not evict; give it more memory",
        ),
        "NOREPLICAS" => (
            ErrorKind::Unavailable,
            "the Redis server refuses writes since it has fewer good replicas than `min-replicas-to-write`",
        ),
        "BUSY" => (
            ErrorKind::Unavailable,
            "the Redis server is busy with somebody's long script",
        ),
        "NOAUTH" | "WRONGPASS" => (
            ErrorKind::Config,
            "the Redis server does not accept the user name or password of the URL",
        ),
        "NOPERM" => (
            ErrorKind::Config,
            "the Redis user may not do this; it needs read and write access to the keys of the session path, and the \
             commands of @hash, @scripting, @connection, PTTL, PEXPIREAT, PERSIST, UNLINK, TIME, and SCAN for scans",
        ),
        "WRONGTYPE" => (
            ErrorKind::Corrupt,
            "a key of the session path is no hash; another program uses this session path",
        ),
        "CROSSSLOT" => return in_a_cluster(),
        _ => (ErrorKind::Unexpected, "the Redis server refused a command"),
    };
    Error::new(kind, message).with("code", shown(code))
}

/// A code as servers have them; anything else may be a piece of what was sent.
fn shown(code: &str) -> String {
    if code.len() <= 32 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        code.to_owned()
    } else {
        "unknown".to_owned()
    }
}

/// The connection is of no use any more.
fn lost(error: RedisError) -> Error {
    match error.kind() {
        redis::ErrorKind::AuthenticationFailed => Error::new(
            ErrorKind::Config,
            "the Redis server does not accept the user name or password of the URL",
        ),
        redis::ErrorKind::InvalidClientConfig => {
            Error::new(ErrorKind::Config, "the settings do not fit a Redis connection").with_source(error)
        }
        _ if error.is_timeout() => Error::new(
            ErrorKind::Unavailable,
            "the Redis server did not answer within the response timeout",
        ),
        redis::ErrorKind::Io => {
            Error::new(ErrorKind::Unavailable, "the connection to the Redis server is lost").with_source(error)
        }
        redis::ErrorKind::Parse => Error::new(
            ErrorKind::Unavailable,
            "the server's reply is no Redis protocol; the connection was given up",
        ),
        _ => Error::new(ErrorKind::Unavailable, "the Redis connection failed"),
    }
}

/// No connection came about; nothing was sent.
fn unreached(error: RedisError) -> Error {
    if error.is_timeout() {
        return Error::new(
            ErrorKind::Unavailable,
            "no connection to the Redis server within the connect timeout",
        );
    }
    if error.kind() == redis::ErrorKind::Io {
        return Error::new(
            ErrorKind::Unavailable,
            format!("the Redis server cannot be reached: {error}"),
        );
    }
    unconnected(error)
}

/// A first question on a connection was not answered; no call was made.
pub(crate) fn unconnected(error: RedisError) -> Error {
    match Trouble::of(error) {
        Trouble::Lost(error) | Trouble::Refused(error) => error,
        other => other.into_error(false),
    }
}

/// The server did not accept what a connection begins with.
pub(crate) fn not_let_in(error: RedisError) -> Error {
    // In the server's words, which the driver passes on.
    let says = |part: &str| error.detail().is_some_and(|said| said.contains(part));
    let of_the_number = [
        "out of range",
        "invalid DB index",
        "not allowed in cluster mode",
        "no permissions",
    ];
    let (kind, message) = if of_the_number.into_iter().any(says) {
        (
            ErrorKind::Config,
            "the Redis server refused the database number of the URL; a cluster has only database 0, others as many as \
             their `databases` says",
        )
    } else if says("Authentication required") {
        (
            ErrorKind::Config,
            "the Redis server asks for a password, and the URL has none",
        )
    } else {
        // As many clients as it takes, say, or a script that keeps it busy.
        (
            ErrorKind::Unavailable,
            "the Redis server let no connection in just now; it may have as many clients as its `maxclients` says",
        )
    };
    match unreached(error) {
        error if error.kind() == ErrorKind::Unexpected => Error::new(kind, message),
        error => error,
    }
}

/// The same of a server that has let in what it now refuses: whatever the driver takes it for, it is no mistake of the settings.
pub(crate) fn no_longer_let_in(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Config => Error::new(
            ErrorKind::Unavailable,
            "the Redis server does not let in any more what it let in before: its password was changed, or it has as many clients \
             as its `maxclients` says",
        )
        .with_source(error),
        _ => error,
    }
}

/// No connection came about in time; nothing was sent.
pub(crate) fn no_connection_within(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("no connection to the Redis server within {} s", timeout.as_secs_f64()),
    )
}

/// So many calls wait for replicas that one more had no turn in time; nothing was sent.
pub(crate) fn too_many_wait() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "too many calls wait for replicas already, which do not confirm in time; look at the replicas",
    )
}

/// The store was closed while a connection was opened; nothing was sent.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// A reply of a shape that no server gives.
pub(crate) fn unexpected(message: &'static str) -> Error {
    Error::new(ErrorKind::Unexpected, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        value.unwrap().extract_error().unwrap_err()
    }

    /// Redis 7 gives the code first, Redis 6.2 an `ERR` that tells of it.
    #[test]
    fn what_a_script_was_refused_is_told_whatever_the_server_wraps_it_in() {
        let old = "ERR Error running script (call to f_0): @user_script:7: @user_script: 7: -";
        for (refusal, part) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
            ("READONLY You can't write against a read only replica.", "read-only"),
            ("MISCONF Redis is configured to save RDB snapshots", "disk"),
            ("NOREPLICAS Not enough good replicas to write.", "min-replicas"),
        ] {
            for line in [refusal.to_owned(), format!("{old}{refusal}")] {
                let error = Trouble::of(reply(&line)).into_error(true);
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{line}: {error}");
                assert!(error.message().contains(part), "{line}: {error}");
                assert!(!error.outcome_unknown(), "{line}: {error}");
            }
        }
        assert!(!is_not_compiled(&reply(&format!("{old}OOM no"))));
        let wrong = "ERR Error running script (call to f_0): @user_script:7: WRONGTYPE Operation against a key";
        assert_eq!(Trouble::of(reply(wrong)).into_error(true).kind(), ErrorKind::Corrupt);
    }

    /// As Redis 6.2 says it.
    #[test]
    fn a_script_whose_flags_the_server_does_not_know_is_one_that_it_cannot_read() {
        let line = "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'";
        assert!(is_not_compiled(&reply(line)));
    }
}

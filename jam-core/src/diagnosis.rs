//! What a backend finds out about itself, for people who run it: `jam doctor`.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{
    Clock, Error, ErrorKind, IdFactory, Load, Record, RecordId, Result, SessionKey, SessionStore, SystemClock,
    Timestamp, UuidV4,
};

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be, or good to know.
    Fine,
    /// It works, and a day may come on which it does not, or it could not be looked at.
    Warning,
    /// Sessions cannot be kept, are lost, or are open to others.
    Wrong,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        })
    }
}

/// One thing that was looked at: what was found, and what to do about it. Holds no id, no data and no password.
///
/// ```
/// use jam_core::{Finding, Severity};
///
/// let finding = Finding::wrong("memory", "the server evicts sessions", "set `maxmemory-policy noeviction`");
/// assert_eq!(finding.severity, Severity::Wrong);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at, in a word or two.
    pub subject: Cow<'static, str>,
    /// What was found.
    pub found: Cow<'static, str>,
    /// What to do about it.
    pub advice: Option<Cow<'static, str>>,
}

impl Finding {
    /// As it should be, or good to know.
    pub fn fine(subject: impl Into<Cow<'static, str>>, found: impl Into<Cow<'static, str>>) -> Self {
        Self {
            severity: Severity::Fine,
            subject: subject.into(),
            found: found.into(),
            advice: None,
        }
    }

    /// It works for now.
    pub fn warning(
        subject: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            advice: Some(advice.into()),
            ..Self::fine(subject, found)
        }
    }

    /// It must be mended.
    pub fn wrong(
        subject: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            severity: Severity::Wrong,
            ..Self::warning(subject, found, advice)
        }
    }

    /// An error of a store, which is always wrong.
    pub fn error(subject: impl Into<Cow<'static, str>>, error: &Error) -> Self {
        let mut found = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            found = format!("{found}: {cause}");
            source = cause.source();
        }
        let advice = match error.kind() {
            ErrorKind::Config => "mend the setting",
            ErrorKind::Unavailable => "see that it runs, can be reached and written to, and is nobody else's",
            ErrorKind::Corrupt => "restore it from a backup",
            ErrorKind::Unsupported => "use a newer server, or another store",
            _ => "see the message",
        };
        Self::wrong(subject, found, advice)
    }

    /// Whether a store's file is open to others, or one of those beside it: the first is told of in any case, of the others
    /// only what is wrong. As [`of_file`](Self::of_file) otherwise.
    pub fn of_files(subject: &'static str, first: &Path, beside: impl IntoIterator<Item = PathBuf>) -> Vec<Self> {
        let others = beside.into_iter().filter_map(|path| Self::of_file(subject, &path));
        let wrong = others.filter(|finding| finding.severity == Severity::Wrong);
        Self::of_file(subject, first).into_iter().chain(wrong).collect()
    }

    /// Whether a file or directory is open to others than its owner. Elsewhere than on Unix, and where there is no such
    /// file, nothing is found.
    pub fn of_file(subject: impl Into<Cow<'static, str>>, path: &Path) -> Option<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let (subject, shown) = (subject.into(), path.display());
            let metadata = path.metadata().ok()?;
            let mode = metadata.permissions().mode() & 0o777;
            let others = mode & 0o077;
            if others == 0 {
                return Some(Self::fine(
                    subject,
                    format!("{shown} is its owner's alone (mode {mode:o})"),
                ));
            }
            let mend = if metadata.is_dir() { "700" } else { "600" };
            Some(Self::wrong(
                subject,
                format!("{shown} is open to others on this machine (mode {mode:o})"),
                format!("chmod {mend} {shown}"),
            ))
        }
        #[cfg(not(unix))]
        {
            let _ = (subject.into(), path);
            None
        }
    }
}

/// Keeps a record that is no session, reads it back and removes it: whether the store does its work at all. One that keeps no
/// record that expires is warned of.
pub async fn try_out(store: &dyn SessionStore) -> Finding {
    const SOON: Duration = Duration::from_mins(1);
    let error = match write_and_read(store, Some(SystemClock.now().plus(SOON))).await {
        Ok(()) => return Finding::fine("a write", "a record was kept, read back and removed"),
        Err(error) => error,
    };
    // Sessions without a ttl need no more.
    if error.kind() == ErrorKind::Unsupported && write_and_read(store, None).await.is_ok() {
        return Finding::warning(
            "a write",
            format!("a record that never expires was kept, read back and removed; one that does was refused: {error}"),
            "nothing with `ttl = \"none\"`; otherwise use a newer server, or another store",
        );
    }
    Finding::error("a write", &error)
}

async fn write_and_read(store: &dyn SessionStore, expires_at: Option<Timestamp>) -> Result<()> {
    let id = RecordId::new(SessionKey::new("jam-doctor")?, UuidV4.next_id())?.reserved()?;
    let record = Record::new("{}", expires_at);
    store.insert(&id, &record).await?;
    let read = store.load(&id, Load::new().fresh()).await;
    let removed = store.remove(&id).await?;
    if removed && read?.is_some_and(|stored| stored.payload == record.payload) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unexpected,
        "a record was not there when it was read back; a clock may be wrong",
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::MemoryStore;

    #[test]
    fn trying_a_store_out_leaves_nothing_behind() {
        futures_lite::future::block_on(async {
            let store = MemoryStore::new();
            assert_eq!(try_out(&store).await.severity, Severity::Fine);
            assert!(store.scan(None, 10).await.unwrap().entries.is_empty());
            store.close().await.unwrap();
            assert_eq!(try_out(&store).await.severity, Severity::Wrong);
        });
    }

    /// The time until it was asked so often; then it is the end of all times.
    #[derive(Debug)]
    struct Leap(AtomicU64, u64);

    impl Clock for Leap {
        fn now(&self) -> Timestamp {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            if asked < self.1 {
                SystemClock.now()
            } else {
                Timestamp::MAX
            }
        }
    }

    #[test]
    fn a_record_that_is_gone_before_it_is_removed_is_wrong() {
        futures_lite::future::block_on(async {
            let clock = Arc::new(Leap(AtomicU64::new(0), u64::MAX));
            let severity = try_out(&MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>))
                .await
                .severity;
            assert_eq!(severity, Severity::Fine);
            // The removal is what looks at the clock last.
            let last = clock.0.load(Ordering::Relaxed) - 1;
            let leaping = Arc::new(Leap(AtomicU64::new(0), last));
            assert_eq!(
                try_out(&MemoryStore::with_clock(leaping)).await.severity,
                Severity::Wrong
            );
        });
    }
}

//! Runs the real command in a folder of its own.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use jam::{Clock, Record, RecordId, SessionKey, SessionStore, SystemClock, Timestamp};
use serde_json::Value;

/// A folder with nothing in it, and the command run there.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// With the sessions of this URL or file.
    pub(crate) fn on(store: &str) -> Self {
        Self::new().set("JAM_CONFIG", store)
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.folder.path().read_dir().unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jam"));
        command.args(words).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("JAM_") {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    pub(crate) fn run_with(&self, input: &str, words: &[&str]) -> Ran {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        // A command that refuses its arguments does not wait for its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs what must be done, and gives what it printed without the line end.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        self.run(words).done()
    }

    /// The same as JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let out = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl Ran {
    /// What it printed, if it was done and had nothing to complain about.
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out.trim_end().to_owned()
    }

    /// What it complained about, with this exit code and no output.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert!(self.err.starts_with("jam: ") && self.err.ends_with('\n'), "{self:?}");
        self.err
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

pub(crate) async fn store(url: &str) -> Arc<dyn SessionStore> {
    let sessions = jam::Config::from_url(url)
        .unwrap()
        .environment::<&str, &str>([])
        .open()
        .await
        .unwrap();
    Arc::clone(sessions.store())
}

/// Puts a session into a store that has expired long ago.
pub(crate) fn insert_expired(url: &str) {
    block_on(async {
        let store = store(url).await;
        let id = RecordId::new(SessionKey::new("user1").unwrap(), "old.t5o2k9.x").unwrap();
        let expired = Record::new("{}", Some(Timestamp::from_secs(1)));
        store.insert(&id, &expired).await.unwrap();
        store.close().await.unwrap();
    });
}

pub(crate) type Records = BTreeMap<(String, String), (Vec<u8>, Option<Timestamp>)>;

/// Everything in a store but the mark.
pub(crate) fn records(url: &str) -> Records {
    block_on(async {
        let store = store(url).await;
        let (mut records, mut cursor) = (Records::new(), None);
        loop {
            let page = store.scan(cursor, 100).await.unwrap();
            for entry in page.entries {
                let id = (entry.id.key().as_str().to_owned(), entry.id.id().to_owned());
                records.insert(id, (entry.stored.payload.to_vec(), entry.expires_at));
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        store.close().await.unwrap();
        records.retain(|(key, _), _| key != "jam-migration");
        records
    })
}

/// Fills a store with records of every kind: many of one key, hostile keys, bytes that are no text, notes, no expiry.
pub(crate) fn fill(url: &str, number: u64) {
    block_on(async {
        let store = store(url).await;
        let later = SystemClock.now().as_millis() + 3_600_000;
        for at in 0..number {
            let key = match at % 10 {
                0 => format!("../:🦀 b\n{}", at / 1000),
                1..4 => format!("many{}", at / 1000),
                _ => format!("user{at}"),
            };
            let id = format!("h{at}.t5o2k9.{at}{}", if at % 50 == 7 { "~" } else { "" });
            let id = RecordId::new(SessionKey::new(key).unwrap(), id).unwrap();
            let payload = match at % 3 {
                0 => format!("{{ \"n\" :{at}}}").into_bytes(),
                1 => vec![0, 159, 146, 150, u8::try_from(at % 256).unwrap()],
                _ => format!("not an object {at}").into_bytes(),
            };
            let expires_at = (at % 5 != 0).then(|| Timestamp::from_millis(later + at));
            store.insert(&id, &Record::new(payload, expires_at)).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

/// Makes `path` an absolute URL.
pub(crate) fn url(scheme: &str, shell: &Shell, name: &str) -> String {
    format!("{scheme}:{}?durability=os", text(&shell.path(name)))
}

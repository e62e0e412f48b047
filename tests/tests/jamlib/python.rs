//! A Python process that runs jamlib, and answers one question at a time.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

/// The process; it ends when this is dropped, or the test ends otherwise, for that closes its standard input.
pub(crate) struct Python(Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>);

impl Python {
    pub(crate) fn start() -> Arc<Self> {
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/jamlib_driver.py");
        let mut process = jam_test_servers::python()
            .arg(driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        // So that it is not left a zombie.
        std::thread::spawn(move || process.wait());
        Arc::new(Self(Mutex::new((stdin, BufReader::new(stdout).lines()))))
    }

    /// The one that all tests share which do nothing at great length.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Python>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(Self::start))
    }

    /// What Python answers to one line; an error is the name of the exception.
    fn ask(&self, line: &str) -> Result<Value, String> {
        let mut pipes = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writeln!(pipes.0, "{line}").expect("python listens");
        let answer = pipes.1.next().expect("python answers, see its error above").unwrap();
        let mut answer: Value = serde_json::from_str(&answer).expect("the answer is JSON");
        match answer["error"].take() {
            Value::String(error) => Err(error),
            _ => Ok(answer["ok"].take()),
        }
    }
}

/// Which of jamlib's two modules.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Sync,
    Aio,
}

/// A session module of jamlib.
pub(crate) struct Jamlib {
    python: Arc<Python>,
    name: String,
}

impl Jamlib {
    /// Opens a module with a ttl in seconds and, if it is to encrypt, a key.
    pub(crate) fn open(
        python: Arc<Python>,
        mode: Mode,
        uri: &str,
        path: &str,
        ttl: Option<u64>,
        secret: Option<&str>,
    ) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = COUNTER.fetch_add(1, Ordering::Relaxed).to_string();
        let mode = match mode {
            Mode::Sync => "sync",
            Mode::Aio => "aio",
        };
        let open = json!({"open": name, "mode": mode, "uri": uri, "path": path, "ttl": ttl, "secret": secret});
        python.ask(&open.to_string()).expect("jamlib opens");
        Self { python, name }
    }

    fn call(&self, method: &str, args: &Value) -> Result<Value, String> {
        self.call_text(method, &args.to_string())
    }

    /// With arguments in Python's JSON, which has more than JSON.
    pub(crate) fn call_text(&self, method: &str, args: &str) -> Result<Value, String> {
        let (name, method) = (json!(self.name), json!(method));
        self.python
            .ask(&format!(r#"{{"on": {name}, "call": {method}, "args": {args}}}"#))
    }

    pub(crate) fn try_create(&self, key: &str, data: &Value) -> Result<String, String> {
        let id = self.call("create", &json!([key, data]))?;
        Ok(id.as_str().expect("an id is a text").to_owned())
    }

    #[track_caller]
    pub(crate) fn create(&self, key: &str, data: &Value) -> String {
        self.try_create(key, data).unwrap()
    }

    pub(crate) fn try_get(&self, id: &str) -> Result<Option<Value>, String> {
        let data = self.call("get", &json!([id]))?;
        Ok((!data.is_null()).then_some(data))
    }

    #[track_caller]
    pub(crate) fn get(&self, id: &str) -> Option<Value> {
        self.try_get(id).unwrap()
    }

    pub(crate) fn update(&self, id: &str, data: &Value) -> Result<(), String> {
        self.call("update", &json!([id, data])).map(drop)
    }

    pub(crate) fn rework(&self, id: &str) -> Result<String, String> {
        let id = self.call("rework", &json!([id]))?;
        Ok(id.as_str().expect("an id is a text").to_owned())
    }

    #[track_caller]
    pub(crate) fn delete(&self, id: &str) {
        self.call("delete", &json!([id])).unwrap();
    }

    #[track_caller]
    pub(crate) fn clear(&self, key: &str) {
        self.call("clear", &json!([key])).unwrap();
    }
}

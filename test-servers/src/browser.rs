//! Chromium behind its `WebDriver` server.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::guard::Guarded;
use crate::programs::program;
use crate::wait::until;

/// `chromedriver` on a free loopback port, which starts as many browsers as it is asked for. It ends with this value, and with
/// the test however that ends, and all its browsers with it.
///
/// What drives it is a `WebDriver` library of the test's own choice, with [`url`](Self::url), and in the capability
/// `goog:chromeOptions` the [`binary`](Self::chromium) and the [`args`](Self::arguments).
#[derive(Debug)]
pub struct Chromedriver {
    port: u16,
    // Before the directory, which is removed once nothing runs in it.
    process: Guarded,
    directory: TempDir,
}

impl Chromedriver {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    ///
    /// If there is none or it does not start, with what would help.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for a browser");
        let chromedriver = program("JAM_TEST_CHROMEDRIVER", "chromedriver");
        let arguments = [chromedriver.to_string_lossy().into_owned(), "--port=0".to_owned()];
        // In a group of its own, which its browsers join.
        let process = Guarded::spawn(directory.path(), Path::new("setsid"), &arguments);
        let log = directory.path().join("server.log");
        let port = until("chromedriver to start", || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            assert!(!process.ended(), "chromedriver did not start:\n{said}");
            port_in(&said).ok_or(said)
        });
        Self {
            port,
            process,
            directory,
        }
    }

    /// Where it listens, `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process id.
    pub const fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The directory that holds its log and the profiles of its browsers.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The browser to start: Debian's `chromium`, or what `JAM_TEST_CHROMIUM` names.
    ///
    /// # Panics
    ///
    /// If there is none, with what would help.
    pub fn chromium(&self) -> PathBuf {
        program("JAM_TEST_CHROMIUM", "chromium")
    }

    /// What to start the browser with, so that it runs on every machine and ends with its driver. Each browser has a new profile.
    pub const fn arguments(&self) -> [&'static str; 7] {
        [
            "--headless=new",
            // A browser whose pipe breaks ends by itself.
            "--remote-debugging-pipe",
            // Neither root nor a container has a sandbox to offer; what is opened here are the tests' own pages.
            "--no-sandbox",
            // Containers have a /dev/shm of 64 MB.
            "--disable-dev-shm-usage",
            "--disable-crash-reporter",
            "--disable-background-networking",
            "--force-color-profile=srgb",
        ]
    }
}

/// The port that chromedriver has chosen, once it says so.
fn port_in(log: &str) -> Option<u16> {
    let (_, said) = log.split_once("started successfully on port ")?;
    said.split_once('.')?.0.parse().ok()
}

//! Chromium behind its `WebDriver` server.

use std::path::{Path, PathBuf};

use crate::process::Process;
use crate::programs::program;

/// `chromedriver` on a free loopback port, which starts as many browsers as it is asked for. It ends with this value, and with
/// the test however that ends, and all its browsers with it.
///
/// What drives it is a `WebDriver` library of the test's own choice, with [`url`](Self::url), and in the capability
/// `goog:chromeOptions` the [`binary`](Self::chromium) and the [`args`](Self::arguments).
#[derive(Debug)]
pub struct Chromedriver {
    port: u16,
    process: Process,
}

impl Chromedriver {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    ///
    /// If there is none or it does not start, with what would help.
    pub fn start() -> Self {
        let chromedriver = program("JAM_TEST_CHROMEDRIVER", "chromedriver");
        // In a group of its own, which its browsers join.
        let process = Process::start("setsid", &[&chromedriver.to_string_lossy(), "--port=0"]);
        let port = process.wait_for("chromedriver to start", port_in);
        Self { port, process }
    }

    /// Where it listens, `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The directory that holds its log and the profiles of its browsers.
    pub fn dir(&self) -> &Path {
        self.process.dir()
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

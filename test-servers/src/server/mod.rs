//! One running server.

mod launch;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use self::launch::Failure;
use crate::guard::Guarded;
use crate::monitor::Monitor;
use crate::options::ServerOptions;
use crate::ports::Port;
use crate::programs::Kind;
use crate::resp::{Connection, Reply};
use crate::tls::Certificates;
use crate::wait::until;

/// One server on `127.0.0.1`; it ends with this value, and with the test however that ends.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    port: Port,
    tls: Option<(Port, Certificates)>,
    // Before the directory, which is removed once nothing runs in it.
    process: Mutex<Process>,
    directory: TempDir,
}

#[derive(Debug)]
enum Process {
    Running(Guarded),
    Paused(Guarded),
    Gone,
}

impl Server {
    /// Starts a server of this kind, as [`ServerOptions`] has it by default.
    ///
    /// # Panics
    ///
    /// If there is none or it does not start, with what would help.
    pub fn start(kind: Kind) -> Self {
        Self::options(kind).start()
    }

    /// A server of this kind, to be told more before it starts.
    ///
    /// # Panics
    ///
    /// If there is none, with what would help.
    pub fn options(kind: Kind) -> ServerOptions {
        ServerOptions::new(kind)
    }

    /// `redis://127.0.0.1:<port>`, with the password if there is one.
    pub fn url(&self) -> String {
        format!("redis://{}{}", self.user_info(), self.address())
    }

    /// The same server with TLS, `rediss://localhost:<port>`.
    ///
    /// # Panics
    ///
    /// If it was not started with [`tls`](ServerOptions::tls).
    pub fn tls_url(&self) -> String {
        format!("rediss://{}localhost:{}", self.user_info(), self.with_tls().0.number())
    }

    /// The certificate of the authority that vouches for [`tls_url`](Self::tls_url), a PEM file.
    ///
    /// # Panics
    ///
    /// If it was not started with [`tls`](ServerOptions::tls).
    pub fn ca_path(&self) -> &Path {
        &self.with_tls().1.authority
    }

    /// The same server over its socket, `unix://<path>`.
    ///
    /// # Panics
    ///
    /// If it was not started with [`unix_socket`](ServerOptions::unix_socket).
    pub fn unix_url(&self) -> String {
        assert!(
            self.options.unix_socket,
            "the server was started without `unix_socket()`"
        );
        let path = self.dir().join("server.sock");
        match &self.options.password {
            Some(password) => format!("unix://{}?pass={}", path.display(), percent_encoded(password)),
            None => format!("unix://{}", path.display()),
        }
    }

    /// The port of the plain connections; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where the plain connections go.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The server's own directory: `dump.rdb` after a `SAVE`, `server.log`, `server.conf`.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        self.options.kind
    }

    /// The program that runs.
    pub fn program(&self) -> &Path {
        &self.options.program
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// If the server is down.
    pub fn pid(&self) -> u32 {
        match &*self.process() {
            Process::Running(guarded) | Process::Paused(guarded) => guarded.pid(),
            Process::Gone => panic!("the server on port {} is down", self.port()),
        }
    }

    /// Whether it runs: neither killed nor paused by the test, nor ended by itself.
    pub fn is_running(&self) -> bool {
        matches!(&*self.process(), Process::Running(guarded) if !guarded.ended())
    }

    /// Runs one command on a connection of its own. A refusal is a [`Reply::Error`].
    ///
    /// # Panics
    ///
    /// If no reply comes.
    pub fn command<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        self.try_command(words)
            .unwrap_or_else(|error| self.fail(&error.to_string()))
    }

    /// Runs one command on a connection of its own, and gives an error where no reply comes.
    pub fn try_command<A: AsRef<[u8]>>(&self, words: &[A]) -> io::Result<Reply> {
        self.try_connection()?.command(words)
    }

    /// A connection that several commands can share, already logged in.
    ///
    /// # Panics
    ///
    /// If there is none to be had.
    pub fn connection(&self) -> Connection {
        self.try_connection()
            .unwrap_or_else(|error| self.fail(&error.to_string()))
    }

    fn try_connection(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.address())?;
        let credentials = self.options.credentials();
        if !credentials.is_empty() {
            let words: Vec<&str> = std::iter::once("AUTH").chain(credentials).collect();
            let reply = connection.command(&words)?;
            if !reply.is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!("AUTH gave {reply:?}"),
                ));
            }
        }
        Ok(connection)
    }

    /// Watches every command that the server executes from now on.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached.
    pub fn monitor(&self) -> Monitor {
        Monitor::start(self.connection(), self.connection())
    }

    /// SIGKILL. Returns when the process is gone; does nothing when it is down already.
    pub fn kill(&self) {
        match self.take() {
            Process::Running(guarded) | Process::Paused(guarded) => guarded.kill(),
            Process::Gone => {}
        }
    }

    /// SIGTERM: the server saves if it was told to, and ends. Returns when it has; does nothing when it is down already.
    pub fn shut_down(&self) {
        self.resume();
        match self.take() {
            Process::Running(guarded) | Process::Paused(guarded) => guarded.terminate(),
            Process::Gone => {}
        }
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    ///
    /// # Panics
    ///
    /// If the server is down.
    pub fn pause(&self) {
        let mut process = self.process();
        *process = match std::mem::replace(&mut *process, Process::Gone) {
            Process::Running(guarded) | Process::Paused(guarded) => {
                guarded.pause();
                Process::Paused(guarded)
            }
            Process::Gone => panic!("the server on port {} is down and cannot pause", self.port()),
        };
    }

    /// SIGCONT, after [`pause`](Self::pause).
    pub fn resume(&self) {
        let mut process = self.process();
        *process = match std::mem::replace(&mut *process, Process::Gone) {
            Process::Paused(guarded) => {
                guarded.resume();
                Process::Running(guarded)
            }
            other => other,
        };
    }

    /// Starts it again, after a kill if it runs: same ports, same directory. Waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not, with the log it left.
    pub fn restart(&self) {
        self.kill();
        // The port is claimed, so whoever has it is a passer-by.
        until("a server to start again", || match self.run() {
            Ok(()) => Ok(()),
            Err(Failure::PortTaken(log)) => Err(log),
            Err(Failure::Other(log)) => panic!("the server on port {} did not start again:\n{log}", self.port()),
        });
    }

    pub(crate) fn credentials(&self) -> Vec<&str> {
        self.options.credentials()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Process {
        std::mem::replace(&mut *self.process(), Process::Gone)
    }

    fn with_tls(&self) -> &(Port, Certificates) {
        self.tls.as_ref().expect("the server was started without `tls()`")
    }

    fn user_info(&self) -> String {
        self.options
            .password
            .as_ref()
            .map_or_else(String::new, |password| format!(":{}@", percent_encoded(password)))
    }

    fn fail(&self, why: &str) -> ! {
        panic!(
            "the server on port {} did not answer: {why}; its log:\n{}",
            self.port(),
            self.log()
        )
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir().join("server.log")).unwrap_or_default()
    }
}

/// A password as part of a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("write to a string");
        }
        encoded
    })
}

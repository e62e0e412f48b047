//! Bringing a server up: on ports that may turn out to be taken, and not before it answers.

use std::fs;
use std::sync::Mutex;

use tempfile::TempDir;

use super::{Process, Server};
use crate::guard::Guarded;
use crate::options::ServerOptions;
use crate::ports::Port;
use crate::resp::Reply;
use crate::tls::Certificates;
use crate::wait::until;

/// How often a start is tried again on other ports, since one may be taken between the claim and the start.
const ATTEMPTS: usize = 20;

/// Why a server did not come up.
pub(super) enum Failure {
    PortTaken(String),
    Other(String),
}

impl Server {
    /// Starts the process and waits until it answers.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let logged = self.log().len();
        let mut arguments = vec![self.dir().join("server.conf").to_string_lossy().into_owned()];
        if self.options.sentinel {
            arguments.push("--sentinel".to_owned());
        }
        let guarded = Guarded::spawn(self.dir(), &self.options.program, &arguments);
        let pid = guarded.pid();
        let answered = until("a server to answer", || {
            if guarded.ended() {
                Ok(false)
            } else if self.answers(pid) {
                Ok(true)
            } else {
                Err(self.log())
            }
        });
        if answered {
            *self.process() = Process::Running(guarded);
            return Ok(());
        }
        guarded.kill();
        let log = self.log().split_off(logged);
        Err(if log.contains("Address already in use") {
            Failure::PortTaken(log)
        } else {
            Failure::Other(log)
        })
    }

    /// Whether process `pid`, and not a stranger who has taken the port, is ready for commands.
    fn answers(&self, pid: u32) -> bool {
        let Ok(mut connection) = self.try_connection() else {
            return false;
        };
        // Where INFO is hidden the port has to do.
        let same = match connection.command(&["INFO", "server"]) {
            Ok(Reply::Bulk(info)) => String::from_utf8_lossy(&info)
                .lines()
                .any(|line| line == format!("process_id:{pid}")),
            other => other.is_ok(),
        };
        same && connection
            .command(&["PING"])
            .is_ok_and(|reply| reply == Reply::Status("PONG".to_owned()))
    }
}

impl ServerOptions {
    pub(crate) fn launch(self) -> Server {
        let mut failure = String::new();
        for _ in 0..ATTEMPTS {
            let server = self.clone().prepare();
            match server.run() {
                Ok(()) => return server,
                Err(Failure::PortTaken(log)) => failure = log,
                Err(Failure::Other(log)) => panic!("{} did not start:\n{log}", self.program.display()),
            }
        }
        panic!(
            "{} found its ports taken {ATTEMPTS} times:\n{failure}",
            self.program.display()
        )
    }

    /// A server that is not running yet.
    fn prepare(self) -> Server {
        let directory = TempDir::with_prefix("jam-test-server-").expect("make a directory for a test server");
        let port = Port::free();
        let tls = self.tls.then(|| (Port::free(), Certificates::make(directory.path())));
        if let Some(dump) = &self.dump {
            fs::copy(dump, directory.path().join("dump.rdb"))
                .unwrap_or_else(|error| panic!("could not copy the dump {}: {error}", dump.display()));
        }
        let with_tls = tls.as_ref().map(|(port, certificates)| (port.number(), certificates));
        self.write_configuration(directory.path(), port.number(), with_tls);
        Server {
            options: self,
            port,
            tls,
            process: Mutex::new(Process::Gone),
            directory,
        }
    }
}

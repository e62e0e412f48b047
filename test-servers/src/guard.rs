//! A process that does not outlive the test: a shell starts it and kills it when its standard input closes, which the system
//! sees to even when the test is killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::wait::until;

/// The shell reaps the process only at the very end, so its id belongs to no other process until then. It turns a deaf ear to
/// the hang-up that a group with a stopped process gets when its last relative has died. A process that leads a group of its own
/// takes that group along.
const SCRIPT: &str = r#"
trap '' HUP
directory=$1
shift
"$@" </dev/null >>"$directory/server.log" 2>&1 &
echo $!
exec >&-
read -r word
kill -9 -$! 2>&-
kill -9 $!
wait $!
test "$word" = keep || rm -rf "$directory"
"#;

/// A running process; dropping it kills it and removes its directory.
#[derive(Debug)]
pub(crate) struct Guarded {
    shell: Child,
    pid: u32,
}

impl Guarded {
    /// Starts `program`; what it prints goes to `server.log` in `directory`.
    /// Its home and its temporary files are there too.
    pub(crate) fn spawn(directory: &Path, program: &Path, arguments: &[String]) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard"])
            .arg(directory)
            .arg(program)
            .args(arguments)
            .current_dir(directory)
            .env("HOME", directory)
            .env("TMPDIR", directory)
            // Out of reach of a terminal's Ctrl-C, which would end the shell before it has cleared up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh, the guard of a test server");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("standard output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the guard says which process it has started");
        let pid = line.trim().parse().expect("the guard says a process id");
        Self { shell, pid }
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process has ended by itself.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.state(), None | Some('Z'))
    }

    /// SIGSTOP; returns when the process has stopped.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        until("a server to stop", || {
            if self.state() == Some('T') {
                Ok(())
            } else {
                Err("it still runs".into())
            }
        });
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// SIGTERM: a server may save and say goodbye; returns when it has ended.
    pub(crate) fn terminate(self) {
        self.signal("TERM");
        until("a server to end", || {
            if self.ended() {
                Ok(())
            } else {
                Err("it still runs".into())
            }
        });
        self.kill();
    }

    /// SIGKILL; returns when the process is gone. The directory stays.
    pub(crate) fn kill(mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            stdin
                .write_all(b"keep\n")
                .expect("tell the guard of a test server to end it");
        }
        self.shell.wait().expect("wait for the guard of a test server");
    }

    /// The shell's own `kill`, since not every system has the program.
    fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", r#"kill -"$1" "$2""#, "signal", name, &self.pid.to_string()])
            .status()
            .expect("start sh to send a signal");
        assert!(status.success(), "could not send SIG{name} to process {}", self.pid);
    }

    /// The letter that `ps` shows: T is stopped, Z has ended; nothing where there is no such process.
    fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // A guard that is gone has nothing left to be waited for; a panic here would hide the test's own.
        let _ = self.shell.wait();
    }
}

//! How a server is to be started.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::programs::Kind;
use crate::server::Server;
use crate::tls::Certificates;

/// The user that the tests themselves come as where the default one may be shut out.
pub(crate) const OPERATOR: &str = "jam-test-operator";

/// How a server is to be started. Without persistence, password and TLS unless asked for.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before `start`"]
pub struct ServerOptions {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) sentinel: bool,
    pub(crate) directives: Vec<(String, String)>,
    pub(crate) hidden: Vec<String>,
    pub(crate) password: Option<String>,
    pub(crate) unix_socket: bool,
    pub(crate) tls: bool,
    pub(crate) dump: Option<PathBuf>,
}

impl ServerOptions {
    /// A server of this kind.
    ///
    /// # Panics
    ///
    /// If there is none, with what would help.
    pub(crate) fn new(kind: Kind) -> Self {
        let program = kind.program();
        let hidden = kind.to_hide(&program);
        Self::bare(kind, program).hide(hidden)
    }

    /// A program as it is, whatever it can do.
    pub(crate) const fn bare(kind: Kind, program: PathBuf) -> Self {
        Self {
            kind,
            program,
            sentinel: false,
            directives: Vec::new(),
            hidden: Vec::new(),
            password: None,
            unix_socket: false,
            tls: false,
            dump: None,
        }
    }

    /// Another program than that of the kind, taken as it is: nothing is hidden, nothing required.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self.hidden.clear();
        self
    }

    /// A line of the configuration file: `.arg("appendonly", "yes")`, `.arg("save", "60 1")`. Later lines win.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.directives.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Hides commands, as if the server did not know them (`rename-command`). Those it does not know anyway are left out.
    pub fn hide(mut self, commands: &[&str]) -> Self {
        self.hidden
            .extend(commands.iter().map(|command| command.to_uppercase()));
        self
    }

    /// Demands this password of the default user.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.arg("requirepass", &quoted(password))
    }

    /// Adds a user with rules as `ACL SETUSER` has them: `.acl_user("app", "on >secret ~sessions:* +@all -info")`. The default
    /// user may be given rules too, or be shut out with `off`.
    pub fn acl_user(self, name: &str, rules: &str) -> Self {
        self.arg("user", &format!("{name} {rules}"))
    }

    /// Listens on a socket in the server's directory too.
    pub const fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Listens on a second port with TLS too, with a certificate for `localhost` and `127.0.0.1` by an authority of its own.
    ///
    /// Only for servers that are built with TLS: Debian's is, the fetched Valkey is not.
    pub const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts with the data of this dump (`dump.rdb` of another server after `SAVE`), which is copied.
    pub fn dump(mut self, dump: impl Into<PathBuf>) -> Self {
        self.dump = Some(dump.into());
        self
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not, with the log it left.
    pub fn start(self) -> Server {
        self.launch()
    }

    /// Lines that those of the test override.
    pub(crate) fn defaults(mut self, lines: &[(&str, &str)]) -> Self {
        let lines = lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.directives.splice(0..0, lines);
        self
    }

    /// The configuration file: the server may rewrite it, as it does when a Sentinel tells it to.
    pub(crate) fn write_configuration(&self, directory: &Path, port: u16, tls: Option<(u16, &Certificates)>) {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let value = if value.is_empty() { r#""""# } else { value };
            writeln!(text, "{name} {value}").expect("write to a string");
        };
        line("bind", "127.0.0.1");
        line("port", &port.to_string());
        line("dir", &quoted(&directory.to_string_lossy()));
        if !self.sentinel {
            line("save", "");
            line("appendonly", "no");
        }
        if self.unix_socket {
            line("unixsocket", &quoted(&directory.join("server.sock").to_string_lossy()));
        }
        if let Some((port, certificates)) = tls {
            line("tls-port", &port.to_string());
            line("tls-ca-cert-file", &quoted(&certificates.authority.to_string_lossy()));
            line("tls-cert-file", &quoted(&certificates.certificate.to_string_lossy()));
            line("tls-key-file", &quoted(&certificates.key.to_string_lossy()));
            line("tls-auth-clients", "no");
        }
        if self.has_users() {
            line("user", &format!("{OPERATOR} on >{OPERATOR} ~* &* +@all"));
            line("masteruser", OPERATOR);
            line("masterauth", OPERATOR);
        }
        if let (Some(password), false) = (&self.password, self.has_users()) {
            line("masterauth", &quoted(password));
        }
        for (name, value) in &self.directives {
            line(name, value);
        }
        if !self.hidden.is_empty() {
            let known = self.kind.commands(&self.program);
            for command in self.hidden.iter().filter(|command| known.contains(*command)) {
                line("rename-command", &format!(r#"{command} """#));
            }
        }
        fs::write(directory.join("server.conf"), text).expect("write the configuration of a test server");
    }

    fn has_users(&self) -> bool {
        self.directives.iter().any(|(name, _)| name == "user")
    }

    /// Who the tests come as: a user, if not the default one, and a password.
    pub(crate) fn credentials(&self) -> Vec<&str> {
        match (&self.password, self.has_users()) {
            (_, true) => vec![OPERATOR, OPERATOR],
            (Some(password), false) => vec![password],
            (None, false) => Vec::new(),
        }
    }
}

/// A value of the configuration file that may hold anything.
fn quoted(value: &str) -> String {
    let escaped: String = value
        .chars()
        .flat_map(|c| [Some('\\').filter(|_| c == '"' || c == '\\'), Some(c)])
        .flatten()
        .collect();
    format!(r#""{escaped}""#)
}

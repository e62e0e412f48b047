//! Every command that a server executes, as `MONITOR` shows it.

use std::fmt;

use crate::resp::{Connection, Reply};

/// One command that a server has executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    source: String,
    words: Vec<String>,
}

impl Line {
    /// `<time> [<database> <source>] "<word>" ...`
    fn parse(line: &str) -> Option<Self> {
        let (_time, line) = line.split_once('[')?;
        let end = line.find("] \"")?;
        let (_database, source) = line[..end].split_once(' ')?;
        Some(Self {
            source: source.to_owned(),
            words: words_of(&line[end..]),
        })
    }

    /// The command, in upper case.
    pub fn name(&self) -> String {
        self.words.first().map_or_else(String::new, |name| name.to_uppercase())
    }

    /// The command and its arguments; what is not UTF-8 in them is replaced.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Where it came from: the client's address, `unix:<path>`, or `lua`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a script ran it. The script itself is a command that a client has sent.
    pub fn in_script(&self) -> bool {
        !self.source.contains(':')
    }
}

/// `[lua] HGET sessions:user1 field`
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.source, self.words.join(" "))
    }
}

/// The commands that a server has executed since this was started, whoever sent them.
#[derive(Debug)]
pub struct Monitor {
    watcher: Connection,
    marker: Connection,
    marks: usize,
}

impl Monitor {
    pub(crate) fn start(mut watcher: Connection, marker: Connection) -> Self {
        let reply = watcher.command(&["MONITOR"]).expect("the server answers MONITOR");
        assert!(reply.is_ok(), "the server refused MONITOR: {reply:?}");
        Self {
            watcher,
            marker,
            marks: 0,
        }
    }

    /// What the server has executed since the last call, up to this moment. It waits for no time to pass: it sends a mark
    /// and reads up to it. When the server is gone, the lines up to its end.
    pub fn lines_until_quiet(&mut self) -> Vec<Line> {
        self.marks += 1;
        let mark = format!("jam-test-mark-{}", self.marks);
        // Without a server there is no mark; the monitor's own end is the end then.
        let _ = self.marker.command(&["PING", &mark]);
        let mut lines = Vec::new();
        while let Ok(Reply::Status(text)) = self.watcher.reply() {
            let Some(line) = Line::parse(&text) else { continue };
            if line.words.get(1) == Some(&mark) {
                break;
            }
            lines.push(line);
        }
        lines
    }

    /// As [`lines_until_quiet`](Self::lines_until_quiet), without what scripts ran: the names of the commands that clients
    /// sent, in upper case.
    pub fn client_commands(&mut self) -> Vec<String> {
        self.lines_until_quiet()
            .iter()
            .filter(|line| !line.in_script())
            .map(Line::name)
            .collect()
    }

    /// The last lines; then the watching ends.
    pub fn stop(mut self) -> Vec<Line> {
        self.lines_until_quiet()
    }
}

/// Takes `"set" "with \"quotes\" and \x00"` apart.
fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut bytes = text.bytes();
    while bytes.any(|byte| byte == b'"') {
        let mut word = Vec::new();
        while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
            word.push(if byte == b'\\' { unescaped(&mut bytes) } else { byte });
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    words
}

fn unescaped(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    match bytes.next().unwrap_or(b'\\') {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'x' => {
            let digits: String = bytes.by_ref().take(2).map(char::from).collect();
            u8::from_str_radix(&digits, 16).unwrap_or(b'?')
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_was_sent_whatever_was_in_them() {
        let line =
            Line::parse(r#"1339518083.107412 [3 unix:/tmp/a [b] c] "SET" "a \"q\" \\ ]" "\x00\n\xc3\xa9" """#).unwrap();
        assert_eq!(line.words(), ["SET", "a \"q\" \\ ]", "\0\n\u{e9}", ""]);
        assert_eq!(line.source(), "unix:/tmp/a [b] c");
    }
}

//! A client of the test's own: blocking, one command at a time, with nothing in common with the client under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answers, as RESP2 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: a missing key or field.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A short status, such as `OK`.
    Status(String),
    /// A refusal, with its code in front.
    Error(String),
    /// Several replies; a hash comes as names and values in turn.
    Array(Vec<Self>),
}

impl Reply {
    /// Whether there is nothing.
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether the server refused.
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Whether it is the status `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Status(status) if status == "OK")
    }

    /// The number.
    ///
    /// # Panics
    ///
    /// If it is not one.
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("expected a number, the server answered {other:?}"),
        }
    }

    /// The bytes.
    ///
    /// # Panics
    ///
    /// If it is anything else.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bulk(bytes) => bytes,
            other => panic!("expected bytes, the server answered {other:?}"),
        }
    }

    /// The bytes, or the status, as text.
    ///
    /// # Panics
    ///
    /// If it is anything else, or not UTF-8.
    pub fn text(&self) -> &str {
        match self {
            Self::Status(status) => status,
            other => str::from_utf8(other.bytes()).expect("expected UTF-8 from the server"),
        }
    }

    /// The replies in an array.
    ///
    /// # Panics
    ///
    /// If it is not one.
    pub fn array(&self) -> &[Self] {
        match self {
            Self::Array(replies) => replies,
            other => panic!("expected an array, the server answered {other:?}"),
        }
    }

    /// The replies in an array as text, such as the names and values of a hash.
    ///
    /// # Panics
    ///
    /// As [`array`](Self::array) and [`text`](Self::text).
    pub fn texts(&self) -> Vec<&str> {
        self.array().iter().map(Self::text).collect()
    }
}

/// One connection to one server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a server, without a password.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// How long a command may take; ten seconds unless this says otherwise.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(timeout))
    }

    /// Runs one command. A refusal is a [`Reply::Error`]; an `Err` means that the connection is of no use any more.
    pub fn command<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Reply> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request)?;
        self.reply()
    }

    /// Reads one reply, or one line of a `MONITOR`.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
        match kind {
            "+" => Ok(Reply::Status(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => Ok(Reply::Int(number(rest)?)),
            "$" => match usize::try_from(number(rest)?) {
                Ok(length) => self.bulk(length),
                Err(_) => Ok(Reply::Nil),
            },
            "*" => match usize::try_from(number(rest)?) {
                Ok(length) => (0..length)
                    .map(|_| self.reply())
                    .collect::<io::Result<_>>()
                    .map(Reply::Array),
                Err(_) => Ok(Reply::Nil),
            },
            _ => Err(malformed(&line)),
        }
    }

    fn bulk(&mut self, length: usize) -> io::Result<Reply> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Reply::Bulk(bytes))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn number(digits: &str) -> io::Result<i64> {
    digits.parse().map_err(|_| malformed(digits))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP2: {line:?}"))
}

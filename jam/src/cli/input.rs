//! What the user hands over: ids, which need not stand on the command line, and data.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::args::Id;
use super::failure::{Code, Failure};
use crate::config::shown;

/// What stands for standard input.
const STDIN: &str = "-";
/// No id is longer; one that never ends shall not fill the memory.
const LONGEST_LINE: u64 = 64 * 1024;

impl Id {
    /// The id, wherever it stands.
    pub(super) fn read(&self) -> Result<String, Failure> {
        match (self.id.as_deref(), &self.id_file) {
            (Some(STDIN), _) => first_line("standard input", std::io::stdin().lock()),
            (Some(id), _) => Ok(id.to_owned()),
            (None, Some(path)) => id_in(path),
            (None, None) => Err(Failure::usage("which session? Give its ID, `-`, or --id-file")),
        }
    }
}

/// Id and data of `update`.
pub(super) fn id_and_data(words: &[String], id_file: Option<&Path>) -> Result<(String, Map<String, Value>), Failure> {
    match (words, id_file) {
        ([id, json], None) if id == STDIN && json == STDIN => Err(Failure::usage(
            "the id and the data cannot both come from standard input; put the id into a file (--id-file)",
        )),
        ([id, json], None) => {
            let id = Id {
                id: Some(id.clone()),
                id_file: None,
            };
            Ok((id.read()?, data(json)?))
        }
        ([json], Some(path)) => Ok((id_in(path)?, data(json)?)),
        ([_], None) => Err(Failure::usage(
            "the data is missing: jam update ID JSON, or jam update --id-file FILE JSON",
        )),
        _ => Err(Failure::usage("the id is there twice, as an argument and as --id-file")),
    }
}

fn id_in(path: &Path) -> Result<String, Failure> {
    if path == Path::new(STDIN) {
        return first_line("standard input", std::io::stdin().lock());
    }
    let name = format!("the file of --id-file ({})", shown(path));
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::usage(format!("{name} cannot be read\n  because: {error}")))?;
    first_line(&name, BufReader::new(file))
}

fn first_line(name: &str, from: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    from.take(LONGEST_LINE)
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("no id can be read from {name}\n  because: {error}")))?;
    // An id may begin with white space, as its session key does; it ends with none.
    let id = line.trim_end();
    if id.is_empty() {
        return Err(Failure::usage(format!("there is no id in the first line of {name}")));
    }
    Ok(id.to_owned())
}

/// The data of a session. What is wrong with it is told by its place, not by its content.
pub(super) fn data(json: &str) -> Result<Map<String, Value>, Failure> {
    let mut text = String::new();
    let json = if json == STDIN {
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("no data can be read from standard input\n  because: {error}")))?;
        &text
    } else {
        json
    };
    match serde_json::from_str(json) {
        Ok(Value::Object(data)) => Ok(data),
        Ok(_) => Err(Failure::usage(
            "the data must be a JSON object, such as '{\"role\": \"admin\"}'",
        )),
        Err(error) => Err(Failure::new(
            Code::Usage,
            format!(
                "the data is not valid JSON at line {}, column {}; it must be an object, such as '{{\"role\": \"admin\"}}' \
                 (the shell takes away quotes that are not quoted themselves)",
                error.line(),
                error.column()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_first_line_without_its_end() {
        for text in ["user1:x\n", "user1:x\r\n", "user1:x  \nmore", "user1:x"] {
            assert_eq!(first_line("here", text.as_bytes()).unwrap(), "user1:x");
        }
        assert_eq!(
            first_line("here", &b" user1:x\n"[..]).unwrap(),
            " user1:x",
            "of the key ` user1`"
        );
        assert!(first_line("here", &b"\n"[..]).is_err());
        assert!(first_line("here", &b""[..]).is_err());
        assert!(first_line("here", &b"\xff\n"[..]).is_err());
    }

    #[test]
    fn wrong_data_is_not_repeated() {
        for json in ["{\"password\": hunter2}", "\"hunter2\"", "[\"hunter2\"]", "{hunter2"] {
            let failure = data(json).unwrap_err();
            assert_eq!(failure.code(), Code::Usage);
            assert!(!format!("{failure:?}").contains("hunter2"));
        }
    }
}

//! Contestants in a Python process, which is told what to do line by line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{About, Contestant, Failure, Operation, Turn, data};

/// A driver in Python, `benches/python/driver.py`.
pub struct Python {
    about: About,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts the driver with these arguments: the library, and where it keeps its sessions.
    ///
    /// # Errors
    /// If Python cannot be started.
    pub fn start(about: About, arguments: &[&str]) -> Result<Box<dyn Contestant>, Failure> {
        let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/../python/driver.py");
        let mut child = Command::new("python3")
            .arg(driver)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipe to Python".into());
        };
        Ok(Box::new(Self {
            about,
            child,
            requests,
            answers: BufReader::new(answers),
        }))
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        writeln!(self.requests, "{request}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            return Err(format!("{} has ended", self.about.name).into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[async_trait]
impl Contestant for Python {
    fn about(&self) -> &About {
        &self.about
    }

    fn least(&self, _: usize) -> usize {
        1
    }

    async fn fill(&mut self, sessions: usize, tasks: usize) -> Result<(), Failure> {
        let request = json!({"fill": sessions, "tasks": tasks, "data": data()});
        tokio::task::block_in_place(|| self.ask(&request)).map(drop)
    }

    async fn turn(&mut self, operation: Operation, tasks: usize, count: usize) -> Result<Option<Turn>, Failure> {
        let request = json!({"turn": operation, "tasks": tasks, "count": count});
        let answer = tokio::task::block_in_place(|| self.ask(&request))?;
        Ok(serde_json::from_value(answer)?)
    }
}

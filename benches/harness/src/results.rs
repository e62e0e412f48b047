//! What was measured, on disk: one file of JSON lines for each part and number of tasks.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{About, Failure, Turn};

/// What one contestant did with one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Which operation.
    pub operation: String,
    /// Operations per second, turn by turn.
    pub rates: Vec<f64>,
    /// The median of the turns' p50, in microseconds.
    pub p50: Option<f64>,
    /// The median of the turns' p99, in microseconds.
    pub p99: Option<f64>,
}

impl Measured {
    /// Of these turns.
    pub fn of(operation: &str, turns: &[Turn]) -> Self {
        let middle =
            |of: fn(&Turn) -> f64| Some(median(turns.iter().map(of).collect())).filter(|value| !value.is_nan());
        Self {
            operation: operation.to_owned(),
            rates: turns.iter().map(Turn::rate).collect(),
            p50: middle(|turn| turn.p50),
            p99: middle(|turn| turn.p99),
        }
    }

    /// The median of the turns.
    pub fn rate(&self) -> f64 {
        median(self.rates.clone())
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// All that one contestant did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    #[serde(flatten)]
    pub about: About,
    /// Each operation it has.
    pub measured: Vec<Measured>,
}

/// A part of the bench, of which each run writes down all.
#[derive(Debug)]
pub struct Part {
    name: String,
    server: Option<String>,
    unit: Option<&'static str>,
}

impl Part {
    /// The part of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            server: None,
            unit: None,
        }
    }

    /// What it was measured on, besides the machine.
    #[must_use]
    pub fn on(mut self, server: String) -> Self {
        self.server = Some(server);
        self
    }

    /// Rates are shown as nanoseconds.
    #[must_use]
    pub fn in_nanos(mut self) -> Self {
        self.unit = Some("ns");
        self
    }

    /// Writes down what contestants did, and replaces what an earlier run wrote.
    ///
    /// # Errors
    /// If there is no writing there.
    pub fn write(self, tasks: usize, rows: &[Row]) -> Result<(), Failure> {
        let head = json!({"part": self.name, "tasks": tasks, "server": self.server, "unit": self.unit});
        let rows = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        write_lines(&format!("{}-{tasks}", self.name), std::iter::once(head).chain(rows))
    }
}

/// A table that says all it has to say in its cells.
///
/// # Errors
/// If there is no writing there.
pub fn write_table(name: &str, columns: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let head = json!({"columns": columns});
    write_lines(name, std::iter::once(head).chain(rows.iter().map(|row| json!(row))))
}

/// What is known of this part: its lines, the head first.
///
/// # Errors
/// If what is there is not what was written.
pub fn read_lines(name: &str) -> Result<Option<Vec<Value>>, Failure> {
    let path = directory().join(format!("{name}.jsonl"));
    if !path.exists() {
        return Ok(None);
    }
    let lines = fs::read_to_string(path)?;
    Ok(Some(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?))
}

/// Where results are: `target/bench`, or what `JAM_BENCH_RESULTS` names.
fn directory() -> PathBuf {
    std::env::var_os("JAM_BENCH_RESULTS").map_or_else(|| PathBuf::from("target/bench"), PathBuf::from)
}

fn write_lines(name: &str, lines: impl Iterator<Item = Value>) -> Result<(), Failure> {
    fs::create_dir_all(directory())?;
    let lines: Vec<_> = lines.map(|line| line.to_string()).collect();
    Ok(fs::write(
        directory().join(format!("{name}.jsonl")),
        lines.join("\n") + "\n",
    )?)
}

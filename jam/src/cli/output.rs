//! What the command prints: for people by default, as JSON for machines.

use std::io::{ErrorKind, Write};

use serde_json::{Value, json};

use super::failure::{Code, Failure};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// One value that is the point of the command, alone; as JSON under this name.
    pub(super) fn value(self, name: &str, value: &str) -> Result<(), Failure> {
        if self.json {
            print(&json!({ name: value }).to_string())
        } else {
            print(value)
        }
    }

    /// What was done: a sentence, or an object.
    pub(super) fn told(self, sentence: &str, object: &Value) -> Result<(), Failure> {
        if self.json {
            print(&object.to_string())
        } else {
            print(sentence)
        }
    }

    /// What was done, where nobody but a machine needs to hear it.
    pub(super) fn quietly(self, object: &Value) -> Result<(), Failure> {
        if self.json { print(&object.to_string()) } else { Ok(()) }
    }
}

/// Writes a text and a line end to standard output.
///
/// # Errors
/// `ReaderGone` if nobody reads it any more, which is no reason to complain.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Code::ReaderGone, ""),
        _ => Failure::unforeseen(format!("the output cannot be written\n  because: {error}")),
    })
}

/// Columns under their headings, two spaces apart, without trailing spaces.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<_> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<_> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(headings.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// `1 session`, `2 sessions`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number))
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_ends_no_line_with_spaces() {
        let rows = [
            vec!["a".to_owned(), "b".to_owned()],
            vec!["long".to_owned(), String::new()],
        ];
        assert_eq!(table(&["X", "YY"], &rows), "X     YY\na     b\nlong");
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(
            (count(1, "session"), count(2, "session")),
            ("1 session".to_owned(), "2 sessions".to_owned())
        );
    }
}

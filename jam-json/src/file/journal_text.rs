//! The journal as text: a header line, then a line for each batch of changes, each with its checksum.
//!
//! ```text
//! 5d2f6a10 {"jam":"journal","format":1,"generation":3,"sequence":120}
//! 0c9b1f7e {"first":121,"changes":[{"put":{"key":"user1","id":"…","expires_at":…,"data":{…}}},{"remove":{…}}]}
//! ```
//!
//! The first eight characters are the CRC-32 of the JSON after the space. A batch is what one write and one sync made
//! durable together; `first` is the number of its first change, and each change has the next number. `sequence` in the
//! header is the number of the last change before this journal.

use std::io::{self, Write};

use serde::Deserialize;

use super::change::{Change, ChangeText};

/// The format this version writes. Every older one stays readable.
pub(super) const FORMAT: u64 = 1;

const CHECKSUM_LEN: usize = 9;

/// The first line of a journal.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    #[serde(rename = "jam")]
    _kind: Kind,
    pub(super) format: u64,
    pub(super) generation: u64,
    pub(super) sequence: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Journal,
}

/// Every other line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchText<'a> {
    pub(super) first: u64,
    #[serde(borrow)]
    pub(super) changes: Vec<ChangeText<'a>>,
}

/// The header line of a journal.
pub(super) fn header(generation: u64, sequence: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    write_line(&mut out, |out| {
        write!(
            out,
            "{{\"jam\":\"journal\",\"format\":{FORMAT},\"generation\":{generation},\"sequence\":{sequence}}}"
        )
    })?;
    Ok(out)
}

/// Appends the line of a batch.
pub(super) fn write_batch(out: &mut Vec<u8>, first: u64, changes: &[Change]) -> io::Result<()> {
    write_line(out, |out| {
        write!(out, "{{\"first\":{first},\"changes\":[")?;
        for (index, change) in changes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            change.write(out)?;
        }
        out.extend_from_slice(b"]}");
        Ok(())
    })
}

fn write_line(out: &mut Vec<u8>, json: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    let start = out.len();
    out.extend_from_slice(b"00000000 ");
    json(out)?;
    let checksum = crc32fast::hash(&out[start + CHECKSUM_LEN..]);
    write!(&mut out[start..], "{checksum:08x}")?;
    out.push(b'\n');
    Ok(())
}

/// One line of a journal, checked or not.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Where it begins.
    pub(super) offset: usize,
    text: &'a [u8],
    ended: bool,
}

impl<'a> Line<'a> {
    /// The JSON, if the line is whole and its checksum right.
    pub(super) fn json(&self) -> Option<&'a [u8]> {
        let (checksum, json) = self.text.split_at_checked(CHECKSUM_LEN)?;
        let right = self.ended && checksum == format!("{:08x} ", crc32fast::hash(json)).as_bytes();
        right.then_some(json)
    }
}

/// Whether a whole record begins inside the first line: the end of the line before it is damaged.
pub(super) fn hides_record(bytes: &[u8]) -> bool {
    // No JSON has this after a number or in a string, so a record that is whole but for its end never seems to hide another.
    const BEGIN: &[u8] = b" {\"first\":";
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let begins = line.windows(BEGIN.len()).enumerate();
    let starts = begins.filter(|(_, window)| *window == BEGIN);
    starts
        .filter_map(|(at, _)| line.get(at.checked_sub(CHECKSUM_LEN - 1)?..))
        .any(|hidden| lines(hidden).any(|line| line.json().is_some()))
}

/// The lines of a journal.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut offset = 0;
    bytes.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let (text, ended) = line.strip_suffix(b"\n").map_or((line, false), |text| (text, true));
        let line_start = offset;
        offset += line.len();
        Line {
            offset: line_start,
            text,
            ended,
        }
    })
}

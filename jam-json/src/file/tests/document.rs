//! What a document says of itself.

use std::path::Path;

use jam_core::memory::{Slot, Table};
use jam_core::{RecordId, SessionKey};

use super::super::document::{Head, read, write};
use super::super::paths::Paths;
use super::fake_fs::FakeFs;

#[test]
fn numbers_are_read_as_far_as_every_json_reader_is_exact() {
    let most = 1_u64 << 53;
    for (generation, sequence, is_read) in [(most, most, true), (most + 1, 1, false), (1, most + 1, false)] {
        let text = format!(
            "{{\"jam\":{{\"format\":1,\"generation\":{generation},\"sequence\":{sequence},\"journal\":false}},\n\
             \"sessions\":[\n],\n\"count\":0,\n\"crc32\":\"00000000\"}}\n"
        );
        let read = read(Path::new("sessions.json"), text.as_bytes(), true, &Table::new());
        assert_eq!(read.is_ok(), is_read, "{text}");
    }
}

#[test]
fn what_is_no_document_is_told_by_the_byte_and_the_line_where_it_ends_to_be_one() {
    let head = "{\"jam\":{\"format\":1,\"generation\":1,\"sequence\":1,\"journal\":false},\n";
    for (text, line) in [(format!("{head}\"sessions\":x"), 2), ("{x".to_owned(), 1)] {
        let byte = text.find('x').expect("there") + 1;
        let error = read(Path::new("sessions.json"), text.as_bytes(), true, &Table::new());
        let error = error.expect_err("it is none").to_string();
        let place = format!("damaged at byte {byte}: line {line}, ");
        assert!(error.contains(&place), "{error}");
    }
}

/// A journal may grow as long before there is another document.
#[test]
fn its_length_is_that_of_all_that_was_written_in_however_many_pieces() {
    let (fs, folder, table) = (FakeFs::default(), tempfile::tempdir().expect("tempdir"), Table::new());
    let paths = Paths::resolve(&folder.path().join("sessions.json")).expect("paths");
    for sessions in 0..3 {
        let len = write(&fs, &paths, &table, Head::new(1, 1, false)).expect("written");
        let content = fs.content("sessions.json").expect("there");
        assert_eq!(len, content.len() as u64, "{sessions} of them");
        assert!(len > sessions * 300_000, "{sessions} of them");
        let id = RecordId::new(SessionKey::new("u").expect("key"), format!("{sessions}")).expect("id");
        let slot = Slot {
            payload: format!("\"{}\"", "x".repeat(300_000)).into(),
            expires_at: None,
            version: 1,
        };
        table.write(id.key(), |shard| shard.put(&id, slot));
    }
}

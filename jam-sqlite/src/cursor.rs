//! Where a scan goes on: after this record, in the order of the primary key.

use jam_core::{Cursor, Error, ErrorKind, RecordId, Result};

use crate::request::Place;

/// A page is held in memory as a whole.
pub(crate) const MOST_PER_PAGE: usize = 1000;

/// What every cursor of this store begins with.
const MARK: u8 = b'S';

/// The length of the key in two bytes, the key, the id.
pub(crate) fn write(last: &RecordId) -> Cursor {
    let (key, id) = (last.key().as_str().as_bytes(), last.id().as_bytes());
    // A session key has at most 512 bytes.
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes();
    Cursor::new([&[MARK], &length[..], key, id].concat())
}

/// # Errors
/// `InvalidInput` if another kind of store made it.
pub(crate) fn read(cursor: &Cursor) -> Result<Place> {
    parse(cursor.as_bytes()).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the cursor is none of a SQLite store"))
}

fn parse(bytes: &[u8]) -> Option<Place> {
    let (mark, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (key, id) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (key, id) = (str::from_utf8(key).ok()?, str::from_utf8(id).ok()?);
    (*mark == MARK && !key.is_empty() && !id.is_empty()).then(|| Place {
        key: key.into(),
        id: id.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jam_core::SessionKey;

    #[test]
    fn a_cursor_leads_back_to_its_record_whatever_its_key_and_id_hold() {
        for (key, id) in [("user1", "a"), ("a:b\0c", "\0"), ("é", &"x".repeat(1024))] {
            let record = RecordId::new(SessionKey::new(key).unwrap(), id).unwrap();
            let place = read(&write(&record)).unwrap();
            assert_eq!((&*place.key, &*place.id), (key, id));
        }
    }

    #[test]
    fn a_cursor_of_another_store_is_refused() {
        for bytes in [
            &b""[..],
            b"S",
            b"S\0",
            b"S\0\x05user",
            b"S\0\x05user1",
            b"T\0\x01ab",
            b"S\0\0a",
            b"S\0\x01\xffa",
        ] {
            let error = read(&Cursor::new(bytes.to_vec())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}

//! Binding values and reading rows.

use bytes::Bytes;
use jam_core::{Entry, RecordId, Result, SessionKey, Stored, Timestamp, Version};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Row};

use crate::request::{Data, Found, Place};
use crate::trouble;

/// The values for a statement. What sqlx's own types cannot encode does not occur, so a failure is kept until the end.
#[derive(Default)]
pub(crate) struct Values {
    arguments: SqliteArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    pub(crate) fn bind<'t, T>(&mut self, value: T) -> &mut Self
    where
        T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.failed = Some(error);
        }
        self
    }

    pub(crate) fn place(&mut self, place: &Place) -> &mut Self {
        self.bind(place.key.clone()).bind(place.id.clone())
    }

    pub(crate) fn data(&mut self, data: &Data) -> &mut Self {
        match data {
            Data::Text(text) => self.bind(text.clone()),
            Data::Blob(bytes) => self.bind(&bytes[..]),
        }
    }

    pub(crate) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.bind(millis(time))
    }

    pub(crate) fn expiry(&mut self, expiry: Option<Timestamp>) -> &mut Self {
        self.bind(expiry.map(millis))
    }

    /// Nothing, for a place in the statement that no call takes.
    pub(crate) fn nothing(&mut self, values: usize) -> &mut Self {
        for _ in 0..values {
            self.bind(None::<i64>);
        }
        self
    }

    pub(crate) fn done(self) -> Result<SqliteArguments, sqlx::Error> {
        match self.failed {
            None => Ok(self.arguments),
            Some(error) => Err(sqlx::Error::Encode(error)),
        }
    }
}

fn millis(time: Timestamp) -> i64 {
    // `Timestamp::MAX` is far below.
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The payload in this column, which is also the record's version.
pub(crate) fn stored(row: &SqliteRow, column: usize) -> Result<Stored> {
    let payload = Bytes::copy_from_slice(bytes(row, column)?);
    Ok(Stored::new(payload.clone(), Version::from_content(payload)))
}

/// The expiry in this column.
pub(crate) fn expiry(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>> {
    let expiry: Option<i64> = row
        .try_get(column)
        .map_err(|error| trouble::damaged("its expiry is no whole number").with_source(error))?;
    // One before the epoch, which no jam writes, is as long over as one at the epoch.
    Ok(expiry.map(|millis| Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// Payload and expiry in this column and the next.
pub(crate) fn found(row: &SqliteRow, column: usize) -> Result<Found> {
    let expires_at = expiry(row, column + 1)?;
    Ok(Found {
        stored: stored(row, column)?.ending(expires_at.into()),
        expires_at,
    })
}

/// An id, payload and expiry, from this column on.
pub(crate) fn entry(key: &SessionKey, row: &SqliteRow, column: usize) -> Result<Entry> {
    let id = RecordId::new(key.clone(), text(row, column)?)
        .map_err(|error| trouble::damaged("its id is none").with_source(error))?;
    let found = found(row, column + 1)?;
    Ok(Entry::new(id, found.stored, found.expires_at))
}

/// The session key in this column.
pub(crate) fn key(row: &SqliteRow, column: usize) -> Result<SessionKey> {
    SessionKey::new(text(row, column)?).map_err(|error| trouble::damaged("its key is none").with_source(error))
}

/// The small number in this column.
pub(crate) fn number(row: &SqliteRow, column: usize) -> Result<i64> {
    let number = row.try_get(column);
    number.map_err(|error| trouble::damaged("a column has another type").with_source(error))
}

fn text(row: &SqliteRow, column: usize) -> Result<&str> {
    str::from_utf8(bytes(row, column)?).map_err(|_| trouble::damaged("its key or id is not UTF-8"))
}

fn bytes(row: &SqliteRow, column: usize) -> Result<&[u8]> {
    let bytes = row.try_get_unchecked(column);
    bytes.map_err(|error| trouble::damaged("a column is empty").with_source(error))
}

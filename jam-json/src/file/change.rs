//! What a write does to the sessions: decided once, written to the journal, applied to the table, replayed at the next
//! open.

use std::borrow::Cow;
use std::io::{self, Write};

use jam_core::memory::Table;
use jam_core::{RecordId, SessionKey, Timestamp};
use serde::Deserialize;

use super::session_text::{IdText, Put, SessionText, write_id, write_text};

/// One change of the sessions.
///
/// Each says what is the case afterwards, not what to do to what was there. So a journal may be replayed over a
/// document that holds a part of its changes already, and the end is the same.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The record is this.
    Put(Put),
    /// The record, if there is one, ends then.
    Touch { id: RecordId, expires_at: Timestamp },
    /// There is no such record.
    Remove { id: RecordId },
    /// There is no record at `from`, and `to` is this.
    Rename { from: RecordId, to: Put },
    /// There is no record of that key.
    Clear { key: SessionKey },
    /// There is no record that has expired by then.
    Expire { by: Timestamp },
}

impl Change {
    /// Makes it so. `number` is the change's place in the order of all changes, and becomes the record's version.
    pub(super) fn apply(&self, table: &Table, number: u64) {
        match self {
            Self::Put(put) => table.write(put.id.key(), |shard| shard.put(&put.id, put.slot(number))),
            Self::Touch { id, expires_at } => table.write(id.key(), |shard| {
                if let Some(slot) = shard.get_mut(id) {
                    slot.expires_at = Some(*expires_at);
                }
            }),
            Self::Remove { id } => drop(table.write(id.key(), |shard| shard.take(id))),
            Self::Rename { from, to } => table.write_two(from.key(), to.id.key(), |source, target| {
                source.take(from);
                target.unwrap_or(source).put(&to.id, to.slot(number));
            }),
            Self::Clear { key } => drop(table.write(key, |shard| shard.take_key(key))),
            Self::Expire { by } => {
                for shard in 0..Table::SHARDS {
                    table.sweep_shard(shard, *by);
                }
            }
        }
    }

    /// Writes it as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Put(put) => {
                out.extend_from_slice(b"{\"put\":");
                put.write(out)?;
            }
            Self::Touch { id, expires_at } => {
                out.extend_from_slice(b"{\"touch\":{\"session\":");
                write_id(out, id)?;
                write!(out, ",\"expires_at\":{}}}", expires_at.as_millis())?;
            }
            Self::Remove { id } => {
                out.extend_from_slice(b"{\"remove\":");
                write_id(out, id)?;
            }
            Self::Rename { from, to } => {
                out.extend_from_slice(b"{\"rename\":{\"from\":");
                write_id(out, from)?;
                out.extend_from_slice(b",\"to\":");
                to.write(out)?;
                out.push(b'}');
            }
            Self::Clear { key } => {
                out.extend_from_slice(b"{\"clear\":{\"key\":");
                write_text(out, key.as_str())?;
                out.push(b'}');
            }
            Self::Expire { by } => write!(out, "{{\"expire\":{{\"by\":{}}}", by.as_millis())?,
        }
        out.push(b'}');
        Ok(())
    }
}

/// A change as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ChangeText<'a> {
    #[serde(borrow)]
    Put(SessionText<'a>),
    #[serde(borrow)]
    Touch(TouchText<'a>),
    #[serde(borrow)]
    Remove(IdText<'a>),
    #[serde(borrow)]
    Rename(RenameText<'a>),
    #[serde(borrow)]
    Clear(ClearText<'a>),
    Expire(ExpireText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TouchText<'a> {
    #[serde(borrow)]
    session: IdText<'a>,
    expires_at: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameText<'a> {
    #[serde(borrow)]
    from: IdText<'a>,
    #[serde(borrow)]
    to: SessionText<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClearText<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpireText {
    by: u64,
}

impl ChangeText<'_> {
    /// The change, if the text makes one.
    pub(super) fn read(&self) -> Option<Change> {
        Some(match self {
            Self::Put(text) => Change::Put(text.read()?),
            Self::Touch(text) => Change::Touch {
                id: text.session.read()?,
                expires_at: Timestamp::from_millis(text.expires_at),
            },
            Self::Remove(text) => Change::Remove { id: text.read()? },
            Self::Rename(text) => Change::Rename {
                from: text.from.read()?,
                to: text.to.read()?,
            },
            Self::Clear(text) => Change::Clear {
                key: SessionKey::new(&text.key).ok()?,
            },
            Self::Expire(text) => Change::Expire {
                by: Timestamp::from_millis(text.by),
            },
        })
    }
}

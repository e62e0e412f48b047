//! What is asked of the server for each method of the contract, as far as it can do it.

use std::borrow::Cow;

use jam_core::{Error, ErrorKind, Load, Record, Result, Timestamp};

use crate::Layout;
use crate::connect::{Generation, Live, Removal};
use crate::script::{Call, emulated, native};
use crate::value;

/// A call on the hash of one session key; `id` is the field.
pub(crate) enum Ask<'a> {
    Insert {
        id: &'a str,
        record: &'a Record,
    },
    /// With `exact`, the server judges, and puts a hash into its own form first.
    Load {
        id: &'a str,
        how: Load,
        exact: bool,
    },
    Replace {
        id: &'a str,
        expected: Option<&'a [u8]>,
        record: &'a Record,
    },
    Touch {
        id: &'a str,
        to: Timestamp,
    },
    Rename {
        from: &'a str,
        expected: &'a [u8],
        to_hash: &'a [u8],
        to: &'a str,
        record: &'a Record,
    },
    Remove {
        id: &'a str,
        expected: Option<&'a [u8]>,
    },
    List,
    Clear,
    /// Of a server without field expiry: a piece of the hash from this cursor on.
    Sweep {
        cursor: &'a [u8],
    },
}

impl<'a> Ask<'a> {
    /// Whether carrying it out twice is not the same as once.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Load { .. } | Self::List | Self::Sweep { .. } => false,
            Self::Insert { .. }
            | Self::Replace { .. }
            | Self::Touch { .. }
            | Self::Rename { .. }
            | Self::Remove { .. }
            | Self::Clear => true,
        }
    }

    /// As a call to this server.
    pub(crate) fn call(&self, hash: &'a [u8], layout: Layout, live: &Live) -> Result<Call<'a>> {
        match live.generation() {
            Generation::Emulated => match self {
                // The value says when it expires; mostly it is plain that this is still to come.
                Self::Load { id, how, exact: false } if how.renew.is_none() && live.clock.serves() => {
                    Ok(Call::Plain(field(hash, id)))
                }
                _ => self.emulated(hash, layout, live.is_lent()),
            },
            generation => {
                let sets = generation == Generation::SetWithExpiry;
                Ok(self.plain(hash, live, sets).unwrap_or_else(|| self.native(hash, live)))
            }
        }
    }

    /// As one command, where there is one that says it all.
    fn plain(&self, hash: &'a [u8], live: &Live, sets: bool) -> Option<Call<'a>> {
        let hset = |id: &str, value: usize| {
            let mut command = command("HSETEX", 9, hash.len() + id.len() + value);
            command.arg(hash);
            command
        };
        match self {
            // What was emulated shows in the value.
            Self::Load { id, how, exact: false } if how.renew.is_none() && !how.expiry => {
                Some(Call::Plain(field(hash, id)))
            }
            Self::Insert { id, record } if sets && live.knows(hash) => {
                let command = hset(id, record.payload.len());
                Some(Call::Plain(set(command, "FNX", id, record)))
            }
            Self::Replace {
                id,
                expected: None,
                record,
            } if sets && live.knows(hash) => {
                let command = hset(id, record.payload.len());
                Some(Call::Plain(set(command, "FXX", id, record)))
            }
            Self::Remove { id, expected: None } if live.knows(hash) => {
                let command = match live.removal() {
                    Removal::None => return None,
                    Removal::Take => {
                        let mut command = command("HGETDEL", 4, hash.len() + id.len());
                        command.arg(hash).arg("FIELDS").arg(1).arg(*id);
                        command
                    }
                    Removal::Delete => {
                        let mut command = command("HDEL", 2, hash.len() + id.len());
                        command.arg(hash).arg(*id);
                        command
                    }
                };
                Some(Call::Plain(command))
            }
            _ => None,
        }
    }

    fn native(&self, hash: &'a [u8], live: &Live) -> Call<'a> {
        let adopt = |hash| u8::from(!live.knows(hash));
        let script = |script| Call::script(script, hash, adopt(hash));
        // These can do with emulated values where the server has no memory left to convert them.
        let lenient = |script, look: bool| Call::script(script, hash, if look { 2 } else { 0 });
        let unknown = !live.knows(hash);
        match self {
            Self::Insert { id, record } => with_record(script(&native::INSERT).arg(id.as_bytes()), record),
            Self::Load { id, how, exact } => {
                let look = *exact || (unknown && how.renew.is_some());
                let call = if how.expiry {
                    lenient(&native::ENDING, look)
                } else {
                    lenient(&native::LOAD, look)
                };
                renewing(call.arg(id.as_bytes()), *how)
            }
            Self::Replace { id, expected, record } => {
                let call = with_record(script(&native::REPLACE).arg(id.as_bytes()), record);
                expecting(call, *expected)
            }
            Self::Touch { id, to } => script(&native::TOUCH).arg(id.as_bytes()).arg(millis(*to)),
            Self::Rename {
                from,
                expected,
                to_hash,
                to,
                record,
            } => {
                let flag = adopt(hash).max(adopt(to_hash));
                let call = Call::script(&native::RENAME, hash, flag).key(to_hash);
                with_record(call.arg(from.as_bytes()).arg(to.as_bytes()), record).arg(*expected)
            }
            Self::Remove { id, expected } => {
                let call = lenient(&native::REMOVE, unknown);
                expecting(call.arg(id.as_bytes()), *expected)
            }
            Self::List | Self::Sweep { .. } => lenient(&native::LIST, unknown),
            Self::Clear => lenient(&native::CLEAR, unknown),
        }
    }

    fn emulated(&self, hash: &'a [u8], layout: Layout, guarded: bool) -> Result<Call<'a>> {
        let script = |script| Call::script(script, hash, u8::from(guarded));
        Ok(match self {
            Self::Insert { id, record } => script(&emulated::INSERT)
                .arg(id.as_bytes())
                .arg(emulated_value(record, layout)?),
            Self::Load { id, how, .. } => renewing(script(&emulated::LOAD).arg(id.as_bytes()), *how),
            Self::Replace { id, expected, record } => {
                let call = script(&emulated::REPLACE).arg(id.as_bytes());
                expecting(call.arg(emulated_value(record, layout)?), *expected)
            }
            Self::Touch { id, to } => script(&emulated::TOUCH).arg(id.as_bytes()).arg(millis(*to)),
            Self::Rename {
                from,
                expected,
                to_hash,
                to,
                record,
            } => script(&emulated::RENAME)
                .key(to_hash)
                .arg(from.as_bytes())
                .arg(to.as_bytes())
                .arg(emulated_value(record, layout)?)
                .arg(*expected),
            Self::Remove { id, expected } => expecting(script(&emulated::REMOVE).arg(id.as_bytes()), *expected),
            Self::List => script(&emulated::LIST),
            Self::Clear => script(&emulated::CLEAR),
            Self::Sweep { cursor } => script(&emulated::SWEEP).arg(*cursor),
        })
    }
}

/// A command with room for so many arguments, and so many bytes besides what every command has.
fn command(name: &str, arguments: usize, bytes: usize) -> redis::Cmd {
    let mut command = redis::Cmd::with_capacity(arguments + 1, bytes + 48);
    command.arg(name);
    command
}

fn field(hash: &[u8], id: &str) -> redis::Cmd {
    let mut command = command("HGET", 2, hash.len() + id.len());
    command.arg(hash).arg(id);
    command
}

/// The value of a field and when it expires, in two commands. They cost the server a tenth of a script that tells the same.
/// Another client's write may come in between, so they are for where the server says if somebody writes.
#[cfg(feature = "near-cache")]
pub(crate) fn value_and_expiry(hash: &[u8], id: &str) -> [redis::Cmd; 2] {
    let mut expiry = command("HPEXPIRETIME", 4, hash.len() + id.len());
    expiry.arg(hash).arg("FIELDS").arg(1).arg(id);
    [field(hash, id), expiry]
}

fn set(mut command: redis::Cmd, condition: &str, id: &str, record: &Record) -> redis::Cmd {
    let (value, at) = value::native(record);
    command.arg(condition);
    if let Some(at) = at {
        // 0 would be no expiry to some servers; both are long past.
        command.arg("PXAT").arg(at.as_millis().max(1));
    }
    command.arg("FIELDS").arg(1).arg(id).arg(&*value);
    command
}

fn with_record<'a>(call: Call<'a>, record: &'a Record) -> Call<'a> {
    let (value, at) = value::native(record);
    let at = at.map_or(Cow::Borrowed(b"".as_slice()), |at| {
        millis(Timestamp::from_millis(at.as_millis().max(1)))
    });
    call.arg(value).arg(at)
}

fn expecting<'a>(call: Call<'a>, expected: Option<&'a [u8]>) -> Call<'a> {
    match expected {
        Some(payload) => call.arg(payload),
        None => call,
    }
}

fn renewing(call: Call<'_>, how: Load) -> Call<'_> {
    match how.renew {
        Some(renewal) => call.arg(millis(renewal.to)).arg(millis(renewal.when_before)),
        None => call,
    }
}

fn millis(at: Timestamp) -> Cow<'static, [u8]> {
    at.as_millis().to_string().into_bytes().into()
}

/// The value for a server without field expiry. Python's jamlib could not read one that carries its expiry.
fn emulated_value(record: &Record, layout: Layout) -> Result<Cow<'_, [u8]>> {
    match (layout, record.expires_at) {
        (Layout::Jamlib, None) => Ok(record.payload.as_ref().into()),
        (Layout::Jamlib, Some(_)) => Err(no_expiry_here()),
        _ => Ok(value::emulated(record).into()),
    }
}

/// What a server without field expiry cannot do in the layout that is shared with Python.
pub(crate) fn no_expiry_here() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this server has no expiry of hash fields, so `layout = \"jamlib\"` cannot keep a ttl here; set `ttl = \"none\"`, \
         leave the layout out, or use Redis 7.4, Valkey 9 or newer",
    )
}

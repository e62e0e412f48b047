//! How a field is removed by one command that tells whether it was live.

use redis::Value;

/// The command for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Removal {
    /// There is none.
    None = 0,
    /// `HGETDEL`, of Redis 8: it gives nothing for a field that has expired, where `HDEL` counts one that is not reclaimed yet.
    Take = 1,
    /// `HDEL`, of Valkey 9.1: to it a field that has expired is not there. It sends no value, and costs the server less.
    Delete = 2,
}

impl Removal {
    /// What serves on a server that answers so to `HELLO`, and has `HGETDEL` or not.
    pub(super) fn of(hello: &Value, has_take: bool) -> Self {
        match (has_take, is_valkey(hello)) {
            (false, _) => Self::None,
            (true, false) => Self::Take,
            (true, true) => Self::Delete,
        }
    }

    pub(super) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Take,
            _ => Self::Delete,
        }
    }
}

/// Whether the server calls itself so: its version is that of the Redis it was made from.
fn is_valkey(hello: &Value) -> bool {
    let says = |name: &Value, value: &Value| is(name, "server") && is(value, "valkey");
    match hello {
        Value::Map(pairs) => pairs.iter().any(|(name, value)| says(name, value)),
        Value::Array(list) => list.as_chunks().0.iter().any(|[name, value]| says(name, value)),
        _ => false,
    }
}

fn is(value: &Value, text: &str) -> bool {
    match value {
        Value::BulkString(bytes) => bytes == text.as_bytes(),
        Value::SimpleString(string) => string == text,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_says_it_is_valkey_is_taken_for_one() {
        let text = |text: &str| Value::BulkString(text.into());
        let list = |server: &str| Value::Array(vec![text("proto"), Value::Int(2), text("server"), text(server)]);
        let map = |server: &str| Value::Map(vec![(Value::SimpleString("server".to_owned()), text(server))]);
        for (hello, valkey) in [
            (list("valkey"), true),
            (map("valkey"), true),
            (list("redis"), false),
            (map("redis"), false),
            (Value::Array(vec![text("version"), text("valkey")]), false),
            (Value::Array(vec![text("server")]), false),
            (text("valkey"), false),
            (Value::Nil, false),
        ] {
            let expected = if valkey { Removal::Delete } else { Removal::Take };
            assert_eq!(Removal::of(&hello, true), expected, "{hello:?}");
            assert_eq!(Removal::of(&hello, false), Removal::None, "{hello:?}");
        }
    }
}

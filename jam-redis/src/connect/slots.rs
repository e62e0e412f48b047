//! Which node of a cluster serves which slot.

use std::collections::HashMap;

use redis::Value;

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// An address of a node, `host` and port.
pub(crate) type Address = (String, u16);

/// The slot of a key: CRC-16/XMODEM of the key, or of what stands between its first `{` and the next `}` if that is
/// not empty (Redis Cluster specification, "Hash tags").
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let open = key.iter().position(|byte| *byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    let mut crc: u16 = 0;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
        }
    }
    crc % 16_384
}

/// The primary of every slot, as one node tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotMap {
    primaries: Vec<Address>,
    /// Index into the primaries, or none.
    slots: Vec<Option<u16>>,
}

impl SlotMap {
    /// From the reply to `CLUSTER SLOTS`. A node that does not know its own name leaves it empty: it is the one that
    /// was asked.
    pub(crate) fn of(reply: Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let mut map = Self {
            primaries: Vec::new(),
            slots: vec![None; SLOTS],
        };
        let mut indexes = HashMap::new();
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &*parts else {
                return None;
            };
            let address = address(primary, asked)?;
            let index = *indexes.entry(address.clone()).or_insert_with(|| {
                map.primaries.push(address);
                map.primaries.len() - 1
            });
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            map.slots.get_mut(range)?.fill(u16::try_from(index).ok());
        }
        (!map.primaries.is_empty()).then_some(map)
    }

    /// The primary of a slot, if one is known.
    pub(crate) fn primary(&self, slot: u16) -> Option<&Address> {
        let index = (*self.slots.get(usize::from(slot))?)?;
        self.primaries.get(usize::from(index))
    }

    /// Every primary that serves slots.
    pub(crate) fn primaries(&self) -> &[Address] {
        &self.primaries
    }
}

fn address(node: &[Value], asked: &Address) -> Option<Address> {
    let [host, Value::Int(port), ..] = node else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() && host != b"?" => String::from_utf8(host.clone()).ok()?,
        _ => asked.0.clone(),
    };
    Some((host, u16::try_from(*port).ok()?))
}

/// An address as it stands in a redirection: `host:port`; without a host, that of the node which said so.
pub(crate) fn redirection(text: &str, asked: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { &asked.0 } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3, "the specification's test vector");
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), slot_of(b"foo{}{bar}"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"), "an empty tag is none");
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
    }

    #[test]
    fn a_redirection_without_a_host_stays_at_the_host_that_was_asked() {
        let asked = ("127.0.0.1".to_owned(), 1);
        assert_eq!(redirection(":7001", &asked), Some(("127.0.0.1".to_owned(), 7001)));
        assert_eq!(redirection("[::1]:7001", &asked), Some(("::1".to_owned(), 7001)));
        assert_eq!(redirection("nonsense", &asked), None);
    }
}

//! Which node of a cluster serves which slot.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use redis::Value;

/// How many slots a cluster has.
pub(crate) const SLOTS: usize = 16_384;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    primaries: Vec<Address>,
    replicas: Vec<Address>,
    /// Index into the primaries, or none.
    slots: Vec<Option<u16>>,
}

impl SlotMap {
    /// From the reply to `CLUSTER SLOTS`.
    pub(crate) fn of(reply: Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let mut map = Self {
            primaries: Vec::new(),
            replicas: Vec::new(),
            slots: vec![None; SLOTS],
        };
        let mut indexes = HashMap::new();
        for range in &ranges {
            let (range, primary, replicas) = parts(range)?;
            for replica in replicas {
                if let Value::Array(replica) = replica
                    && let Some(replica) = address(replica, asked)
                    && !map.replicas.contains(&replica)
                {
                    map.replicas.push(replica);
                }
            }
            let address = address(primary, asked)?;
            let index = *indexes.entry(address.clone()).or_insert_with(|| {
                map.primaries.push(address);
                map.primaries.len() - 1
            });
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

    /// Their replicas.
    pub(crate) fn replicas(&self) -> &[Address] {
        &self.replicas
    }
}

/// The slots of one primary.
#[cfg(feature = "near-cache")]
pub(crate) struct Served(Vec<bool>);

#[cfg(feature = "near-cache")]
impl Served {
    /// Those of the primary that serves this key, from the reply to `CLUSTER SLOTS`.
    pub(crate) fn with(key: &[u8], reply: &Value) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        // By their ids: nodes may have no names, and the same port each.
        let of_nodes = ranges.iter().map(|range| {
            let (range, primary, _) = parts(range)?;
            match primary.get(2)? {
                Value::BulkString(id) => Some((range, id)),
                _ => None,
            }
        });
        let of_nodes: Vec<_> = of_nodes.collect::<Option<_>>()?;
        let slot = usize::from(slot_of(key));
        let (_, own) = of_nodes.iter().find(|(range, _)| range.contains(&slot))?;
        let mut served = vec![false; SLOTS];
        for (range, _) in of_nodes.iter().filter(|(_, id)| id == own) {
            served.get_mut(range.clone())?.fill(true);
        }
        Some(Self(served))
    }

    /// Whether one of those before is missing. What others serve, and what has come, does not matter.
    pub(crate) fn lacks_any_of(&self, before: &Self) -> bool {
        before.0.iter().zip(&self.0).any(|(before, now)| *before && !now)
    }
}

/// A range of slots, the primary that serves it, and its replicas.
fn parts(range: &Value) -> Option<(RangeInclusive<usize>, &[Value], &[Value])> {
    let Value::Array(parts) = range else { return None };
    match &**parts {
        [
            Value::Int(first),
            Value::Int(last),
            Value::Array(primary),
            replicas @ ..,
        ] => {
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            Some((range, primary, replicas))
        }
        _ => None,
    }
}

/// A node: its preferred name, its port, its id and what else it goes by. One that has no name to give, or does not know
/// it, is found by its IP address if that is told, and else at the host that was asked.
fn address(node: &[Value], asked: &Address) -> Option<Address> {
    let [host, Value::Int(port), rest @ ..] = node else {
        return None;
    };
    let known = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8(text.clone()).ok().filter(|text| names(text)),
        _ => None,
    };
    let ip = || match rest.get(1)? {
        Value::Array(others) => others
            .chunks_exact(2)
            .find_map(|pair| matches!(&pair[0], Value::BulkString(name) if name == b"ip").then(|| known(&pair[1]))?),
        _ => None,
    };
    let host = known(host).or_else(ip).unwrap_or_else(|| asked.0.clone());
    Some((host, u16::try_from(*port).ok()?))
}

/// Whether this names a host; `?` stands for a host name that was never set.
fn names(host: &str) -> bool {
    !host.is_empty() && host != "?"
}

/// An address as it stands in a redirection: `host:port`; without a host, that of the node which said so.
pub(crate) fn redirection(text: &str, asked: &Address) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if names(host) { host } else { &asked.0 };
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
        assert_eq!(redirection("::1:7001", &asked), Some(("::1".to_owned(), 7001)));
        assert_eq!(redirection("?:7001", &asked), Some(("127.0.0.1".to_owned(), 7001)));
        assert_eq!(redirection("nonsense", &asked), None);
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64, others: &[&str]) -> Value {
        let others = others.iter().map(|other| text(other)).collect();
        let id = text(&format!("id of {port}"));
        Value::Array(vec![host, Value::Int(port), id, Value::Array(others)])
    }

    #[test]
    fn a_map_finds_nodes_by_the_names_they_have() {
        let asked = ("10.0.0.9".to_owned(), 1);
        let range = |first, last, nodes: Vec<Value>| {
            let mut range = vec![Value::Int(first), Value::Int(last)];
            range.extend(nodes);
            Value::Array(range)
        };
        let reply = Value::Array(vec![
            range(
                0,
                99,
                vec![
                    node(text("host"), 7000, &["ip", "10.0.0.1"]),
                    node(Value::Nil, 7010, &[]),
                ],
            ),
            range(100, 199, vec![node(text("?"), 7001, &["ip", "10.0.0.2"])]),
            range(200, 299, vec![node(Value::Nil, 7002, &[])]),
            range(300, 399, vec![node(text(""), 7003, &["hostname", "x"])]),
            range(400, 16_383, vec![node(text("::1"), 7004, &[])]),
        ]);
        let map = SlotMap::of(reply, &asked).unwrap();
        let primary = |slot| map.primary(slot).map(|(host, port)| (host.as_str(), *port)).unwrap();
        assert_eq!(primary(99), ("host", 7000));
        assert_eq!(primary(100), ("10.0.0.2", 7001));
        assert_eq!(primary(299), ("10.0.0.9", 7002));
        assert_eq!(primary(300), ("10.0.0.9", 7003));
        assert_eq!(primary(16_383), ("::1", 7004));
        assert_eq!(map.primaries().len(), 5);
        assert_eq!(map.replicas(), [("10.0.0.9".to_owned(), 7010)]);
    }

    #[test]
    fn a_map_leaves_open_what_nobody_serves_and_takes_no_nonsense() {
        let asked = ("host".to_owned(), 1);
        let range = |first, last| {
            let node = node(text("host"), 7000, &[]);
            Value::Array(vec![Value::Array(vec![Value::Int(first), Value::Int(last), node])])
        };
        let map = SlotMap::of(range(5, 6), &asked).unwrap();
        assert_eq!((map.primary(4), map.primary(7)), (None, None));
        assert!(SlotMap::of(range(5, 16_384), &asked).is_none());
        assert!(SlotMap::of(range(-1, 6), &asked).is_none());
        assert!(SlotMap::of(Value::Array(vec![]), &asked).is_none());
        assert!(SlotMap::of(Value::Okay, &asked).is_none());
    }

    #[cfg(feature = "near-cache")]
    #[test]
    fn a_primary_has_lost_a_slot_when_another_one_serves_it_or_none() {
        let range = |first, last, ports: &[i64]| {
            let mut range = vec![Value::Int(first), Value::Int(last)];
            range.extend(ports.iter().map(|port| node(text("host"), *port, &[])));
            Value::Array(range)
        };
        let served = |ranges: &[Value]| Served::with(b"123456789", &Value::Array(ranges.to_vec()));
        let own = range(0x31c3, 0x31ff, &[7000, 7010]);
        let before = served(&[range(0, 99, &[7000]), range(100, 199, &[7001]), own.clone()]).unwrap();
        let unlike = |ranges: &[Value]| served(ranges).unwrap().lacks_any_of(&before);
        assert!(!unlike(&[range(0, 99, &[7000]), range(100, 199, &[7001]), own.clone()]));
        assert!(
            !unlike(&[range(100, 149, &[7001]), range(0, 99, &[7000]), own.clone()]),
            "of others"
        );
        assert!(
            !unlike(&[range(0, 199, &[7000]), range(0x31c3, 0x31ff, &[7000])]),
            "they came"
        );
        assert!(
            unlike(&[range(0, 98, &[7000]), range(99, 199, &[7001]), own.clone()]),
            "it went"
        );
        assert!(unlike(&[range(1, 99, &[7000]), own]), "nobody serves it");
        assert!(served(&[range(0, 99, &[7000])]).is_none(), "nobody serves that key");
    }

    /// As on machines of their own, where they prefer to give no name.
    #[cfg(feature = "near-cache")]
    #[test]
    fn primaries_without_names_are_told_apart() {
        let range = |first, last, id: &str| {
            let ip = Value::Map(vec![(text("ip"), text(&format!("10.0.0.{id}")))]);
            let node = Value::Array(vec![Value::Nil, Value::Int(6379), text(id), ip]);
            Value::Array(vec![Value::Int(first), Value::Int(last), node])
        };
        let served = |middle| {
            let ranges = [(0, 99, "2"), (100, 199, middle), (200, 16_383, "1")];
            let ranges = ranges.map(|(first, last, id)| range(first, last, id));
            Served::with(b"123456789", &Value::Array(ranges.to_vec())).unwrap()
        };
        assert!(served("2").lacks_any_of(&served("1")), "it went");
        assert!(!served("1").lacks_any_of(&served("2")), "it came");
    }
}

//! What the tests share: sessions, rings, and seeded randomness.

use std::time::Duration;

use jam_core::{Handle, InnerId, Life, RecordId, SealContext, SealDomain, SessionKey, Timestamp};
use jam_crypto::{AesKey, KeyRing};
use proptest::prelude::*;

/// A session, as far as codecs and sealers see it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) record: RecordId,
    pub(crate) handle: Handle,
    pub(crate) life: Option<Life>,
}

impl Session {
    pub(crate) fn new(key: &str, handle: &str, life: Option<&str>) -> Self {
        Self::at("record", key, handle, life)
    }

    pub(crate) fn at(record: &str, key: &str, handle: &str, life: Option<&str>) -> Self {
        Self {
            record: RecordId::new(SessionKey::new(key).unwrap(), record).unwrap(),
            handle: Handle::new(handle).unwrap(),
            life: life.map(|life| life.parse().unwrap()),
        }
    }

    pub(crate) fn usual() -> Self {
        Self::new("user1", "565df195-b963-4ebb-8978-318998ef191c", Some("t3uznk"))
    }

    pub(crate) fn data(&self) -> SealContext<'_> {
        self.context(SealDomain::Data)
    }

    pub(crate) fn context(&self, domain: SealDomain) -> SealContext<'_> {
        SealContext::new(domain, &self.record, &self.handle, self.life)
    }

    /// An inner id of this session with a new secret.
    pub(crate) fn inner(&self) -> InnerId {
        let life = self.life.unwrap_or(Life::new(Timestamp::ZERO, None));
        InnerId::generate(self.record.key().clone(), self.handle.clone(), life).unwrap()
    }
}

/// A ring of one key, a different one for each number.
pub(crate) fn ring(number: u8) -> KeyRing {
    AesKey::from_bytes(&[number; AesKey::LEN]).into()
}

/// A ring of keys by number; the first seals.
pub(crate) fn ring_of(numbers: &[u8]) -> KeyRing {
    KeyRing::new(numbers.iter().map(|number| AesKey::from_bytes(&[*number; AesKey::LEN]))).unwrap()
}

/// Session keys that somebody chose to break things.
pub(crate) const HOSTILE_KEYS: [&str; 12] = [
    ":",
    "a:b:c",
    "user1:565df195-b963-4ebb-8978-318998ef191c.t3uznk.AAECAwQFBgcICQoLDA0ODw",
    "../../etc/passwd",
    "J$_",
    "J$_AQ",
    "\0",
    "line\r\nSet-Cookie: a=b",
    "\u{202e}evil\u{2066}",
    "🦀🦀",
    "e\u{301}",
    "{\"role\":\"admin\"}",
];

/// As many cases as a property gets; nothing is written to disk.
pub(crate) fn bounded() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any session at all, often one that differs little from another.
pub(crate) fn session() -> impl Strategy<Value = Session> {
    let key = prop_oneof![
        "[ab]{1,3}",
        "\\PC{1,40}",
        prop::sample::select(&HOSTILE_KEYS[..]).prop_map(str::to_owned),
    ];
    let life = prop::option::of(
        (0..1_u64 << 40, prop::option::of(0..100_000_u64), 0..1_u64 << 40).prop_map(|(created, ttl, issued)| {
            Life::new(Timestamp::from_secs(created), ttl.map(Duration::from_secs))
                .reissued(Timestamp::from_secs(issued))
        }),
    );
    (key, "[A-Za-z0-9_-]{1,4}|[a-f0-9-]{36}", life).prop_map(|(key, handle, life)| Session {
        record: RecordId::new(SessionKey::new(key).unwrap(), "record").unwrap(),
        handle: Handle::new(handle).unwrap(),
        life,
    })
}

//! What encryption costs: jam with and without it, in memory and on Redis, and the cipher alone.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use jam_bench_harness::{About, Failure, Jam, Library, Local, Operation, Part, Settings, compete, text};
use jam_core::{MemoryStore, SessionStore, Sessions};
use jam_crypto::{AesIds, AesKey, AesSealer, KeyRing};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};

use crate::redis_server::version;

fn encrypted(store: impl SessionStore) -> Result<Sessions, Failure> {
    let ring = KeyRing::from(AesKey::generate()?);
    let builder = Sessions::builder(store).ids(AesIds::new(ring.clone()));
    Ok(builder.sealer(AesSealer::new(ring)).build()?)
}

pub(crate) async fn measure(tasks: usize) -> Result<(), Failure> {
    let server = Server::start(Kind::New);
    let jam = |name: &str, settings: &str, sessions| Local::timed(Jam::new(About::jam(name, settings), sessions));
    let contestants = vec![
        jam(
            "jam, Redis, encrypted",
            "ids and data sealed",
            encrypted(RedisStore::open(server.url()).await?)?,
        ),
        jam(
            "jam, Redis",
            "without encryption",
            Sessions::new(RedisStore::open(server.url()).await?),
        ),
        jam(
            "jam, memory, encrypted",
            "ids and data sealed",
            encrypted(MemoryStore::new())?,
        ),
        jam("jam, memory", "without encryption", Sessions::new(MemoryStore::new())),
        Local::timing_one_in(16, Cipher::new()?),
    ];
    compete(
        Part::new("crypto").on(version(&server)),
        &Settings::in_more_turns(tasks),
        contestants,
    )
    .await
}

/// AES-256-GCM on the same bytes.
struct Cipher {
    cipher: Aes256Gcm,
    text: String,
}

impl Cipher {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            cipher: Aes256Gcm::new_from_slice(&[7; 32]).map_err(|error| error.to_string())?,
            text: text(),
        })
    }

    fn seal(&self) -> Result<Vec<u8>, Failure> {
        let sealed = self.cipher.encrypt(&nonce(), Payload::from(self.text.as_bytes()));
        Ok(sealed.map_err(|error| error.to_string())?)
    }
}

/// Always the same one, which is good for a measurement and for nothing else.
fn nonce() -> Nonce<U12> {
    Nonce::default()
}

impl Library for Cipher {
    type Id = Vec<u8>;

    fn about(&self) -> About {
        About {
            package: Some("aes-gcm".into()),
            ..About::limit("AES-256-GCM alone", "the same bytes: create and update seal, get opens")
        }
    }

    fn does(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Get | Operation::Update)
    }

    async fn create(&self, _: usize) -> Result<Vec<u8>, Failure> {
        self.seal()
    }

    async fn run(&self, operation: Operation, sealed: &mut Vec<u8>) -> Result<(), Failure> {
        match operation {
            Operation::Get => {
                let opened = self.cipher.decrypt(&nonce(), Payload::from(sealed.as_slice()));
                opened.map_err(|error| error.to_string())?;
            }
            Operation::Update => *sealed = self.seal()?,
            _ => {}
        }
        Ok(())
    }
}

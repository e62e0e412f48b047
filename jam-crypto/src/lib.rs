//! # jam-crypto
//!
//! Encrypted session ids and sealed session data for jam: [`AesIds`] is an [`IdCodec`](jam_core::IdCodec),
//! [`AesSealer`] a [`Sealer`](jam_core::Sealer). Both take a [`KeyRing`], of keys that [`generate_aes_key`] makes.
//! [`FernetIds`] and [`FernetSealer`] do the same in the form of Python's jamlib, for services that share its Redis; they
//! promise less, as their documentation says, and what follows here is about the first two.
//!
//! ```
//! use jam_core::{Handle, IdCodec, InnerId, Life, SealContext, SealDomain, Sealer, SessionKey, Timestamp};
//! use jam_crypto::{AesIds, AesSealer, KeyRing, generate_aes_key};
//!
//! let ring: KeyRing = generate_aes_key()?.parse()?;
//! let ids = AesIds::new(ring.clone());
//! let sealer = AesSealer::new(ring);
//!
//! // What the manager does with them when a session is created ...
//! let (key, handle) = (SessionKey::new("user1")?, Handle::new("laptop")?);
//! let life = Life::new(Timestamp::from_secs(1_760_000_000), None);
//! let (id, record) = ids.issue(&InnerId::generate(key, handle.clone(), life)?)?;
//! let context = SealContext::new(SealDomain::Data, &record, &handle, Some(life));
//! let payload = sealer.seal(&context, br#"{"role":"admin"}"#)?;
//!
//! // ... and when the client comes back.
//! assert_eq!(ids.resolve(id.as_str())?, record);
//! assert_eq!(sealer.open(&context, &payload)?, br#"{"role":"admin"}"#);
//! # Ok::<(), jam_core::Error>(())
//! ```
//!
//! # Security
//!
//! What sealing gives:
//!
//! - Who reads the store (a backup, a replica, a log of its commands) learns nothing of the data, and holds no usable
//!   id.
//! - Who writes to the store can make no data of their own, change none, and move none to another session, another user,
//!   another use or another id of the same session, such as one that they have made themselves: all of that is a
//!   [`Crypto`](jam_core::ErrorKind::Crypto) error.
//! - A client that holds an id learns nothing from it, and a made-up or changed id is refused before a store is asked.
//!
//! What it does not give:
//!
//! - **Lengths show.** A sealed payload is 45 bytes longer than the data, a sealed id 45 bytes longer than the inner id
//!   before base64: how much data a session holds and how long its key is can be seen.
//! - **The store keeps session keys, handles, creation times and expiries in clear**, since it finds and lists sessions
//!   by them. Make the session key an account number rather than an e-mail address if that matters.
//! - **A store can answer with the past.** Who writes to it can put back an older payload of the same id, and can bring a
//!   deleted record back or drop one: an old id then works again for whoever still holds it. No seal on a
//!   single record can show that; the store's own access control has to prevent it.
//! - **A stolen id is a session**, sealed or not. Cookies need `Secure` and `HttpOnly`, links no ids.
//! - **A stolen key opens everything it ever sealed**, and makes ids and payloads at will (an id only finds a session
//!   if its record is there). Keep keys apart from the store and its backups.
//! - Keys and what is derived from them are wiped from memory when dropped. Copies that the compiler leaves on the
//!   stack, swap and core dumps are out of reach, and so are data in clear and ids, which the application holds anyway.
//!
//! # Rotating keys
//!
//! The first key of a ring seals, all open. To change the key without logging anyone out:
//!
//! 1. Make a key and put it **behind** the current one, on every instance: all can open it now, none uses it yet.
//! 2. Move it to the **front**, on every instance: it seals every new id and every payload that is written from here
//!    on.
//! 3. Once nothing of the old key is in use any more, remove the old one. With `max_lifetime` that is as long after
//!    step 2. Without, a session that is only ever read keeps its payload, and one that is never reworked its id, as
//!    long as it lives.
//!
//! What was sealed with a removed key is refused: an id is [`InvalidId`](jam_core::ErrorKind::InvalidId), that is no
//! session, and a payload is a [`Crypto`](jam_core::ErrorKind::Crypto) error that says so. After a key has leaked, skip
//! the patience: replace it by a new one alone, and everybody logs in again.
//!
//! # Format version 1
//!
//! ```text
//! sealed      = version | hint | salt | ciphertext | tag          (1, 4, 24, n and 16 bytes for a plaintext of n)
//! version     = 0x01
//! hint        = first 4 bytes of HKDF-Extract(salt: "jam-crypto v1 hint", IKM: key)
//! salt        = 24 random bytes
//! message key = HKDF-Expand(HKDF-Extract(salt: purpose, IKM: key), info: salt, 32 bytes)
//! purpose     = "jam-crypto v1 id" or "jam-crypto v1 data"
//! nonce       = last 12 bytes of salt
//! ciphertext | tag = AES-256-GCM(message key, nonce, plaintext, bound)
//! bound       = version | hint | salt | for each field: its length (8 bytes, big endian) | the field
//! fields      = of an id: none
//!               of a payload: "data" or "grace note", session key, id of the record (of a note, of the one that it is left
//!               beside), handle, and of its life what lasts, as text (empty if none)
//! id          = "J$_" | base64url(sealed), without padding
//! ```
//!
//! HKDF is RFC 5869 with SHA-256. Every message has a key of its own, because AES-GCM's random nonces of 96 bits run
//! out: NIST SP 800-38D, section 8, asks that the probability of a nonce's use with the same key twice stay below
//! 2^-32, and section 8.3 so allows 2^32 messages to a key, which a busy service seals within weeks. Here key and nonce
//! both repeat only if a salt of 192 bits does (or two derived keys of 256 bits collide). By the birthday bound *n*
//! messages of one key do so with probability *n*²/2^193: at 2^32 messages 2^-129, and only at 2^80 does it come near
//! 2^-32.
//!
//! Formats are for ever: what a version has sealed, all later versions open.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod envelope;
mod fernet;
mod ids;
mod key;
mod ring;
mod sealer;

pub use self::fernet::{FernetIds, FernetSealer};
pub use self::ids::AesIds;
pub use self::key::{AesKey, generate_aes_key};
pub use self::ring::KeyRing;
pub use self::sealer::AesSealer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

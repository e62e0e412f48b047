//! Everything in jam that reads bytes which anybody may have written: a client, a neighbour in the store, a failing disk, an
//! operator's editor. Each function takes such bytes and panics if they make jam panic, or believe what it must not.
//!
//! `scripts/fuzz` feeds them with libFuzzer; the test below feeds them what is kept in `fuzz/corpus`.
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a panic is the finding")]

mod files;
mod web;

use std::sync::LazyLock;

use jam::Config;
use jam_core::{
    ErrorKind, Handle, HashedIds, IdCodec, PlainIds, RecordId, Registry, SealContext, SealDomain, Sealer, SessionKey,
};
use jam_crypto::{AesIds, AesSealer, FernetIds, FernetSealer, KeyRing};

pub use self::files::{document, journal, session_file};
pub use self::web::cookie;

/// Keys that the fuzzer does not get to see: what it sends was sealed by nobody.
static RING: LazyLock<KeyRing> = LazyLock::new(|| jam_crypto::generate_aes_key().unwrap().parse().unwrap());

/// What a client sends for a session id, to every codec.
pub fn ids(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for codec in [
        &AesIds::new(RING.clone()) as &dyn IdCodec,
        &FernetIds::new(RING.clone()),
    ] {
        for error in [codec.resolve(text).unwrap_err(), codec.locate(text).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidId);
        }
    }
    for codec in [&HashedIds as &dyn IdCodec, &PlainIds] {
        match codec.resolve(text) {
            Ok(record) => {
                assert!((1..=RecordId::MAX_ID_LEN).contains(&record.id().len()));
                assert!(!record.is_reserved(), "no client reaches a note");
                // What a client sends says whose session it would be; it says so once and for all.
                assert_eq!(codec.resolve(text).unwrap(), record);
                assert_eq!(codec.locate(text).unwrap(), (record.clone(), codec.describe(&record)));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidId);
                assert!(codec.locate(text).is_err());
            }
        }
    }
}

/// A payload that was found in a store whose data is sealed, and a key ring as an operator types it.
pub fn sealed(bytes: &[u8]) {
    let key = SessionKey::new("user1").unwrap();
    let (record, handle) = (RecordId::new(key, "id").unwrap(), Handle::new("handle").unwrap());
    let context = SealContext::new(SealDomain::Data, &record, &handle, None);
    for sealer in [
        &AesSealer::new(RING.clone()) as &dyn Sealer,
        &FernetSealer::new(RING.clone()),
    ] {
        let error = sealer.open(&context, bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Crypto);
    }
    if let Ok(text) = str::from_utf8(bytes) {
        drop(text.parse::<KeyRing>());
    }
}

/// A configuration file, or a URL. The registry knows no backend but the memory.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Some((format, text)) = text.split_once('\n') else {
        return;
    };
    let config = if format == "url" {
        Config::from_url(text)
    } else {
        let file = files::in_empty_place(&format!(
            "jam.{}",
            if format == "toml" || format == "yaml" {
                format
            } else {
                "json"
            }
        ));
        std::fs::write(&file, text).unwrap();
        Config::from_file(&file)
    };
    let Ok(config) = config else { return };
    let config = config
        .registry(Registry::new())
        .environment(Vec::<(String, String)>::new());
    match futures_lite::future::block_on(config.open()) {
        Ok(sessions) => assert_eq!(sessions.store().name(), "memory"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Config, "{error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn feed(target: &str, read: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        let mut fed = 0;
        for entry in fs::read_dir(corpus).unwrap() {
            read(&fs::read(entry.unwrap().path()).unwrap());
            fed += 1;
        }
        assert!(fed > 0, "the corpus is kept");
    }

    #[test]
    fn what_is_kept_in_the_corpus_finds_nothing() {
        feed("ids", super::ids);
        feed("sealed", super::sealed);
        feed("journal", super::journal);
        feed("document", super::document);
        feed("session_file", super::session_file);
        feed("config", super::config);
        feed("cookie", super::cookie);
    }
}

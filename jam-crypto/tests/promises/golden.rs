//! Formats are for ever: what a version of jam once sealed opens with every later one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::{HashedIds, IdCodec, InnerId, SealDomain, Sealer};
use jam_crypto::{AesIds, AesSealer, KeyRing};

use crate::support::Session;

/// Sealed by Python's `cryptography`, after the docs: see `golden/make.py`.
const V1_PYTHON: &str = include_str!("../golden/v1-python.txt");
/// Sealed by the first jam-crypto.
const V1_RUST: &str = include_str!("../golden/v1-rust.txt");

fn bytes(text: &str) -> Vec<u8> {
    match text {
        "empty" => Vec::new(),
        text => URL_SAFE_NO_PAD.decode(text).unwrap(),
    }
}

fn text(text: &str) -> String {
    String::from_utf8(bytes(text)).unwrap()
}

/// Opens every line and says how many ids and payloads there were.
fn open_all(golden: &str) -> (usize, usize) {
    let (mut ids, mut payloads) = (0, 0);
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["id", key, inner, public] => {
                let codec = AesIds::new(key.parse().unwrap());
                let inner = InnerId::parse(&text(inner)).unwrap();
                assert_eq!(
                    codec.resolve(public).unwrap(),
                    HashedIds.record_id(&inner).unwrap(),
                    "{line}"
                );
                ids += 1;
            }
            ["payload", key, domain, session, record, handle, life, plain, sealed] => {
                let sealer = AesSealer::new(key.parse().unwrap());
                let session = Session::at(&text(record), &text(session), handle, (life != "none").then_some(life));
                let domain = match domain {
                    "data" => SealDomain::Data,
                    "grace-note" => SealDomain::GraceNote,
                    other => panic!("domain {other}"),
                };
                let opened = sealer.open(&session.context(domain), &bytes(sealed)).unwrap();
                assert_eq!(opened, bytes(plain), "{line}");
                payloads += 1;
            }
            _ => panic!("not a golden line: {line}"),
        }
    }
    (ids, payloads)
}

#[test]
fn ids_and_payloads_that_python_sealed_after_the_docs_open() {
    assert_eq!(open_all(V1_PYTHON), (6, 8));
}

#[test]
fn ids_and_payloads_of_the_first_jam_crypto_open() {
    assert_eq!(open_all(V1_RUST), (6, 8));
}

#[test]
fn golden_ids_and_payloads_open_with_a_ring_that_has_rotated_on() {
    for line in V1_RUST.lines().filter(|line| line.starts_with("id ")) {
        let [_, key, inner, public] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let ring = KeyRing::parse(&[&jam_crypto::generate_aes_key().unwrap(), key]).unwrap();
        let inner = InnerId::parse(&text(inner)).unwrap();
        let record = AesIds::new(ring).resolve(public).unwrap();
        assert_eq!(record, HashedIds.record_id(&inner).unwrap());
    }
}

//! Tokens of the Fernet spec, of Python's `cryptography` and of the first jam-crypto with Fernet open for ever.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::{ErrorKind, IdCodec, Sealer};
use jam_crypto::{FernetIds, FernetSealer};

use crate::support::Session;

/// The spec's own vectors.
const SPEC: &str = include_str!("../golden/fernet-spec.txt");
/// Sealed by Python's `cryptography` as jamlib does it: see `golden/make_fernet.py`.
const PYTHON: &str = include_str!("../golden/fernet-python.txt");
/// Sealed by the first jam-crypto with Fernet; Python opens them.
const RUST: &str = include_str!("../golden/fernet-rust.txt");

fn lines(golden: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = golden.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect())
}

fn bytes(text: &str) -> Vec<u8> {
    match text {
        "empty" => Vec::new(),
        text => URL_SAFE_NO_PAD.decode(text).unwrap(),
    }
}

/// Opens every line and says how many ids and payloads there were.
fn open_all(golden: &str) -> (usize, usize) {
    let (mut ids, mut payloads) = (0, 0);
    for line in lines(golden) {
        match line[..] {
            ["id", key, session, unique, inside, public] => {
                let record = FernetIds::new(key.parse().unwrap()).resolve(public).unwrap();
                assert_eq!(record.key().as_str().as_bytes(), bytes(session));
                assert_eq!(record.id(), public);
                assert_eq!(bytes(inside), [&bytes(session), &b":"[..], unique.as_bytes()].concat());
                ids += 1;
            }
            ["payload", key, plain, sealed] => {
                let sealer = FernetSealer::new(key.parse().unwrap());
                let opened = sealer.open(&Session::usual().data(), sealed.as_bytes()).unwrap();
                assert_eq!(opened, bytes(plain));
                payloads += 1;
            }
            _ => panic!("not a golden line: {line:?}"),
        }
    }
    (ids, payloads)
}

#[test]
fn ids_and_payloads_that_python_sealed_open() {
    assert_eq!(open_all(PYTHON), (6, 8));
}

#[test]
fn ids_and_payloads_of_the_first_fernet_open() {
    assert_eq!(open_all(RUST), (6, 8));
}

#[test]
fn the_vectors_of_the_spec_hold() {
    let mut seen = 0;
    for line in lines(SPEC) {
        let (key, token) = (line[1], format!("J$_{}", line[line.len() - 1]));
        let opened = FernetSealer::new(key.parse().unwrap()).open(&Session::usual().data(), token.as_bytes());
        match line[0] {
            "valid" => assert_eq!(opened.unwrap(), line[4].as_bytes()),
            "invalid" => assert_eq!(opened.unwrap_err().kind(), ErrorKind::Crypto, "{}", line[2]),
            // Expiry is the store's; a token's time is never judged.
            "aged" => assert_eq!(opened.unwrap(), b"", "{}", line[2]),
            other => panic!("not a vector: {other}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
}

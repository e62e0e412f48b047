//! Forged and malformed ids in great number: none is accepted, none panics.
//!
//! `JAM_TEST_FORGED` says how many (20,000 unless told); `JAM_TEST_SEED` begins with one that failed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jam_core::{ErrorKind, HashedIds, IdCodec};
use jam_crypto::AesIds;
use jam_test_trials::{Dice, Trials};

use crate::support::{HOSTILE_KEYS, Session, ring, ring_of};

/// One thing an attacker may try, given an id of theirs and one that another ring sealed.
fn forge(dice: &mut Dice, mine: &str, strangers: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(&mine[3..]).unwrap();
    let id = |bytes: &[u8]| format!("J$_{}", URL_SAFE_NO_PAD.encode(bytes));
    let len = bytes.len();
    match dice.below(12) {
        // Bits of the sealed bytes changed, one to eight of them.
        0 => {
            for _ in 0..=dice.below(8) {
                bytes[dice.below(len)] ^= 1 << dice.below(8);
            }
            id(&bytes)
        }
        // Cut off, at the end or the beginning.
        1 => id(&bytes[..dice.below(len)]),
        2 => id(&bytes[1 + dice.below(len - 1)..]),
        // Lengthened.
        3 => {
            let more = 1 + dice.below(40);
            bytes.extend(dice.bytes(more));
            id(&bytes)
        }
        // A right header, and made-up bytes behind it.
        4 => {
            let more = dice.below(200);
            bytes.truncate(29);
            bytes.extend(dice.bytes(more));
            id(&bytes)
        }
        // A right version and hint, and made-up bytes behind them.
        5 => {
            let more = dice.below(200);
            bytes.truncate(5);
            bytes.extend(dice.bytes(more));
            id(&bytes)
        }
        // Halves of two ids: one's header, the other's contents.
        6 => {
            let other = URL_SAFE_NO_PAD.decode(&strangers[3..]).unwrap();
            let at = 1 + dice.below(len.min(other.len()) - 1);
            id(&[&bytes[..at], &other[at..]].concat())
        }
        // Another service's id, also with this one's hint.
        7 => strangers.to_owned(),
        8 => {
            let mut other = URL_SAFE_NO_PAD.decode(&strangers[3..]).unwrap();
            other[1..5].copy_from_slice(&bytes[1..5]);
            id(&other)
        }
        // Made-up bytes, with and without the encoding.
        9 => {
            let len = dice.below(300);
            id(&dice.bytes(len))
        }
        10 => {
            let len = dice.below(300);
            format!("J$_{}", String::from_utf8_lossy(&dice.bytes(len)))
        }
        // The inner id of a session, as it is and behind the prefix.
        _ => {
            let key = HOSTILE_KEYS[dice.below(HOSTILE_KEYS.len())];
            let (plain, _) = HashedIds
                .issue(&Session::new(key, "h", Some("t3uznk")).inner())
                .unwrap();
            let prefix = ["", "J$_", "J$_AQ"][dice.below(3)];
            format!("{prefix}{}", plain.as_str())
        }
    }
}

#[test]
fn no_forged_or_malformed_id_is_accepted_and_none_panics() {
    let (ids, stranger) = (AesIds::new(ring_of(&[1, 2])), AesIds::new(ring(3)));
    let issue = |ids: &AesIds| ids.issue(&Session::usual().inner()).unwrap().0.into_string();
    let (mut mine, mut strangers) = (issue(&ids), issue(&stranger));
    for number in Trials::new("forged AES ids", "JAM_TEST_FORGED", 20_000) {
        if number % 1000 == 0 {
            (mine, strangers) = (issue(&ids), issue(&stranger));
            assert!(ids.resolve(&mine).is_ok());
        }
        let forged = forge(&mut Dice::new(number), &mine, &strangers);
        // Flipping a bit twice can give the id itself back.
        if forged != mine {
            let refused = ids.resolve(&forged).map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::InvalidId), "number {number}");
        }
    }
}

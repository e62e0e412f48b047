//! What data passes between the two, and what only one of them can hold.

use jam::ErrorKind;
use jam_tests::kind;
use serde_json::{Value, json};

use crate::stage::{NOT_FOUND, Stage, data, with_every_jamlib};

with_every_jamlib!(new:
    data_passes_both_ways_unchanged,
    empty_data_is_data_like_any_other_to_jam,
    session_keys_of_any_script_pass_both_ways,
    what_only_python_can_hold_is_corrupt_and_can_still_be_ended,
    an_integer_beyond_64_bits_becomes_a_fraction,
);

async fn data_passes_both_ways_unchanged(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    for value in [
        json!({"name": "José Müller 山田 🦀", "ключ": "\u{202e}\u{0}\u{7f}\"\\/\n"}),
        json!({"none": null, "yes": true, "list": [1, [2, {"three": []}]], "": {}}),
        json!({"small": -9_223_372_036_854_775_808_i64, "big": 18_446_744_073_709_551_615_u64}),
        json!({"third": 1.0 / 3.0, "tiny": 5e-324, "huge": 1.797_693_134_862_315_7e308, "one": 1.0, "e": 1e16}),
        json!({"text": "x".repeat(100_000)}),
        json!({"fake": "J$_gAAAAABk", "json": "{\"a\": 1}"}),
    ] {
        let theirs = jamlib.create("user1", &value);
        assert_eq!(data(&jam, &theirs).await.as_ref(), Some(&value));
        let ours = jam.create("user1", &value).await.unwrap();
        assert_eq!(jamlib.get(ours.as_str()).as_ref(), Some(&value));
        // And once around.
        jam.update(&theirs, data(&jam, &theirs).await.unwrap()).await.unwrap();
        jamlib.update(ours.as_str(), &jamlib.get(&theirs).unwrap()).unwrap();
        assert_eq!(data(&jam, ours.as_str()).await.as_ref(), Some(&value));
    }
}

async fn empty_data_is_data_like_any_other_to_jam(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let theirs = jamlib.create("user1", &json!({}));
    assert_eq!(data(&jam, &theirs).await, Some(json!({})));
    // To jamlib itself it is there to read and nothing else.
    assert_eq!(jamlib.get(&theirs), Some(json!({})));
    assert_eq!(jamlib.update(&theirs, &json!({"n": 1})), Err(NOT_FOUND.to_owned()));
    assert_eq!(jamlib.rework(&theirs), Err(NOT_FOUND.to_owned()));

    let reworked = jam.rework(&theirs).await.unwrap();
    jam.update(&reworked, json!({"n": 1})).await.unwrap();
    jamlib.update(reworked.as_str(), &json!({})).unwrap();
    assert_eq!(data(&jam, reworked.as_str()).await, Some(json!({})));

    let ours = jam.create("user1", json!({})).await.unwrap();
    assert_eq!(jamlib.get(ours.as_str()), Some(json!({})));
    jamlib.delete(ours.as_str());
    assert!(!jam.exists(&ours).await.unwrap());
}

async fn session_keys_of_any_script_pass_both_ways(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let longest = "k".repeat(512);
    for key in [
        "josé@example.org",
        "山田",
        "🦀",
        "e\u{301}",
        " ",
        "a/../b",
        "line\r\nbreak",
        "\u{0}",
        "{a}",
        "J$_",
        &longest,
    ] {
        let theirs = jamlib.create(key, &json!({"n": 1}));
        assert_eq!(data(&jam, &theirs).await, Some(json!({"n": 1})), "{key:?}");
        let ours = jam.create(key, json!({"n": 2})).await.unwrap();
        assert_eq!(jamlib.get(ours.as_str()), Some(json!({"n": 2})), "{key:?}");
        let reworked = jamlib.rework(ours.as_str()).unwrap();
        assert_eq!(data(&jam, &reworked).await, Some(json!({"n": 2})), "{key:?}");
        assert_eq!(jam.clear(key).await.unwrap(), 2, "{key:?}");
    }
    // Keys that jam has no room for stay jamlib's.
    for key in ["", &"k".repeat(513)] {
        let theirs = jamlib.create(key, &json!({"n": 1}));
        assert_eq!(data(&jam, &theirs).await, None);
        assert_eq!(jamlib.get(&theirs), Some(json!({"n": 1})));
    }
}

async fn what_only_python_can_hold_is_corrupt_and_can_still_be_ended(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    for odd in [
        r#"{"n": NaN}"#,
        r#"{"n": -Infinity}"#,
        r#"{"s": "\ud800"}"#,
        "[1, 2]",
        r#""text""#,
        "5",
    ] {
        let create = || {
            let id = jamlib.call_text("create", &format!(r#"["user1", {odd}]"#)).unwrap();
            id.as_str().unwrap().to_owned()
        };
        let id = create();
        // The data is read when it is asked for, and a rework is a read.
        let read = async { jam.get(&id).await?.expect("it is there").data().cloned() };
        assert_eq!(kind(read.await), ErrorKind::Corrupt, "{odd}");
        let devices = jam.list("user1").await.unwrap();
        assert!(jam.revoke("user1", devices[0].handle()).await.unwrap(), "{odd}");
        assert!(jam.delete(&create()).await.unwrap(), "{odd}");
        create();
        assert_eq!(jam.clear("user1").await.unwrap(), 1, "{odd}");
    }
}

async fn an_integer_beyond_64_bits_becomes_a_fraction(stage: Stage) {
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let id = jamlib
        .call_text("create", r#"["user1", {"n": 18446744073709551616}]"#)
        .unwrap();
    let id = id.as_str().unwrap();
    assert_eq!(data(&jam, id).await, Some(json!({"n": 18_446_744_073_709_551_616.0})));
    jam.modify(id, |data| data.insert("m".into(), Value::Null))
        .await
        .unwrap();
    assert_eq!(
        jamlib.get(id),
        Some(json!({"n": 1.844_674_407_370_955_2e19, "m": null}))
    );
}

#[tokio::test]
async fn with_another_key_or_without_one_nothing_is_shared() {
    use crate::python::Mode;
    let mut stage = Stage::new(Mode::Sync, true);
    let (jam, jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
    let theirs = jamlib.create("user1", &json!({"n": 1}));
    let ours = jam.create("user1", json!({"n": 1})).await.unwrap();
    let ring = format!(
        "{},{}",
        jam::crypto::generate_aes_key().unwrap(),
        stage.secret.clone().unwrap()
    );
    let rotated = stage
        .try_jam(Some(1000), json!({"session_aes_secret": ring}))
        .await
        .unwrap();
    assert_eq!(data(&rotated, &theirs).await, Some(json!({"n": 1})));

    let put = |id: &str, value: &str| stage.put("user1", id, value);
    put(&theirs, r#"{"n": 1}"#);
    assert_eq!(kind(jam.get(&theirs).await), ErrorKind::Crypto);
    assert_eq!(jamlib.try_get(&theirs), Err("ValueError".to_owned()));

    for secret in [None, Some(jam::crypto::generate_aes_key().unwrap())] {
        let with_key = secret.is_some();
        stage.secret = secret;
        let (other_jam, other_jamlib) = (stage.jam(Some(1000)).await, stage.jamlib(Some(500)));
        assert_eq!(data(&other_jam, ours.as_str()).await, None);
        let expected = if with_key {
            Err("InvalidToken".to_owned())
        } else {
            Ok(None)
        };
        assert_eq!(other_jamlib.try_get(ours.as_str()), expected);
        // To see and to end they are there: the session key is in clear.
        assert_eq!(other_jam.list("user1").await.unwrap().len(), 2);
    }
    assert_eq!(stage.jam(None).await.clear("user1").await.unwrap(), 2);
}

//! Payloads come back byte for byte, however they got there and however they are read.

use std::collections::BTreeMap;

use super::case::group;
use super::check::{equal, holds, same_bytes};
use super::report::Verdict;
use super::trial::Trial;
use crate::{Bytes, Record, RecordId, Rename};

group! { "payloads", Nothing,
    4 => payloads_of_any_bytes_come_back,
    4 => json_payloads_come_back_byte_for_byte,
    4 => payloads_that_look_like_a_stores_own_format_come_back,
    4 => a_payload_of_a_megabyte_comes_back,
    4 => a_long_payload_can_become_a_short_one,
}

/// Writes each payload by insert, replace and rename, and reads it by load, list and scan.
async fn round_trips(t: &Trial, payloads: impl IntoIterator<Item = impl Into<Bytes>>) -> Verdict {
    let mut kept = BTreeMap::new();
    for (number, payload) in payloads.into_iter().enumerate() {
        let (from, to) = (t.id(format!("{number}"))?, t.id(format!("{number}, renamed"))?);
        let payload = payload.into();
        written(t, &from, &to, &t.record(payload.clone())).await?;
        kept.insert(to, payload);
    }
    let entries = t.store.list(&t.key("main")?).await?;
    equal("how many are listed", &entries.len(), &kept.len())?;
    for entry in entries {
        if let Some(payload) = kept.get(&entry.id) {
            same_bytes("listed", &entry.stored.payload, payload)?;
        }
    }
    let mut cursor = None;
    loop {
        let page = t.store.scan(cursor, 100).await?;
        for entry in page.entries {
            if let Some(payload) = kept.get(&entry.id) {
                same_bytes("scanned", &entry.stored.payload, payload)?;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn written(t: &Trial, from: &RecordId, to: &RecordId, record: &Record) -> Verdict {
    t.store.insert(from, record).await?;
    holds("inserted and loaded", t.load(from).await?.as_ref(), &record.payload)?;
    t.store.replace(from, None, &t.record("something else")).await?;
    t.store.replace(from, None, record).await?;
    holds("replaced and loaded", t.load(from).await?.as_ref(), &record.payload)?;
    // A version made from such content has to work too.
    t.store.replace(from, Some(&t.version(from).await?), record).await?;
    let expected = &t.version(from).await?;
    t.store
        .rename(Rename {
            from,
            expected,
            to,
            record,
        })
        .await?;
    holds("renamed and loaded", t.load(to).await?.as_ref(), &record.payload)
}

async fn payloads_of_any_bytes_come_back(t: &Trial) -> Verdict {
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads: [&[u8]; 16] = [
        b"",
        b"\0",
        b" ",
        b"x",
        b"\xff",
        b"\xc3\x28 no UTF-8",
        b"\xed\xa0\x80 a surrogate",
        b"\xef\xbb\xbf{\"byte order\": \"mark\"}",
        b"{\"cut\": \"o",
        b"{\"no utf-8\": \"\xff\"}",
        b"line\nline\r\nline\r",
        b"\n",
        b"trailing blanks  \t\n",
        b"' OR 1=1; -- \" \\ ` %s $1 {}",
        "\u{feff}\u{202e}\u{1f468}\u{200d}\u{1f469}\u{2028}e\u{301}\u{e9}".as_bytes(),
        &every_byte,
    ];
    round_trips(t, payloads.map(Bytes::copy_from_slice)).await
}

async fn json_payloads_come_back_byte_for_byte(t: &Trial) -> Verdict {
    let deep = format!("{{\"deep\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let payloads = [
        "{}",
        "{ }",
        "{\n}",
        " {\"a\":1}",
        "{\"a\":1}\n",
        "{\"a\" : 1 ,\t\"b\":\r\n2}",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"\":null}",
        "{\"a\":1.0,\"b\":1e2,\"c\":1E+02,\"d\":-0,\"e\":0.10}",
        "{\"a\":123456789012345678901234567890,\"b\":1e999}",
        "{\"a\":\"\\u00e9\\/\\u0041\\ud83d\\ude00\"}",
        "{\"a\":\"\u{e9}/A\u{1f600}\u{2028}\u{7f}\"}",
        "{\"a\":\"\\u0000\\b\\f\\n\"}",
        "{\"a\":\"\\ud800\"}",
        "[]",
        "[1, 2]",
        "null",
        "\"text\"",
        "0",
        "true",
        &deep,
        &deep_object,
    ];
    round_trips(t, payloads.map(str::as_bytes).map(Bytes::copy_from_slice)).await
}

async fn payloads_that_look_like_a_stores_own_format_come_back(t: &Trial) -> Verdict {
    let payloads = [
        "{\"payload\":\"e30=\",\"expires_at\":1}",
        "{\"data\":{},\"expires_at\":null,\"version\":7}",
        "{\"base64\":\"AAAA\"}",
        "{\"$base64\":\"AAAA\"}",
        "{\"bytes\":\"AAAA\"}",
        "{\"sealed\":\"AAAA\"}",
        "{\"raw\":\"AAAA\"}",
        "{\"key\":\"a\",\"id\":\"b\",\"record\":{\"payload\":\"c\"}}",
        "{\"op\":\"remove\"}\n{\"op\":\"insert\"}\n",
        "{\"checksum\":\"00000000\"}",
        "{\"_default\":{\"1\":{\"key\":\"a\"}}}",
        "{\"~\":\"x\"}",
        "base64:AAAA",
        "AAAA",
        "e30=",
        "J$_AAAA",
        "\u{1}jam",
        "0",
        "-1",
        "253402300799000:{}",
        "253402300799000\n{}",
    ];
    round_trips(t, payloads.map(str::as_bytes).map(Bytes::copy_from_slice)).await
}

async fn a_payload_of_a_megabyte_comes_back(t: &Trial) -> Verdict {
    const MEGABYTE: usize = 1 << 20;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise: Vec<u8> = (0..MEGABYTE)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect();
    let json = format!("{{\"text\": \"{}\"}}", "\\n\u{e9} ".repeat(MEGABYTE / 5));
    round_trips(t, [Bytes::from(noise), Bytes::from(json)]).await
}

async fn a_long_payload_can_become_a_short_one(t: &Trial) -> Verdict {
    let id = t.id("shrinks")?;
    t.store
        .insert(&id, &Record::new("x".repeat(100_000), Some(t.later())))
        .await?;
    for payload in ["short", "", "{}"] {
        t.store.replace(&id, None, &t.record(payload)).await?;
        holds("after a long payload", t.load(&id).await?.as_ref(), payload.as_bytes())?;
    }
    Ok(())
}

//! Payloads come back byte for byte, however they got there and however they are read.

use super::case::group;
use super::check::{holds, same_bytes};
use super::report::{Failure, Verdict};
use super::trial::Trial;
use crate::{Bytes, Record, Rename};

group! { "payloads", Nothing,
    4 => payloads_of_any_bytes_come_back,
    4 => json_payloads_come_back_byte_for_byte,
    4 => payloads_that_look_like_a_stores_own_format_come_back,
    4 => a_payload_of_a_megabyte_comes_back,
    4 => a_long_payload_can_become_a_short_one,
}

/// Writes the payload by insert, replace and rename, and reads it by load, list and scan.
async fn round_trip(t: &Trial, payload: &Bytes) -> Verdict {
    let (id, to) = (t.id("payload")?, t.id("renamed payload")?);
    let record = &t.record(payload.clone());
    t.store.insert(&id, record).await?;
    holds("inserted and loaded", t.load(&id).await?.as_ref(), payload)?;
    t.store.replace(&id, None, &t.record("something else")).await?;
    t.store.replace(&id, None, record).await?;
    let loaded = t.load(&id).await?;
    holds("replaced and loaded", loaded.as_ref(), payload)?;
    let loaded = loaded.ok_or_else(|| Failure::new("the record is there", "there is none"))?;
    // A version made from such content has to work too.
    t.store.replace(&id, Some(&loaded.version), record).await?;
    let expected = &t.version(&id).await?;
    t.store
        .rename(Rename {
            from: &id,
            expected,
            to: &to,
            record,
        })
        .await?;
    holds("renamed and loaded", t.load(&to).await?.as_ref(), payload)?;
    for entry in t.store.list(to.key()).await? {
        same_bytes("listed", &entry.stored.payload, payload)?;
    }
    let mut cursor = None;
    loop {
        let page = t.store.scan(cursor, 100).await?;
        for entry in page.entries.iter().filter(|entry| entry.id == to) {
            same_bytes("scanned", &entry.stored.payload, payload)?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    t.store.remove(&to).await?;
    Ok(())
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
    for payload in payloads {
        round_trip(t, &Bytes::copy_from_slice(payload)).await?;
    }
    Ok(())
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
    for payload in payloads {
        round_trip(t, &Bytes::copy_from_slice(payload.as_bytes())).await?;
    }
    Ok(())
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
    for payload in payloads {
        round_trip(t, &Bytes::copy_from_slice(payload.as_bytes())).await?;
    }
    Ok(())
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
    round_trip(t, &Bytes::from(noise)).await?;
    let json = format!("{{\"text\": \"{}\"}}", "\\n\u{e9} ".repeat(MEGABYTE / 5));
    round_trip(t, &Bytes::from(json)).await
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

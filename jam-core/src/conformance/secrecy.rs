//! Nothing that a store shows of itself, and no error, holds a key, an id or a payload.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};

use super::case::group;
use super::report::{Failure, Verdict};
use super::trial::Trial;
use crate::{Cursor, Error, Load, Record, RecordId, Rename};

group! { "secrecy", Nothing,
    0 => a_store_has_a_name,
    0 => debug_of_a_store_shows_no_key_id_or_payload,
    0 => errors_show_no_key_id_or_payload,
}

async fn a_store_has_a_name(t: &Trial) -> Verdict {
    super::check::that(!t.store.name().is_empty(), "a name", "an empty one")
}

/// Text that must not turn up, in the forms in which it could.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    const PAYLOAD: &str = "{\"password\": \"p4ssw0rd-in-a-payload\", \"cut\": ";
    const ID: &str = "s3cr3t-part-of-an-id";

    fn of(t: &Trial) -> Verdict<Self> {
        let key = t.key("key-of-a-person")?;
        let plain = [
            ("a key", key.as_str()),
            ("an id", Self::ID),
            ("a payload", "p4ssw0rd-in-a-payload"),
        ];
        let mut forms = Vec::new();
        for (what, text) in plain {
            let bytes = format!("{:?}", text.as_bytes());
            let hex = text.bytes().fold(String::new(), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            forms.extend([
                (what, text.to_owned()),
                (what, bytes.trim_matches(['[', ']']).to_owned()),
                (what, hex.to_uppercase()),
                (what, hex),
            ]);
        }
        Ok(Self(forms))
    }

    #[track_caller]
    fn not_in(&self, what: &str, shown: &str) -> Verdict {
        match self.0.iter().find(|(_, text)| shown.contains(text.as_str())) {
            None => Ok(()),
            Some((kind, _)) => Err(Failure::new(
                format!("{what} shows no secret"),
                format!("it shows {kind}"),
            )),
        }
    }

    #[track_caller]
    fn not_in_debug(&self, what: &str, value: &impl Debug) -> Verdict {
        self.not_in(what, &format!("{value:?}"))?;
        self.not_in(what, &format!("{value:#?}"))
    }

    /// Display and Debug of an error and of everything it came from.
    #[track_caller]
    fn not_in_error(&self, what: &str, error: &Error) -> Verdict {
        self.not_in(what, &error.to_string())?;
        self.not_in_debug(what, error)?;
        let mut source = error.source();
        while let Some(cause) = source {
            self.not_in(what, &cause.to_string())?;
            self.not_in_debug(what, &cause)?;
            source = cause.source();
        }
        Ok(())
    }
}

fn secret_id(t: &Trial, suffix: &str) -> Verdict<RecordId> {
    Ok(RecordId::new(
        t.key("key-of-a-person")?,
        format!("{}{suffix}", Secrets::ID),
    )?)
}

async fn debug_of_a_store_shows_no_key_id_or_payload(t: &Trial) -> Verdict {
    let (secrets, id) = (Secrets::of(t)?, secret_id(t, "")?);
    let what = "Debug of the store";
    secrets.not_in_debug(what, &t.store)?;
    t.store.insert(&id, &t.record(Secrets::PAYLOAD)).await?;
    secrets.not_in_debug(what, &t.store)?;
    t.store.load(&id, Load::new()).await?;
    t.store.list(id.key()).await?;
    let page = t.store.scan(None, 1).await?;
    secrets.not_in_debug("Debug of a page", &page)?;
    secrets.not_in_debug(what, &t.store)?;
    t.store.remove(&id).await?;
    secrets.not_in_debug(what, &t.store)?;
    t.store.close().await?;
    secrets.not_in_debug(what, &t.store)
}

async fn errors_show_no_key_id_or_payload(t: &Trial) -> Verdict {
    let secrets = Secrets::of(t)?;
    let (id, taken) = (secret_id(t, "")?, secret_id(t, " taken")?);
    let (free, to) = (secret_id(t, " free")?, secret_id(t, " to")?);
    let record = Record::new(Secrets::PAYLOAD, Some(t.later()));
    for id in [&id, &taken] {
        t.store.insert(id, &record).await?;
    }
    let stale = t.version(&id).await?;
    t.store.replace(&id, None, &t.record("changed")).await?;
    let version = t.version(&id).await?;
    let renamed = async |from, expected, to| {
        let record = &record;
        let rename = Rename {
            from,
            expected,
            to,
            record,
        };
        t.store.rename(rename).await.err()
    };
    let cursor = |text: &str| Some(Cursor::new(format!("{text}?{}:{text}", u64::MAX).into_bytes()));
    let mut errors = vec![
        t.store.insert(&id, &record).await.err(),
        t.store.replace(&id, Some(&stale), &record).await.err(),
        t.store.replace(&free, None, &record).await.err(),
        renamed(&id, &stale, &free).await,
        renamed(&free, &version, &to).await,
        renamed(&id, &version, &taken).await,
        renamed(&id, &version, &id).await,
        t.store.scan(cursor(Secrets::ID), 1).await.err(),
        t.store.scan(cursor(id.key().as_str()), 1).await.err(),
    ];
    t.store.close().await?;
    errors.extend([
        t.store.insert(&free, &record).await.err(),
        t.store.load(&id, Load::new()).await.err(),
        t.store.replace(&id, None, &record).await.err(),
        t.store.touch(&id, t.later()).await.err(),
        renamed(&id, &version, &free).await,
        t.store.remove(&id).await.err(),
        t.store.list(id.key()).await.err(),
        t.store.clear(id.key()).await.err(),
        t.store.scan(None, 1).await.err(),
    ]);
    for error in errors.iter().flatten() {
        secrets.not_in_error("an error", error)?;
    }
    Ok(())
}

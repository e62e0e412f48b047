//! What a request comes to, and what it rests on.

use jam_core::memory::Table;
use jam_core::{Record, RecordId, Renewal, SessionKey, Timestamp, Version};

use super::super::change::Change;
use super::super::decide::View;
use super::super::request::{Answer, Request};
use super::super::session_text::Put;

const NOW: Timestamp = Timestamp::from_secs(1_000);
const LATER: Timestamp = Timestamp::from_secs(2_000);

fn key(key: &str) -> SessionKey {
    SessionKey::new(key).expect("a key")
}

fn id(of: &str, name: &str) -> RecordId {
    RecordId::new(key(of), name).expect("an id")
}

fn put(id: &RecordId) -> Put {
    Put::new(id, &Record::new("{}", Some(LATER)))
}

fn rename(from: RecordId, to: &RecordId) -> Request {
    Request::Rename {
        from,
        expected: Version::from_counter(1),
        to: put(to),
    }
}

/// If a batch fails, whoever looked at what it changed fails with it, and nobody else does.
#[test]
fn a_request_rests_on_what_the_batch_has_changed_before_it() {
    let table = Table::new();
    let mut view = View::new(&table, NOW);
    view.note(&Change::Put(put(&id("put", "a"))), 1);
    view.note(&Change::Remove { id: id("removed", "a") }, 2);
    view.note(&Change::Clear { key: key("cleared") }, 3);
    for (rests, request) in [
        (true, Request::Insert(put(&id("put", "a")))),
        (false, Request::Insert(put(&id("put", "b")))),
        (true, Request::Remove(id("removed", "a"))),
        (false, Request::Remove(id("removed", "b"))),
        (true, Request::Remove(id("cleared", "any"))),
        (true, rename(id("put", "a"), &id("put", "b"))),
        (true, rename(id("put", "b"), &id("put", "a"))),
        (true, rename(id("other", "a"), &id("cleared", "any"))),
        (false, rename(id("put", "b"), &id("other", "a"))),
        (true, Request::List(key("put"))),
        (true, Request::Clear(key("removed"))),
        (true, Request::List(key("cleared"))),
        (false, Request::List(key("other"))),
        (false, Request::Expire(LATER)),
    ] {
        assert_eq!(view.has_changed(&request), rests, "{request:?}");
    }
}

/// Nor is anything synced for it.
#[test]
fn what_changes_nothing_is_not_written() {
    let table = Table::new();
    Change::Put(put(&id("user1", "a"))).apply(&table, 1);
    let touch = |expires_at| Request::Touch {
        id: id("user1", "a"),
        expires_at,
    };
    let load = |to| Request::Load {
        id: id("user1", "a"),
        renew: Some(Renewal::new(to, to)),
    };
    let after = Timestamp::from_millis(LATER.as_millis() + 1);
    for (changes, request) in [
        (false, touch(LATER)),
        (true, touch(after)),
        (false, load(LATER)),
        (true, load(after)),
        (false, Request::Expire(NOW)),
        (true, Request::Expire(LATER)),
        (false, Request::Clear(key("user2"))),
        (true, Request::Clear(key("user1"))),
        (false, Request::Remove(id("user1", "b"))),
        (true, Request::Remove(id("user1", "a"))),
    ] {
        let words = format!("{request:?}");
        let (answer, change) = View::new(&table, NOW).decide(request).expect("decided");
        assert_eq!(change.is_some(), changes, "{words}");
        assert!(!matches!(answer, Answer::Done), "{words}");
    }
}

//! What a table counts, and when it drops what has expired.

use super::*;

#[test]
fn keys_that_look_alike_spread_over_all_shards() {
    let table = Table::new();
    let families: [&dyn Fn(u64) -> String; 5] = [
        &|number| number.to_string(),
        &|number| format!("user{number}"),
        &|number| format!("tenant-17/account:{number:08}"),
        &|number| format!("name.{number}@mail.example.org"),
        &|_| uuid::Uuid::new_v4().to_string(),
    ];
    for family in families {
        let mut found = [0; Table::SHARDS];
        for number in 0..6_400 {
            found[table.index(&SessionKey::new(family(number)).unwrap())] += 1;
        }
        let (least, most) = (found.iter().min(), found.iter().max());
        assert!(least >= Some(&50) && most <= Some(&200), "{}: {found:?}", family(1));
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn id(key: &str, id: &str) -> RecordId {
    RecordId::new(SessionKey::new(key).unwrap(), id).unwrap()
}

fn slot(expires_at: Option<Timestamp>) -> Slot {
    Slot {
        payload: Bytes::new(),
        expires_at,
        version: 1,
    }
}

/// Records, each of a key of its own, of which so many end now.
fn shard(ended: usize, live: usize) -> Shard {
    let mut shard = Shard::default();
    for number in 0..ended + live {
        let ends = (number < ended).then_some(NOW);
        shard.put(&id(&format!("user{number}"), "a"), slot(ends));
    }
    shard
}

#[test]
fn a_shard_knows_how_many_records_it_has_and_how_many_have_expired() {
    let mut shard = Shard::default();
    assert!(shard.is_empty());
    for (of, ends) in [
        ("a", None),
        ("b", Some(NOW)),
        ("c", Some(NOW)),
        ("d", Some(NOW.plus(std::time::Duration::from_millis(1)))),
    ] {
        shard.put(&id("user1", of), slot(ends));
    }
    shard.put(&id("user2", "a"), slot(Some(NOW)));
    shard.put(&id("user2", "a"), slot(Some(NOW)));
    assert!(
        !shard.put_new(&id("user1", "a"), slot(None), NOW),
        "a live one is there"
    );
    assert!(
        shard.put_new(&id("user1", "b"), slot(Some(NOW)), NOW),
        "what was there has expired"
    );
    assert_eq!((shard.len(), shard.count_expired(NOW), shard.is_empty()), (5, 3, false));
    assert!(shard.take(&id("user1", "a")).is_some());
    assert!(shard.take(&id("user1", "a")).is_none());
    assert_eq!(shard.len(), 4);
    assert_eq!(shard.take_key(&SessionKey::new("user1").unwrap()).len(), 3);
    assert_eq!((shard.len(), shard.count_expired(NOW)), (1, 1));
    assert_eq!(shard.drop_expired(NOW), 1);
    assert!(shard.is_empty());
}

#[test]
fn a_table_counts_what_has_expired_in_all_shards() {
    let table = Table::new();
    for number in 0..100 {
        let one = id(&format!("user{number}"), "a");
        table.write(one.key(), |shard| shard.put(&one, slot((number < 70).then_some(NOW))));
    }
    assert_eq!(table.count_expired(NOW), 70);
    let swept: u64 = (0..Table::SHARDS).map(|shard| table.sweep_shard(shard, NOW)).sum();
    assert_eq!((swept, table.count_expired(NOW)), (70, 0));
}

#[test]
fn inserts_drop_what_has_expired_once_they_are_as_many_as_was_live() {
    for (live, after) in [(0, 33), (32, 33), (33, 34), (100, 101)] {
        let mut shard = shard(10, live);
        assert_eq!(shard.drop_expired(NOW), 10);
        shard.put(&id("late", "a"), slot(Some(NOW)));
        let inserts = (1..1_000).find(|_| {
            shard.make_room(NOW);
            shard.count_expired(NOW) == 0
        });
        assert_eq!(inserts, Some(after), "{live} live");
    }
}

#[test]
fn room_is_given_back_where_three_quarters_of_it_are_not_needed() {
    let (mut much, mut little) = (shard(500, 500), shard(900, 100));
    let before = much.keys.capacity();
    assert!((1_000..2_000).contains(&before) && before == little.keys.capacity());
    much.drop_expired(NOW);
    assert!(much.keys.capacity() > 1_500, "{}", much.keys.capacity());
    little.drop_expired(NOW);
    assert!(little.keys.capacity() < 250, "{}", little.keys.capacity());
}

#[test]
fn pages_of_any_size_show_every_record_once() {
    let table = Table::new();
    let mut all = Vec::new();
    for number in 0..1_000 {
        let one = id(&format!("user{}", number % 300), &format!("id{number}"));
        table.write(one.key(), |shard| shard.put(&one, slot(None)));
        all.push(one);
    }
    all.sort();
    for limit in [1, 3, 50, 2_000] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = table.page(after.as_ref(), limit, NOW);
            found.extend(page.into_iter().map(|entry| entry.id));
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        found.sort();
        assert_eq!(found, all, "{limit} at a time");
    }
}

#[test]
fn a_page_has_no_more_than_was_asked_for_or_a_sixteenth_of_a_shard() {
    let table = Table::new();
    for number in 0..320 {
        let one = id("user1", &format!("id{number}"));
        table.write(one.key(), |shard| shard.put(&one, slot(None)));
    }
    for (limit, given) in [(1, 20), (20, 20), (21, 21), (319, 319), (320, 320), (321, 320)] {
        let (page, next) = table.page(None, limit, NOW);
        assert_eq!(page.len(), given, "of {limit}");
        let more = next.is_some_and(|next| next.last.is_some());
        assert_eq!(more, given < 320, "of {limit}");
    }
}

#[test]
fn a_cursor_leads_back_to_its_position_and_what_is_none_is_refused() {
    let last = Some(id("user:1", "a:b"));
    for (shard, last) in [(0, None), (Table::SHARDS - 1, None), (0, last.clone()), (7, last)] {
        let position = Position { shard, last };
        assert_eq!(Position::from_cursor(&position.to_cursor()).unwrap(), position);
    }
    for text in [
        "",
        "64:0:",
        "64:5:user1a",
        "-1:0:",
        "x:0:",
        "0",
        "0:0",
        "0:1:",
        "0:x:",
        "0:0:a",
        "0:5:user1",
        "0:9:user1a",
        "0:1:\u{e9}a",
    ] {
        let error = Position::from_cursor(&Cursor::new(text.as_bytes().to_vec())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
    }
}

//! An old primary that goes on answering after the sentinels have named the next one: it stood still, or is cut off from
//! them, and nothing that it says shows that there is another.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jam_core::{ErrorKind, Load, RecordId, SessionStore};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Proxy, Server};
use support::fake_sentinel::stubborn;
use support::{id, open, options, path, record, tagged};

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// Two servers, of which the first is the primary until the second is named.
struct Cast {
    old: Server,
    new: Server,
    named: Arc<Mutex<SocketAddr>>,
}

impl Cast {
    fn start() -> Self {
        let (old, new) = (Server::start(Kind::New), Server::start(Kind::New));
        let named = Arc::new(Mutex::new(old.address()));
        Self { old, new, named }
    }

    /// A sentinel that comes to know of the next primary.
    fn current(&self) -> SocketAddr {
        stubborn(&self.named)
    }

    /// One that does not.
    fn of_yesterday(&self) -> SocketAddr {
        stubborn(&Arc::new(Mutex::new(self.old.address())))
    }

    fn name_the_new_one(&self) {
        *self.named.lock().unwrap() = self.new.address();
    }
}

fn url(sentinels: &[SocketAddr]) -> String {
    let hosts: Vec<_> = sentinels.iter().map(ToString::to_string).collect();
    format!("redis+sentinel://{}/jam", hosts.join(","))
}

fn one() -> RecordId {
    id(&tagged("one", ""), "there")
}

/// A store that is idle whenever nobody calls it, and has a session on the primary. Its sentinels have a second to answer: a
/// quarter of this.
async fn idle_store(sentinels: &[SocketAddr]) -> RedisStore {
    let options = options(url(sentinels), &path()).connect_timeout(Duration::from_secs(4));
    let options = options.idle_check(Duration::ZERO);
    let store = options.open().await.unwrap();
    store.insert(&one(), &record("x")).await.unwrap();
    store
}

/// Whether a session is found that lies on one of the servers only, after a silence.
async fn is_found(store: &RedisStore) -> bool {
    // Silence is counted in milliseconds.
    tokio::time::sleep(Duration::from_millis(3)).await;
    store.load(&one(), Load::new()).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_only_reads_comes_to_the_next_primary_before_long() {
    let cast = Cast::start();
    let store = open(url(&[cast.current()]), &path()).await;
    store.insert(&one(), &record("x")).await.unwrap();
    cast.name_the_new_one();
    let begun = Instant::now();
    while store.load(&one(), Load::new()).await.unwrap().is_some() {
        assert!(begun.elapsed() < LONG, "what ended on the new one is read for ever");
    }
    assert_eq!(cast.old.command(&["DBSIZE"]).int(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_silence_nothing_is_read_before_the_sentinels_were_asked() {
    let cast = Cast::start();
    let store = idle_store(&[cast.current()]).await;
    assert!(is_found(&store).await);
    cast.name_the_new_one();
    assert!(!is_found(&store).await, "it was read from the old one");
}

/// Those that wait together ask once. On one thread all of them are there before any of them has an answer.
#[tokio::test]
async fn a_crowd_after_a_silence_asks_as_one() {
    let cast = Cast::start();
    let sentinel = Proxy::start(cast.current());
    let store = idle_store(&[sentinel.address()]).await;
    cast.name_the_new_one();
    tokio::time::sleep(Duration::from_millis(3)).await;
    let before = sentinel.connections();
    let one = one();
    for read in join_all((0..30).map(|_| store.load(&one, Load::new()))).await {
        assert!(read.unwrap().is_none(), "it was read from the old one");
    }
    // Once about the old connection, and once for the new one.
    assert_eq!(sentinel.connections() - before, 2);
}

/// Without replicas that follow it, or as a replica that finds nobody to follow, it refuses what it is asked, and its
/// connections stay open.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_refuses_for_want_of_others_has_the_sentinels_asked() {
    let nobody = Proxy::start(SocketAddr::from(([127, 0, 0, 1], 9)));
    nobody.refuse();
    let nobody = nobody.address().port().to_string();
    let without_replicas: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "1"]];
    let without_primary: &[&[&str]] = &[
        &["CONFIG", "SET", "replica-serve-stale-data", "no"],
        &["REPLICAOF", "127.0.0.1", &nobody],
    ];
    for (state, writes) in [(without_replicas, true), (without_primary, false)] {
        let call = async |store: &RedisStore| {
            if writes {
                store.insert(&one(), &record("x")).await
            } else {
                store.load(&one(), Load::new()).await.map(drop)
            }
        };
        let cast = Cast::start();
        let sentinel = Proxy::start(cast.current());
        let store = open(url(&[sentinel.address()]), &path()).await;
        store.insert(&one(), &record("x")).await.unwrap();
        for command in state {
            assert!(cast.old.command(command).is_ok(), "{command:?}");
        }
        // However long all that takes, nobody hears of the new one before.
        sentinel.refuse();
        cast.name_the_new_one();
        let before = sentinel.connections();
        let error = call(&store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(!error.outcome_unknown(), "{error}");
        let begun = Instant::now();
        // Nobody calls meanwhile.
        while sentinel.connections() == before {
            assert!(begun.elapsed() < LONG, "nobody asks after {error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sentinel.heal();
        while call(&store).await.is_err() {
            assert!(begun.elapsed() < LONG, "it never comes to the new primary");
        }
        assert_eq!(cast.new.command(&["DBSIZE"]).int(), i64::from(writes));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn most_sentinels_are_believed_and_not_the_one_that_has_not_heard() {
    let cast = Cast::start();
    let store = idle_store(&[cast.of_yesterday(), cast.current(), cast.current()]).await;
    cast.name_the_new_one();
    assert!(!is_found(&store).await, "it was read from the old one");
    // And there it stays.
    store.insert(&one(), &record("y")).await.unwrap();
    cast.old.command(&["FLUSHALL"]);
    for _ in 0..20 {
        assert!(is_found(&store).await, "it was read from the old one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_as_many_name_the_old_primary_it_is_kept() {
    let cast = Cast::start();
    let store = idle_store(&[cast.of_yesterday(), cast.current()]).await;
    cast.name_the_new_one();
    for _ in 0..20 {
        assert!(is_found(&store).await);
    }
}

/// The one that most name is not there, so a store that left the old one would come back to it, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_old_primary_is_kept_while_the_next_one_cannot_be_reached() {
    let cast = Cast::start();
    let way = Proxy::start(cast.old.address());
    *cast.named.lock().unwrap() = way.address();
    let of_yesterday = stubborn(&Arc::new(Mutex::new(way.address())));
    let store = idle_store(&[of_yesterday, cast.current(), cast.current()]).await;
    let before = way.connections();
    cast.new.kill();
    cast.name_the_new_one();
    for _ in 0..20 {
        assert!(is_found(&store).await);
    }
    assert_eq!(way.connections(), before, "it was left");
    cast.new.restart();
    assert!(!is_found(&store).await, "it was read from the old one");
}

/// Sentinels that are started anew one after the other: those that cannot be asked have not said that the primary is another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_old_primary_is_kept_where_the_only_sentinel_that_answers_names_nobody_who_is_there() {
    let cast = Cast::start();
    let primary = Proxy::start(cast.old.address());
    *cast.named.lock().unwrap() = primary.address();
    let away = [Proxy::start(cast.current()), Proxy::start(cast.current())];
    let store = idle_store(&[away[0].address(), away[1].address(), cast.current()]).await;
    let before = primary.connections();
    away.iter().for_each(Proxy::refuse);
    cast.new.kill();
    cast.name_the_new_one();
    for _ in 0..20 {
        assert!(is_found(&store).await);
    }
    assert_eq!(primary.connections(), before, "it was left");
    cast.new.restart();
    assert!(!is_found(&store).await, "it was read from the old one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silent_sentinel_does_not_drown_what_the_others_say() {
    let cast = Cast::start();
    let silent = Proxy::start(cast.current());
    silent.black_hole();
    let store = idle_store(&[silent.address(), cast.current()]).await;
    cast.name_the_new_one();
    assert!(!is_found(&store).await, "it was read from the old one");
}

/// The quickest answer is that of a sentinel that has not heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_connection_leads_to_the_primary_that_most_sentinels_name() {
    let cast = Cast::start();
    cast.name_the_new_one();
    let sentinels = [cast.of_yesterday(), cast.current(), cast.current()];
    // With time for whatever a busy machine does.
    let options = options(url(&sentinels), &path()).connect_timeout(LONG);
    let silent = cast.named.lock().unwrap();
    let opening = tokio::spawn(options.open());
    let begun = Instant::now();
    tokio::task::block_in_place(|| {
        while !cast
            .old
            .command(&["INFO", "commandstats"])
            .text()
            .contains("cmdstat_role")
        {
            assert!(begun.elapsed() < LONG);
            thread::sleep(Duration::from_millis(5));
        }
    });
    drop(silent);
    let store = opening.await.unwrap().unwrap();
    store.insert(&one(), &record("x")).await.unwrap();
    assert_eq!(cast.new.command(&["DBSIZE"]).int(), 1);
    assert_eq!(cast.old.command(&["DBSIZE"]).int(), 0);
}

/// With five seconds for the sentinels, and as many more where it matters.
const UNHURRIED: Duration = Duration::from_secs(20);

/// It was named first, and reached first, and that is not what counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_primary_that_most_name_is_waited_for_where_another_one_is_there_sooner() {
    let cast = Cast::start();
    let way = Proxy::start(cast.new.address());
    way.black_hole();
    *cast.named.lock().unwrap() = way.address();
    let sentinels = [cast.of_yesterday(), cast.current(), cast.current()];
    let opening = tokio::spawn(options(url(&sentinels), &path()).connect_timeout(UNHURRIED).open());
    tokio::time::sleep(UNHURRIED * 3 / 8).await;
    way.heal();
    let store = opening.await.unwrap().unwrap();
    store.insert(&one(), &record("x")).await.unwrap();
    assert_eq!(cast.old.command(&["DBSIZE"]).int(), 0);
    assert_eq!(cast.new.command(&["DBSIZE"]).int(), 1);
}

/// The sentinel that has not heard is the quickest to answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_is_not_left_on_the_word_of_one_sentinel_while_the_others_are_slow() {
    let cast = Cast::start();
    let primary = Proxy::start(cast.old.address());
    *cast.named.lock().unwrap() = primary.address();
    let mistaken = stubborn(&Arc::new(Mutex::new(cast.new.address())));
    let ways = [Proxy::start(cast.current()), Proxy::start(cast.current())];
    let sentinels = [mistaken, ways[0].address(), ways[1].address()];
    let options = options(url(&sentinels), &path()).connect_timeout(UNHURRIED);
    let store = options.idle_check(Duration::ZERO).open().await.unwrap();
    store.insert(&one(), &record("x")).await.unwrap();
    let before = primary.connections();
    ways.iter().for_each(Proxy::black_hole);
    let healing = async {
        tokio::time::sleep(UNHURRIED * 3 / 8).await;
        ways.iter().for_each(Proxy::heal);
    };
    let (found, ()) = tokio::join!(is_found(&store), healing);
    assert!(found, "it was left for a server that has nothing");
    assert_eq!(primary.connections(), before, "it was left, if not for long");
}

/// A process that makes few calls does not wait in each of them for sentinels that are away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_that_are_silent_are_not_waited_for_in_every_call() {
    let cast = Cast::start();
    let sentinel = Proxy::start(cast.current());
    let options = options(url(&[sentinel.address()]), &path()).connect_timeout(UNHURRIED);
    let store = options.idle_check(Duration::ZERO).open().await.unwrap();
    store.insert(&one(), &record("x")).await.unwrap();
    sentinel.black_hole();
    assert!(is_found(&store).await);
    let asked = sentinel.connections();
    for _ in 0..3 {
        let call = tokio::time::timeout(UNHURRIED / 4, is_found(&store));
        assert!(call.await.expect("nobody waits for them again"));
    }
    // They are asked all the same, and heard.
    let begun = Instant::now();
    while sentinel.connections() == asked {
        assert!(begun.elapsed() < LONG, "nobody asks them any more");
        assert!(is_found(&store).await);
    }
    sentinel.heal();
    cast.name_the_new_one();
    while is_found(&store).await {
        assert!(begun.elapsed() < LONG, "nobody hears them");
    }
}

/// That they were silent once, long ago, says nothing: they may have named another primary since.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_that_were_silent_are_asked_first_after_a_while() {
    let cast = Cast::start();
    let sentinel = Proxy::start(cast.current());
    let store = idle_store(&[sentinel.address()]).await;
    sentinel.black_hole();
    assert!(is_found(&store).await);
    sentinel.heal();
    cast.name_the_new_one();
    // So long they are asked in the background, and nobody calls meanwhile.
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    assert!(!is_found(&store).await, "it was read from the old one");
}

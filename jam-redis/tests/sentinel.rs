//! A store behind three sentinels: it follows the primary wherever that goes.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::thread;
use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Load as How, SessionStore};
use jam_test_servers::{Kind, Proxy, Sentinels, Server};
use support::fake_sentinel::stubborn;
use support::load::Load;
use support::{IN_TIME, id, open, options, path, record, sentinel_url, tagged};
use tokio::sync::{Mutex, MutexGuard};

/// Two casts for all tests of this program, each for one test at a time.
static CASTS: [Mutex<Option<Sentinels>>; 2] = [const { Mutex::const_new(None) }; 2];
static NEXT: AtomicUsize = AtomicUsize::new(0);

const QUIET: Duration = Duration::from_millis(700);

struct Stage(MutexGuard<'static, Option<Sentinels>>);

impl Stage {
    async fn set() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % CASTS.len();
        let mut stage = Self(CASTS[number].lock().await);
        stage.0.get_or_insert_with(|| Sentinels::start(Kind::New));
        for server in stage.nodes().iter().chain(stage.sentinels()) {
            server.resume();
            if !server.is_running() {
                server.restart();
            }
        }
        stage.wait_until_ok();
        stage
    }

    fn url(&self) -> String {
        sentinel_url(self.sentinels())
    }
}

impl Deref for Stage {
    type Target = Sentinels;

    fn deref(&self) -> &Sentinels {
        self.0.as_ref().expect("it was started")
    }
}

impl Drop for Stage {
    /// What a failed test leaves is of no use to the others.
    fn drop(&mut self) {
        if thread::panicking() {
            *self.0 = None;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_primary_is_followed_by_the_next_and_its_return_confuses_nobody() {
    let cast = Stage::set().await;
    let path = path();
    let store = open(cast.url(), &path).await;
    let load = Load::start(&store, 64, true, |task, key| format!("{task}.{key}"));
    load.calls(2_000).await;
    let killed = Instant::now();
    let old = cast.kill_primary();
    cast.wait_for_new_primary();
    let replaced = killed.elapsed();
    let recovered = load.calm(QUIET, killed).await;
    load.calls(500).await;
    let back = Instant::now();
    old.restart();
    cast.wait_until_ok();
    let disturbed = load.calm(QUIET, back).await;
    load.calls(500).await;
    let report = load.stop().await;
    println!(
        "replaced after {replaced:?}, recovered after {recovered:?}, disturbed for {disturbed:?} by its return; {} calls, \
         slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
    assert!(
        recovered < replaced + Duration::from_secs(1),
        "recovered only after {recovered:?}"
    );
    assert_eq!(disturbed, Duration::ZERO);
    let lost = report.check(&*store).await.len();
    println!("{lost} of {} sessions are not as acknowledged", report.sessions());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silent_primary_is_replaced_and_its_return_as_a_replica_confuses_nobody() {
    let cast = Stage::set().await;
    let path = path();
    let store = open(cast.url(), &path).await;
    let load = Load::start(&store, 64, false, |task, key| format!("{task}.{key}"));
    load.calls(2_000).await;
    let paused = Instant::now();
    let old = cast.primary();
    old.pause();
    cast.wait_for_new_primary();
    let recovered = load.calm(QUIET, paused).await;
    // Connections to it that are still open now reach a primary of yesterday, which the sentinels make a replica.
    old.resume();
    cast.wait_until_ok();
    load.calls(500).await;
    let report = load.stop().await;
    println!(
        "recovered after {recovered:?}; {} calls, slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_becomes_a_replica_under_open_connections_is_left() {
    let cast = Stage::set().await;
    let path = path();
    let store = open(cast.url(), &path).await;
    let load = Load::start(&store, 64, false, |task, key| format!("{task}.{key}"));
    load.calls(1_000).await;
    for _ in 0..2 {
        let since = Instant::now();
        cast.fail_over();
        cast.wait_until_ok();
        let recovered = load.calm(QUIET, since).await;
        println!("recovered after {recovered:?}");
        load.calls(500).await;
    }
    let report = load.stop().await;
    println!(
        "{} calls, slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_that_are_dead_or_silent_do_not_hold_up_the_one_that_is_well() {
    let cast = Stage::set().await;
    let well = cast.sentinel_addresses()[2];
    let silent = Proxy::start(cast.sentinel_addresses()[0]);
    silent.black_hole();
    let also_silent = Proxy::start(cast.sentinel_addresses()[1]);
    also_silent.black_hole();
    let dead = Server::start(Kind::New).address();
    let service = Sentinels::SERVICE;
    let url = format!(
        "redis+sentinel://{dead},{},{},{well}/{service}",
        silent.address(),
        also_silent.address()
    );
    let start = Instant::now();
    let store = open(&url, &path()).await;
    // The silent ones could name another primary, and are waited for for a quarter of that time.
    assert!(start.elapsed() < support::TIMEOUT, "{:?}", start.elapsed());
    let one = id(&tagged("one", ""), "there");
    store.insert(&one, &record("x")).await.unwrap();
    // And when the connection has to be found again.
    cast.fail_over();
    cast.wait_until_ok();
    let start = Instant::now();
    while let Err(error) = store.touch(&one, support::expiry_in(Duration::from_hours(2))).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(start.elapsed() < IN_TIME, "{error}");
        tokio::time::sleep(Duration::from_millis(110)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sentinel_of_yesterday_is_not_believed() {
    let cast = Stage::set().await;
    let primary = cast.primary_address();
    let replica = cast.nodes().iter().find(|node| node.address() != primary).unwrap();
    let stale = stubborn(&Arc::new(StdMutex::new(replica.address())));
    let slow = Proxy::start(cast.sentinel_addresses()[0]);
    slow.delay(Duration::from_millis(50)..=Duration::from_millis(60));
    let store = open(format!("redis+sentinel://{stale},{}/jam", slow.address()), &path()).await;
    store
        .insert(&id(&tagged("one", ""), "there"), &record("x"))
        .await
        .unwrap();
    let error = options(format!("redis+sentinel://{stale}/jam"), &path())
        .open()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("not a primary"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_made_a_replica_without_a_word_is_left_at_the_first_refusal() {
    let (old, new) = (Server::start(Kind::New), Server::start(Kind::New));
    let named = Arc::new(StdMutex::new(old.address()));
    let store = open(format!("redis+sentinel://{}/jam", stubborn(&named)), &path()).await;
    let one = id(&tagged("one", ""), "there");
    store.insert(&one, &record("x")).await.unwrap();
    // The connection stays open, and reads would go on.
    let reply = old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    assert!(reply.is_ok(), "{reply:?}");
    *named.lock().unwrap() = new.address();
    let error = store
        .insert(&id(&tagged("two", ""), "there"), &record("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.outcome_unknown(), "a replica does nothing: {error}");
    store.insert(&one, &record("x")).await.unwrap();
    assert_eq!(new.command(&["DBSIZE"]).int(), 1);
}

/// The old primary goes on for a while after the sentinels have named the next one. Whoever ends a session there alone, or here
/// alone, leaves it to those who read on the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_replicas_confirm_is_ended_where_it_is_read() {
    let follower = |of: &Server| {
        let options = Server::options(Kind::New).arg("replicaof", &format!("127.0.0.1 {}", of.port()));
        options.start()
    };
    let start = || Server::options(Kind::New).arg("repl-diskless-sync-delay", "0").start();
    let (old, new) = (start(), start());
    let (of_old, of_new) = (follower(&old), follower(&new));
    for (primary, replica) in [(&old, &of_old), (&new, &of_new)] {
        let begun = Instant::now();
        while replica.command(&["ROLE"]).array()[3].text() != "connected"
            || !primary.command(&["SET", "mark", ""]).is_ok()
        {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(10));
        }
    }
    let named = Arc::new(StdMutex::new(old.address()));
    let sentinel = Proxy::start(stubborn(&named));
    let url = format!("redis+sentinel://{}/jam", sentinel.address());
    let store = options(url, &path()).wait_replicas(1, IN_TIME).open().await.unwrap();
    let (one, two) = (id(&tagged("one", ""), "there"), id(&tagged("two", ""), "there"));
    for id in [&one, &two] {
        store.insert(id, &record("x")).await.unwrap();
    }

    // However long this takes, nobody hears of the new one before.
    sentinel.refuse();
    *named.lock().unwrap() = new.address();
    assert!(store.remove(&one).await.unwrap());
    assert!(
        store.load(&one, How::new()).await.unwrap().is_none(),
        "it was ended and is served"
    );

    // Once no replica follows it, the sentinels are asked again.
    of_old.kill();
    assert!(store.remove(&two).await.unwrap_err().outcome_unknown());
    sentinel.heal();
    let begun = Instant::now();
    while store.insert(&one, &record("x")).await.is_err() || new.command(&["DBSIZE"]).int() < 2 {
        drop(store.remove(&one).await);
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it never comes to the new primary"
        );
    }
}

/// The connection goes on answering, and nothing that would meet a refusal is sent over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_only_ends_sessions_comes_to_the_next_primary_too() {
    let (old, new) = (Server::start(Kind::New), Server::start(Kind::New));
    let follow = format!("127.0.0.1 {}", new.port());
    let replica = Server::options(Kind::New).arg("replicaof", &follow).start();
    let named = Arc::new(StdMutex::new(old.address()));
    let url = format!("redis+sentinel://{}/jam", stubborn(&named));
    let store = options(url, &path()).wait_replicas(1, IN_TIME).open().await.unwrap();
    let one = id(&tagged("one", ""), "there");
    assert!(store.load(&one, How::new()).await.unwrap().is_none());

    assert!(
        old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()])
            .is_ok()
    );
    *named.lock().unwrap() = new.address();
    let begun = Instant::now();
    while let Err(error) = store.remove(&one).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
        assert!(
            store.load(&one, How::new()).await.is_ok(),
            "it is read from all the time"
        );
    }
    drop(replica);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_wrong_with_the_url_is_said() {
    let cast = Stage::set().await;
    let hosts = cast.sentinel_addresses();
    let nameless = format!("redis+sentinel://{},{}/nobody", hosts[0], hosts[1]);
    let error = options(nameless, &path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("service"), "{error}");
    // A server where a sentinel should be.
    let server = format!("redis+sentinel://{}/jam", cast.nodes()[0].address());
    let error = options(server, &path()).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("sentinel"), "{error}");
    // A sentinel where a server should be.
    let error = options(format!("redis://{}", hosts[0]), &path())
        .open()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("sentinel"), "{error}");
    let nobody = Server::start(Kind::New).address();
    let error = options(format!("redis+sentinel://{nobody}/jam"), &path()).open().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sentinels_and_servers_have_passwords_of_their_own() {
    let cast = Sentinels::start_with(Server::options(Kind::Old).requirepass("the-servers"));
    let url = sentinel_url(cast.sentinels()).replace("://", "://:the-servers@");
    let one = id(&tagged("one", ""), "there");
    // A password that the sentinels do not ask for does no harm beside one that they do.
    let store = open(&url, &path()).await;
    store.insert(&one, &record("x")).await.unwrap();
    for sentinel in cast.sentinels() {
        let reply = sentinel.command(&["CONFIG", "SET", "requirepass", "the-sentinels"]);
        assert!(reply.is_ok() || reply.is_error(), "{reply:?}");
        let reply = sentinel.command(&["ACL", "SETUSER", "default", "resetpass", ">the-sentinels"]);
        assert!(reply.is_ok(), "{reply:?}");
    }
    for wrong in [
        options(&url, &path()),
        options(&url, &path()).sentinel_password("wrong"),
    ] {
        let error = wrong.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("sentinel_password"), "{error}");
    }
    let store = options(&url, &path())
        .sentinel_password("the-sentinels")
        .open()
        .await
        .unwrap();
    store.insert(&one, &record("x")).await.unwrap();
    assert!(store.load(&one, How::new()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_who_may_not_ask_for_the_role_is_served() {
    let rules = "on >secret ~* +@hash +@scripting +@connection +pttl +pexpireat +persist +unlink +time";
    let cast = Sentinels::start_with(Server::options(Kind::New).acl_user("app", rules));
    let url = sentinel_url(cast.sentinels()).replace("://", "://app:secret@");
    let store = open(&url, &path()).await;
    store
        .insert(&id(&tagged("one", ""), "there"), &record("x"))
        .await
        .unwrap();
}

//! Primaries that die, retire or fall silent while sessions on all of them are in use.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jam_core::{ErrorKind, Load as How, SessionStore};
use jam_test_servers::{Cluster, Kind, Server};

use crate::Stage;
use crate::support::load::{Load, Report};
use crate::support::{IN_TIME, cluster_url, id, open, path, record, slot, slots_of, tag, tagged};

const QUIET: Duration = Duration::from_millis(700);

/// That what does not fit what was acknowledged lies in these slots, if anything does.
fn assert_only_in(report: &Report, path: &str, slots: &HashSet<u16>) {
    for (key, what) in &report.odd {
        assert!(slots.contains(&slot(path, key)), "{key} on a surviving node: {what}");
    }
}

async fn spread(cluster: &Stage, seed: &Server, path: &str) -> (Load, std::sync::Arc<jam_redis::RedisStore>) {
    let store = open(cluster_url([seed]), path).await;
    let load = Load::start(&store, 64, true, |task, key| format!("{task}.{key}"));
    load.calls(2_000).await;
    assert!(cluster.primaries().len() == 3);
    (load, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_primary_costs_nothing_on_the_others_and_is_replaced_without_a_restart() {
    let cluster = Stage::set().await;
    let path = path();
    // The only seed is the one that goes.
    let seed = cluster.primary_of("any");
    let slots = slots_of(seed, seed.port());
    let survivor = cluster.primaries().into_iter().find(|node| node.port() != seed.port());
    let survivor = survivor.expect("another primary");
    let (load, _store) = spread(&cluster, seed, &path).await;
    let asked = maps_asked_of(survivor);
    let killed = Instant::now();
    seed.kill();
    cluster.wait_until_ok();
    let replaced = killed.elapsed();
    let asked = maps_asked_of(survivor) - asked;
    let recovered = load.calm(QUIET, killed).await;
    load.calls(500).await;
    let back = Instant::now();
    seed.restart();
    cluster.wait_until_ok();
    let disturbed = load.calm(QUIET, back).await;
    load.calls(500).await;
    let report = load.stop().await;
    println!(
        "replaced after {replaced:?}, recovered after {recovered:?}, disturbed for {disturbed:?} by its return; the map was \
         asked for {asked} times; {} calls, slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
    assert_only_in(&report, &path, &slots);
    let fresh = open(cluster.url(), &path).await;
    for wrong in report.check(&*fresh).await {
        let at = slot(&path, wrong.key().as_str());
        assert!(slots.contains(&at), "{wrong:?} on a surviving node");
    }
    assert!(
        recovered < replaced + Duration::from_secs(1),
        "recovered only after {recovered:?}"
    );
    // However many calls fail: twenty times a second at most.
    assert!(
        u128::from(asked) < 10 + replaced.as_millis() / 50,
        "{asked} times in {replaced:?}"
    );
}

/// How often this node was asked who serves what.
fn maps_asked_of(node: &Server) -> u64 {
    let info = node.command(&["INFO", "commandstats"]);
    let line = info
        .text()
        .lines()
        .find(|line| line.starts_with("cmdstat_cluster|slots:"));
    let calls = line.and_then(|line| line.split_once("calls=")?.1.split_once(','));
    calls.map_or(0, |(calls, _)| calls.parse().expect("a number of calls"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failover_in_good_order_under_load_loses_nothing() {
    let cluster = Stage::set().await;
    let path = path();
    let (load, _store) = spread(&cluster, cluster.primary_of("any"), &path).await;
    for _ in 0..2 {
        cluster.fail_over("any");
        load.calls(1_000).await;
    }
    let report = load.stop().await;
    println!(
        "{} calls, slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
    assert_eq!(report.odd, vec![]);
    let fresh = open(cluster.url(), &path).await;
    assert_eq!(report.check(&*fresh).await, vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_silent_primary_holds_up_nobody_on_the_others_and_is_replaced() {
    let cluster = Stage::set().await;
    let path = path();
    // With `yes`, the default, every slot is out of reach while one is.
    let full_coverage = |value| {
        for node in cluster.nodes().iter().filter(|node| node.is_running()) {
            assert!(
                node.command(&["CONFIG", "SET", "cluster-require-full-coverage", value])
                    .is_ok()
            );
        }
    };
    full_coverage("no");
    let silent = cluster.primary_of("any");
    let slots = slots_of(silent, silent.port());
    let (load, store) = spread(&cluster, silent, &path).await;
    let key = tagged(&tag("alive", |slot| !slots.contains(&slot)), "");
    store.insert(&id(&key, "there"), &record("x")).await.unwrap();
    let paused = Instant::now();
    silent.pause();
    let mut slowest = Duration::ZERO;
    while paused.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        let found = store.load(&id(&key, "there"), How::new()).await;
        assert!(
            found.expect("another node is well").is_some(),
            "a session on a surviving node is there"
        );
        slowest = slowest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.wait_until_ok();
    let recovered = load.calm(QUIET, paused).await;
    silent.resume();
    cluster.wait_until_ok();
    full_coverage("yes");
    load.calls(500).await;
    let report = load.stop().await;
    println!(
        "slowest on a surviving node {slowest:?}; recovered after {recovered:?}; {} calls, slowest {:?}, {:?}",
        report.calls, report.slowest, report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
    assert_only_in(&report, &path, &slots);
    let fresh = open(cluster.url(), &path).await;
    for wrong in report.check(&*fresh).await {
        let at = slot(&path, wrong.key().as_str());
        assert!(slots.contains(&at), "{wrong:?} on a surviving node");
    }
    assert!(
        slowest < Duration::from_millis(500),
        "a call to a surviving node took {slowest:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_whole_cluster_that_restarts_is_used_again_with_all_that_it_saved() {
    let cluster = Stage::set().await;
    let path = path();
    let (load, store) = spread(&cluster, cluster.primary_of("any"), &path).await;
    let keys: Vec<_> = (0..200).map(|number| tagged(&format!("saved{number}"), "")).collect();
    for key in &keys {
        store.insert(&id(key, "there"), &record("x")).await.unwrap();
    }
    for node in cluster.primaries() {
        assert!(node.command(&["SAVE"]).is_ok());
    }
    for node in cluster.nodes() {
        node.kill();
    }
    let error = store.load(&id(&keys[0], "there"), How::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for node in cluster.nodes() {
        node.restart();
    }
    cluster.wait_until_ok();
    let back = Instant::now();
    let recovered = load.calm(QUIET, back).await;
    let report = load.stop().await;
    println!("recovered {recovered:?} after the cluster; {:?}", report.messages);
    report.assert_errors_are_honest(IN_TIME);
    for key in &keys {
        assert!(store.load(&id(key, "there"), How::new()).await.unwrap().is_some());
    }
    assert!(recovered < Duration::from_secs(1), "recovered only after {recovered:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_slept_while_every_primary_was_replaced_finds_the_new_ones() {
    let cluster = Stage::set().await;
    let path = path();
    let old = cluster.primaries();
    let store = open(cluster_url([old[0]]), &path).await;
    let tags = old.iter().map(|node| {
        let slots = slots_of(node, node.port());
        tag("slept", |slot| slots.contains(&slot))
    });
    let tags: Vec<_> = tags.collect();
    for tag in &tags {
        cluster.fail_over(tag);
    }
    for node in &old {
        node.kill();
    }
    cluster.wait_until_ok();
    for tag in &tags {
        let id = id(&tagged(tag, ""), "there");
        let mut tries = 0;
        while let Err(error) = store.insert(&id, &record("x")).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            tries += 1;
            assert!(tries < 5, "nobody it knows is left: {error}");
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_cut_off_from_the_others_is_not_believed() {
    let options = Server::options(Kind::New).arg("enable-debug-command", "yes");
    let cluster = Cluster::start_with(options);
    let lonely = cluster.primary_of("any");
    let path = path();
    let customer = options_of(&[lonely], &path).open().await.unwrap();
    let id = id(&tagged("any", ""), "there");
    customer.insert(&id, &record("x")).await.unwrap();
    // It hears of no other node any more, and so is replaced; it runs on, and does not know.
    let reply = lonely.command(&["DEBUG", "DROP-CLUSTER-PACKET-FILTER", "-2"]);
    assert!(reply.is_ok(), "{reply:?}");
    let start = Instant::now();
    while cluster.primary_of("any").port() == lonely.port() {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody takes over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = options_of(&[lonely], &path).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let well = cluster.primary_of("any");
    let hash = format!("{path}:{{any}}");
    let store = options_of(&[lonely, well], &path).open().await.unwrap();
    assert!(store.remove(&id).await.unwrap());
    assert_eq!(well.command(&["EXISTS", &hash]).int(), 0);
    // Whoever had an open connection to it comes to its successor too.
    let start = Instant::now();
    while let Err(error) = customer.insert(&id, &record("x")).await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(start.elapsed() < IN_TIME, "{error}");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(well.command(&["EXISTS", &hash]).int(), 1);
}

fn options_of(nodes: &[&Server], path: &str) -> jam_redis::RedisOptions {
    crate::support::options(cluster_url(nodes.iter().copied()), path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_come_back_newer_are_used_as_such() {
    let old = [
        "HSETEX",
        "HGETEX",
        "HGETDEL",
        "HPEXPIRE",
        "HPEXPIREAT",
        "HPEXPIRETIME",
        "HPTTL",
    ];
    let cluster = Cluster::start_with(Server::options(Kind::New).hide(&old));
    let path = path();
    let store = open(cluster_url(cluster.nodes()), &path).await;
    assert!(!store.has_field_expiry().await.unwrap());
    let tags: Vec<_> = cluster
        .primaries()
        .iter()
        .map(|node| {
            let slots = slots_of(node, node.port());
            tag("kept", |slot| slots.contains(&slot))
        })
        .collect();
    for tag in &tags {
        store.insert(&id(&tagged(tag, ""), "kept"), &record("x")).await.unwrap();
    }
    for node in cluster.nodes() {
        assert!(node.command(&["SAVE"]).is_ok());
        node.kill();
        let file = node.dir().join("server.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        let known: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("rename-command"))
            .collect();
        std::fs::write(&file, known.join("\n")).unwrap();
    }
    for node in cluster.nodes() {
        node.restart();
    }
    cluster.wait_until_ok();
    for tag in &tags {
        let kept = id(&tagged(tag, ""), "kept");
        let start = Instant::now();
        // Each node's lost connection shows once.
        while let Err(error) = store.replace(&kept, None, &record("y")).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(start.elapsed() < IN_TIME, "{error}");
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
        let hash = format!("{path}:{{{tag}}}");
        let node = cluster.primary_of(tag);
        let expiry = node.command(&["HPTTL", &hash, "FIELDS", "1", "kept"]);
        assert!(
            expiry.array()[0].int() > 0,
            "the field has an expiry of its own: {expiry:?}"
        );
        assert_eq!(node.command(&["PTTL", &hash]).int(), -1, "the hash has none");
    }
    assert!(store.has_field_expiry().await.unwrap());
}

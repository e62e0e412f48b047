//! Slots that go from one primary to another while sessions in them are in use.

use std::time::{Duration, Instant};

use crate::Stage;
use crate::support::load::Load;
use crate::support::{IN_TIME, open, path, tag};
use jam_test_servers::slot_of;
use jam_test_trials::Trials;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resharding_under_load_loses_no_session_and_makes_no_write_twice() {
    let cluster = Stage::set().await;
    let path = path();
    let store = open(cluster.url(), &path).await;
    let tags: Vec<_> = (0..6).map(|number| tag(&format!("m{number}-"), |_| true)).collect();
    let slots: Vec<_> = tags.iter().map(|tag| slot_of(tag)).collect();
    let naming = move |task: usize, key: usize| format!("{{{}}}{task}.{key}", tags[(task + key / 2) % tags.len()]);
    let load = Load::start(&store, 64, true, naming);
    load.calls(3_000).await;
    // Each slot to one of the other two primaries and, the next time, to the other.
    for moved in Trials::new("slots moved", "JAM_TEST_MOVES", 12) {
        let slot = &slots[usize::try_from(moved).unwrap() % slots.len()];
        let from = cluster.primary_of_slot(*slot).port();
        let primaries = cluster.primaries();
        let round = usize::try_from(moved).unwrap() / slots.len() % 2;
        let to = primaries.iter().filter(|node| node.port() != from).nth(round);
        let migration = cluster.begin_migrating(*slot, to.expect("another primary"));
        load.calls(500).await;
        let keys = migration
            .from()
            .command(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
        migration.move_keys(usize::try_from(keys.int() / 2).expect("a count"));
        load.calls(1_000).await;
        migration.finish();
        load.calls(200).await;
    }
    let mut report = load.stop().await;
    println!(
        "reshard: {} calls, {} sessions, {:?}",
        report.calls,
        report.sessions(),
        report.messages
    );
    report.assert_errors_are_honest(IN_TIME);
    assert_eq!(report.odd, vec![]);
    // Redirections are followed; only two keys that no node has both of may have to wait too long.
    report
        .messages
        .retain(|message, _| !message.contains("is moving these sessions"));
    assert!(report.messages.is_empty(), "{:?}", report.messages);
    let fresh = open(cluster.url(), &path).await;
    assert_eq!(report.check(&*fresh).await, vec![]);
    assert!(report.sessions() > 100, "the load had sessions to lose");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_whose_reply_was_lost_is_not_sent_again() {
    let cluster = Stage::set().await;
    let path = path();
    let store = open(cluster.url(), &path).await;
    let load = Load::start(&store, 64, true, |task, key| format!("{task}.{key}"));
    let mut connections: Vec<_> = cluster.primaries().iter().map(|node| node.connection()).collect();
    for _ in 0..40 {
        load.calls(200).await;
        for connection in &mut connections {
            // Whatever was carried out and not answered yet is not answered.
            connection.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        }
    }
    load.calls(500).await;
    // Calls that fail count as well: a connection that was just killed may not be back yet.
    load.calm(Duration::from_millis(300), Instant::now()).await;
    let report = load.stop().await;
    println!("{} calls, {} of unknown outcome", report.calls, report.unknown);
    report.assert_errors_are_honest(IN_TIME);
    assert_eq!(report.odd, vec![]);
    assert_eq!(report.check(&*store).await, vec![]);
    assert!(report.unknown > 0, "replies were lost");
}

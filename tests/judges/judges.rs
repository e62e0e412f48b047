//! What judges jam-core, in one program: the tests of the manager on stores in memory, and those of the crate itself. They are
//! the files of `tests/` and `jam-core/tests`, built without the drivers and servers that need minutes.

/// The first to run.
#[test]
fn a_failure_ends_all_where_that_is_asked_for() {
    jam_test_trials::end_at_first_failure();
}

#[path = "../../jam-core/tests/caching/main.rs"]
mod caching;
#[path = "../../jam-core/tests/diagnosis.rs"]
mod diagnosis;
#[path = "../../jam-core/tests/ids.rs"]
mod ids;
#[path = "../../jam-core/tests/values.rs"]
mod values;
#[path = "../../jam-core/tests/walk.rs"]
mod walk;

#[path = "../../jam/tests/config/main.rs"]
mod config;

#[path = "../tests/bad_days.rs"]
mod bad_days;
#[path = "../tests/devices.rs"]
mod devices;
#[path = "../tests/extensions.rs"]
mod extensions;
#[path = "../tests/fields.rs"]
mod fields;
#[path = "../tests/forged.rs"]
mod forged;
#[path = "../tests/grace.rs"]
mod grace;
#[path = "../tests/lifetimes.rs"]
mod lifetimes;
#[path = "../tests/manager.rs"]
mod manager;
#[path = "../tests/races.rs"]
mod races;
#[path = "../tests/secrets.rs"]
mod secrets;

#[path = "../tests/metrics/counts.rs"]
#[cfg(test)]
mod counts;
#[path = "../tests/metrics/docs.rs"]
#[cfg(test)]
mod docs;
#[path = "../tests/metrics/outages.rs"]
#[cfg(test)]
mod outages;
#[path = "../tests/metrics/spans.rs"]
#[cfg(test)]
mod spans;
#[path = "../tests/metrics/support.rs"]
#[cfg(test)]
mod support;

/// Once, shared: that the suite has good manners is judged with the suite itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_memory_store_keeps_the_contract() {
    let open = |clock| async { Ok(std::sync::Arc::new(jam::MemoryStore::with_clock(clock))) };
    jam_core::conformance::run(open, |task| drop(tokio::spawn(task))).await;
}

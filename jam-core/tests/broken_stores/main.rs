//! The suite is tested itself: stores with one flaw each, and the cases that have to catch it.
//!
//! A store that keeps every promise passes; each flaw is caught by the cases named beside it; and there is no case that
//! catches none.

#![expect(clippy::expect_used, clippy::panic, reason = "a broken store may panic")]

mod contract;
mod flaw;
mod store;
mod torn;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jam_core::conformance::{Case, Report, Suite, cases};

use self::flaw::{CAUGHT_BY, Flaw};
use self::store::{Naive, World};

/// The suite for a store with this flaw: durable, and with a second handle.
fn suite(flaw: Flaw) -> Suite<Naive> {
    let world = Arc::new(World::default());
    Suite::new(
        move |clock| {
            let world = Arc::clone(&world);
            async move { Ok(Naive::open(world, flaw, clock)) }
        },
        |task| drop(tokio::spawn(task)),
    )
    .second_handle(|first: Arc<Naive>| async move { Ok(first.another_handle()) })
    .durable()
    .patience(Duration::from_secs(20))
}

fn failed(report: &Report) -> BTreeSet<&'static str> {
    report.failed().iter().map(|failed| failed.case.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_flaw_passes() {
    let report = suite(Flaw::None).run().await;
    assert!(report.not_run().is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_flaw_passes_by_a_servers_clock() {
    suite(Flaw::None).server_clock().run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flaw_is_caught_by_the_cases_named() {
    let mut missed = Vec::new();
    for &(flaw, names) in CAUGHT_BY {
        let named = names.iter().fold(suite(flaw), |suite, name| suite.only(*name));
        let patience = if flaw == Flaw::DropLeavesTheLock { 1 } else { 20 };
        let report = named.patience(Duration::from_secs(patience)).check().await;
        assert!(report.mistakes().is_empty(), "{report}");
        let failed = failed(&report);
        missed.extend(
            names
                .iter()
                .filter(|name| !failed.contains(*name))
                .map(|name| (flaw, *name)),
        );
    }
    assert!(missed.is_empty(), "these went unnoticed: {missed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_let_go_between_check_and_write_is_caught_before_long() {
    for run in 1..=40 {
        let suite = suite(Flaw::ReplaceLocksTwice)
            .only("races")
            .only("endings")
            .only("moving");
        if !suite.check().await.failed().is_empty() {
            println!("caught in run {run}");
            return;
        }
    }
    panic!("not caught in 40 runs");
}

#[test]
fn every_case_catches_a_flaw() {
    let named: BTreeSet<_> = CAUGHT_BY.iter().flat_map(|(_, names)| *names).copied().collect();
    let idle: Vec<_> = cases().map(Case::name).filter(|name| !named.contains(name)).collect();
    assert!(idle.is_empty(), "these cases catch no flaw: {idle:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_task_is_the_failure_of_its_case() {
    let report = suite(Flaw::PanicsOnConflict)
        .only("racing_swaps_have_one_winner")
        .check()
        .await;
    let happened = report.failed()[0].failure.happened();
    assert_eq!(happened, "a panic: a conflict nobody foresaw");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_never_ends_is_a_failure_and_the_next_one_runs() {
    let report = suite(Flaw::DropLeavesTheLock)
        .only("a_dropped_call_leaves_nothing_locked")
        .only("a_store_has_a_name")
        .patience(Duration::from_millis(500))
        .check()
        .await;
    assert_eq!(failed(&report).len(), 1);
    assert_eq!(report.passed().len(), 1);
    let failure = &report.failed()[0].failure;
    assert_eq!(failure.expected(), "the case ends within 0.5 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_case_promise_expectation_and_what_happened() {
    let report = suite(Flaw::ReplaceInserts)
        .only("late_replace_does_not_revive_a_removed_record")
        .check()
        .await;
    let text = report.to_string();
    for part in [
        "late_replace_does_not_revive_a_removed_record (revival, promise 1)",
        "expected  late replace, record Removed: NotFound",
        "happened  it succeeded",
        "revival.rs:",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

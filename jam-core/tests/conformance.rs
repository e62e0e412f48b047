//! The in-memory store against the contract, and the suite's own manners: runtimes, selection, reports.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jam_core::MemoryStore;
use jam_core::conformance::{Suite, Task, cases, on_threads, run};

fn on_tokio(task: Task) {
    drop(tokio::spawn(task));
}

fn memory() -> Suite<MemoryStore> {
    Suite::new(|clock| async move { Ok(MemoryStore::with_clock(clock)) }, on_tokio)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_contract() {
    run(|clock| async move { Ok(MemoryStore::with_clock(clock)) }, on_tokio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_an_arc_keeps_the_contract() {
    run(
        |clock| async move { Ok(Arc::new(MemoryStore::with_clock(clock))) },
        on_tokio,
    )
    .await;
}

#[tokio::test]
async fn the_suite_runs_on_a_runtime_of_one_thread() {
    memory().run().await;
}

#[test]
fn the_suite_runs_without_a_runtime() {
    let (done, result) = std::sync::mpsc::channel();
    let suite = Suite::new(|clock| async move { Ok(MemoryStore::with_clock(clock)) }, on_threads);
    on_threads(Box::pin(async move {
        let report = suite.check().await;
        done.send(report).expect("the test waits");
    }));
    let report = result.recv().expect("the suite ends");
    assert!(report.is_passed(), "{report}");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: BTreeSet<_> = cases().map(jam_core::conformance::Case::name).collect();
    assert_eq!(names.len(), cases().count());
    assert!(cases().all(|case| case.promise().is_none_or(|number| (1..=8).contains(&number))));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_runs_what_is_named_and_the_report_lists_the_rest() {
    let report = memory()
        .only("late_replace_does_not_revive_a_removed_record")
        .only("clearing")
        .check()
        .await;
    let chosen = cases().filter(|case| case.group() == "clearing").count() + 1;
    assert_eq!(report.passed().len(), chosen);
    let left_out: usize = report.not_run().iter().map(|left_out| left_out.cases.len()).sum();
    assert_eq!(chosen + left_out, cases().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_has_not_got_is_in_the_report_by_name() {
    let text = memory().server_clock().check().await.to_string();
    for group in ["clock", "handles", "durable"] {
        let count = cases().filter(|case| case.group() == group).count();
        assert!(text.contains(&format!("not run: {count} cases of {group}: ")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_case_is_in_the_report_with_its_reason() {
    let report = memory()
        .only("payloads")
        .skip("a_payload_of_a_megabyte_comes_back", "the service takes 400 KiB")
        .check()
        .await;
    let text = report.to_string();
    assert!(report.is_passed(), "{text}");
    assert!(
        text.contains("not run: a_payload_of_a_megabyte_comes_back (payloads): the service takes 400 KiB"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_exist_fails_the_run_and_is_corrected() {
    let report = memory().only("writng").check().await;
    assert!(!report.is_passed());
    assert!(
        report.mistakes()[0].contains("did you mean `writing`?"),
        "{:?}",
        report.mistakes()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spawn_function_that_drops_its_tasks_fails_the_run() {
    let suite = Suite::new(|clock| async move { Ok(MemoryStore::with_clock(clock)) }, drop::<Task>);
    let report = suite.only("a_store_has_a_name").check().await;
    let happened = report.failed()[0].failure.happened();
    assert_eq!(happened, "the runtime dropped it before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_opened_fails_every_case() {
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let open = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err::<MemoryStore, _>(jam_core::Error::new(jam_core::ErrorKind::Unavailable, "no such server")) }
    };
    let report = Suite::new(open, on_tokio).only("writing").check().await;
    assert!(report.passed().is_empty());
    assert_eq!(report.failed().len(), opened.load(Ordering::SeqCst));
    assert!(report.to_string().contains("no such server"), "{report}");
}

#[tokio::test]
async fn what_was_asked_for_and_did_not_run_is_no_success() {
    for suite in [
        memory().only("durable"),
        memory().only("handles").only("writing"),
        memory().only("clock").server_clock(),
        memory().only("writing").skip("writing", "not today"),
    ] {
        let report = suite.check().await;
        assert!(!report.is_passed(), "{report}");
        assert!(report.mistakes()[0].contains("was run: "), "{report}");
    }
    assert!(memory().only("writing").check().await.is_passed());
}

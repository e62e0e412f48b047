//! The chapter of the guide says what there is, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use metrics::set_default_local_recorder;

use crate::support::*;

fn root() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find(|folder| folder.join("Cargo.lock").exists())
        .unwrap()
        .to_owned()
}

fn chapter() -> String {
    fs::read_to_string(root().join("docs/guide/observability.md")).unwrap()
}

/// What stands in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of the table whose head begins like this, in cells.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = text
        .split_once(head)
        .unwrap_or_else(|| panic!("there is no table `{head}`"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

fn one(cell: &str) -> String {
    quoted(cell).pop_first().unwrap()
}

#[tokio::test]
async fn every_documented_metric_appears_with_its_labels_and_no_other_does() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    everything(&Moody::new()).await;
    let scrape = scrape(&recorder);
    let documented = table(&chapter(), "| name | kind | labels | meaning |");
    let documented: BTreeMap<_, _> = documented.iter().map(|row| (one(&row[0]), quoted(&row[2]))).collect();
    assert_eq!(names(&scrape), documented.keys().cloned().collect());
    let constants = [
        jam::metrics::OPERATIONS,
        jam::metrics::DURATION,
        jam::metrics::RETRIES,
        jam::metrics::GRACE,
        jam::metrics::EVICTED,
        jam::metrics::EXPIRED,
        jam::metrics::OUTAGES,
    ];
    assert_eq!(
        BTreeSet::from(constants.map(str::to_owned)),
        documented.keys().cloned().collect()
    );
    for series in scrape.keys() {
        let of_series = Scrape::from([(series.clone(), String::new())]);
        let labels: BTreeSet<_> = labels(&of_series).into_iter().map(|(label, _)| label).collect();
        let name = names(&of_series).pop_first().unwrap();
        assert_eq!(labels, documented[&name], "{series}");
    }
}

#[tokio::test]
async fn every_metric_has_a_help_text_once_they_are_described() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    jam::metrics::describe();
    everything(&Moody::new()).await;
    let text = recorder.handle().render();
    for name in names(&scrape(&recorder)) {
        let helps: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("# HELP {name} ")))
            .collect();
        assert!(matches!(helps[..], [help] if help.ends_with('.')), "{name}: {helps:?}");
    }
}

#[tokio::test]
async fn every_value_of_a_label_is_documented_and_every_operation_counts() {
    let recorder = recorder();
    let _counting = set_default_local_recorder(&recorder);
    everything(&Moody::new()).await;
    let seen = labels(&scrape(&recorder));
    let values = |label: &str| -> BTreeSet<_> {
        let of_label = seen.iter().filter(|(name, _)| name == label);
        of_label.map(|(_, value)| value.clone()).collect()
    };
    let documented = table(&chapter(), "| label | values |");
    let documented: BTreeMap<_, _> = documented.iter().map(|row| (one(&row[0]), quoted(&row[1]))).collect();
    assert_eq!(values("operation"), documented["operation"]);
    assert!(values("outcome").is_subset(&documented["outcome"]), "{seen:?}");
    assert_eq!(values("backend"), BTreeSet::from(["hooked".to_owned()]));
    // The kinds of errors, as the type lists them, and what no error is.
    let kinds = fs::read_to_string(root().join("jam-core/src/sessions/outcome.rs")).unwrap();
    let kinds: BTreeSet<_> = kinds.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let outcomes = documented["outcome"].iter().filter(|name| !name.contains(' '));
    let metrics_feature = "metrics".to_owned();
    let kinds: BTreeSet<_> = kinds.into_iter().filter(|name| *name != metrics_feature).collect();
    assert_eq!(outcomes.cloned().collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn every_operation_that_the_manager_runs_is_documented() {
    let documented = table(&chapter(), "| label | values |");
    let row = documented.iter().find(|row| one(&row[0]) == "operation").unwrap();
    let mut run = BTreeSet::new();
    for file in fs::read_dir(root().join("jam-core/src/sessions")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for begins in ["run(", "run_found(", "run_told(", "operation: "] {
            let named = source.split(begins).skip(1).map(str::trim_start);
            let names = named.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
            run.extend(names.map(str::to_owned));
        }
    }
    assert_eq!(run, quoted(&row[1]));
}

#[test]
fn the_chapter_lists_every_field_of_the_span() {
    let source = fs::read_to_string(root().join("jam-core/src/sessions/trace.rs")).unwrap();
    let (_, span) = source.split_once("debug_span!(").unwrap();
    let fields = arguments(span).split(',').skip(1);
    let fields = fields.map(|field| field.split('=').next().unwrap().trim());
    let fields: BTreeSet<_> = fields.filter(|field| !field.is_empty()).map(str::to_owned).collect();
    let documented = table(&chapter(), "| field | value |");
    let documented: BTreeSet<_> = documented.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(documented, fields);
}

#[test]
fn the_chapter_lists_every_event_with_its_level() {
    let mut events = BTreeSet::new();
    for crate_name in ["core", "http", "tower", "actix", "json", "sqlite", "redis", "crypto"] {
        collect(
            &root().join(format!("jam-{crate_name}/src")),
            &format!("jam_{crate_name}"),
            &mut events,
        );
    }
    let rows = table(&chapter(), "| level | message | target begins with | do |");
    let mut documented = BTreeSet::new();
    for row in rows {
        for target in quoted(&row[2]) {
            // One message is whatever the error says.
            let message = if row[1].contains('`') {
                one(&row[1])
            } else {
                "{why}".to_owned()
            };
            documented.insert((target, row[0].clone(), message));
        }
    }
    assert_eq!(documented, events);
}

/// What stands before the bracket that closes the one before it.
fn arguments(source: &str) -> &str {
    let (mut depth, mut quoted) = (1, false);
    let end = source.find(|sign| {
        match sign {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    &source[..end.unwrap()]
}

/// The events in the sources of a folder: who logs them, at which level, with which message.
fn collect(folder: &Path, target: &str, events: &mut BTreeSet<(String, String, String)>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            collect(&path, target, events);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let source = fs::read_to_string(path).unwrap();
            for level in ["error", "warn", "info", "debug", "trace"] {
                for event in source.split(&format!("tracing::{level}!(")).skip(1) {
                    // The message comes last.
                    let message = arguments(event).rsplit('"').nth(1).unwrap();
                    events.insert((target.to_owned(), level.to_uppercase(), message.to_owned()));
                }
            }
        }
    }
}

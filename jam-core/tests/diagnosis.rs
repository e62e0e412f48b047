//! What a backend finds out about itself: how bad it is, what there is, and what to do about it.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jam_core::{Error, ErrorKind, Finding, MemoryStore, Result, SessionStore, Severity, StoreConfig, StoreFactory};

fn opened_to(mode: u32, path: &Path) {
    assert!(fs::set_permissions(path, Permissions::from_mode(mode)).is_ok());
}

#[test]
fn a_finding_says_how_bad_it_is_and_what_to_do() {
    let fine = Finding::fine("a", "b");
    assert_eq!(
        (fine.severity, &*fine.subject, &*fine.found),
        (Severity::Fine, "a", "b")
    );
    assert_eq!(fine.advice, None);
    let warning = Finding::warning("a", "b", "c");
    assert_eq!(
        (warning.severity, warning.advice.as_deref()),
        (Severity::Warning, Some("c"))
    );
    let wrong = Finding::wrong("a", "b", "c");
    assert_eq!((wrong.severity, wrong.advice.as_deref()), (Severity::Wrong, Some("c")));
    let words = [Severity::Fine, Severity::Warning, Severity::Wrong].map(|severity| format!("{severity:8}|"));
    assert_eq!(words, ["fine    |", "warning |", "wrong   |"]);
    assert!(Severity::Fine < Severity::Warning && Severity::Warning < Severity::Wrong);
}

#[test]
fn an_error_is_shown_with_its_causes_and_advice_for_its_kind() {
    let inner = Error::new(ErrorKind::Unexpected, "the innermost");
    let error = Error::new(ErrorKind::Unavailable, "the outer").with_source(inner);
    let finding = Finding::error("a write", &error);
    assert_eq!(finding.severity, Severity::Wrong);
    let shown = finding.found.to_string();
    assert!(
        shown.contains("the outer") && shown.contains(": ") && shown.ends_with("the innermost"),
        "{shown}"
    );
    let mut advice: Vec<_> = [
        ErrorKind::Config,
        ErrorKind::Unavailable,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::Unexpected,
    ]
    .map(|kind| Finding::error("it", &kind.into()).advice.expect("some advice"))
    .into();
    advice.sort();
    advice.dedup();
    assert_eq!(advice.len(), 5, "each kind has its own: {advice:?}");
}

#[test]
fn a_file_that_others_may_open_is_wrong_and_what_mends_it_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for path in [&first, &second] {
        fs::write(path, "").expect("a file");
        opened_to(0o600, path);
    }
    let of_both = || Finding::of_files("a file", &first, [second.clone(), folder.path().join("none")]);
    let found = of_both();
    assert_eq!(found.len(), 1, "of those beside it only what is wrong: {found:?}");
    assert_eq!(found[0].severity, Severity::Fine);
    assert!(found[0].found.contains("mode 600"), "{found:?}");
    for (mode, path) in [(0o640, &second), (0o604, &second), (0o620, &second)] {
        opened_to(mode, path);
        let found = of_both();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1].severity, Severity::Wrong);
        assert!(found[1].found.contains(&format!("mode {mode:o}")), "{found:?}");
        assert_eq!(
            found[1].advice.as_deref(),
            Some(&*format!("chmod 600 {}", path.display()))
        );
    }
    opened_to(0o711, folder.path());
    let found = Finding::of_file("a directory", folder.path()).expect("it is there");
    assert_eq!(found.severity, Severity::Wrong);
    assert_eq!(
        found.advice.as_deref(),
        Some(&*format!("chmod 700 {}", folder.path().display()))
    );
    assert_eq!(Finding::of_file("nothing", &folder.path().join("none")), None);
}

/// A backend that says nothing of itself.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl StoreFactory for Silent {
    fn names(&self) -> &'static [&'static str] {
        &["silent"]
    }

    async fn open(&self, config: &mut StoreConfig) -> Result<Arc<dyn SessionStore>> {
        match config.take("broken") {
            Some(_) => Err(ErrorKind::Unavailable.into()),
            None => Ok(Arc::new(MemoryStore::new())),
        }
    }
}

#[tokio::test]
async fn a_backend_without_words_of_its_own_is_opened_and_tried_out() {
    let config = |fields: &str| StoreConfig::from_url(&format!("silent:{fields}")).expect("a URL");
    let found = Silent.diagnose(&mut config("")).await.expect("findings");
    assert!(
        matches!(&found[..], [only] if only.severity == Severity::Fine && only.subject == "a write"),
        "{found:?}"
    );
    let found = Silent.diagnose(&mut config("?broken=yes")).await;
    let wrong = |found: &[Finding]| found.iter().all(|finding| finding.severity == Severity::Wrong);
    assert!(
        found.as_deref().is_ok_and(|found| !found.is_empty() && wrong(found)),
        "{found:?}"
    );
}

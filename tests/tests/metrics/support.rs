//! Counting what one test does, and making everything happen that is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use jam::{ErrorKind, ManualClock, MemoryStore, SessionOptions, Sessions, SessionsBuilder, Timestamp, WhenFull};
use jam_tests::Hooked;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use serde_json::json;

/// What a scrape gets: the number of each series, both as Prometheus writes them.
pub(crate) type Scrape = BTreeMap<String, String>;

/// Counts for one thread, and so for one test.
pub(crate) fn recorder() -> PrometheusRecorder {
    let builder = PrometheusBuilder::new().set_buckets(&[0.001, 0.1, 10.0]).unwrap();
    builder.build_recorder()
}

pub(crate) fn scrape(recorder: &PrometheusRecorder) -> Scrape {
    let text = recorder.handle().render();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let number = |line: &str| {
        let (series, number) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), number.to_owned())
    };
    lines.map(number).collect()
}

/// The number of one series as it is written, or `none`.
pub(crate) fn number<'a>(scrape: &'a Scrape, series: &str) -> &'a str {
    scrape.get(series).map_or("none", String::as_str)
}

/// The names, without what a histogram adds to its own.
pub(crate) fn names(scrape: &Scrape) -> BTreeSet<String> {
    let name = |series: &String| {
        let name = series.split('{').next().unwrap();
        let parts = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part));
        parts.unwrap_or(name).to_owned()
    };
    scrape.keys().map(name).collect()
}

/// Every label with every value it has, but the bounds of buckets.
pub(crate) fn labels(scrape: &Scrape) -> BTreeSet<(String, String)> {
    let mut labels = BTreeSet::new();
    for series in scrape.keys() {
        let Some((_, of_series)) = series.split_once('{') else {
            continue;
        };
        for label in of_series.trim_end_matches('}').split("\",") {
            let (name, value) = label.split_once("=\"").unwrap();
            if name != "le" {
                labels.insert((name.to_owned(), value.trim_end_matches('"').to_owned()));
            }
        }
    }
    labels
}

/// A store in memory that fails when it is told to.
pub(crate) struct Moody {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Hooked>,
    pub(crate) away: Arc<AtomicBool>,
    pub(crate) beaten: Arc<AtomicBool>,
    pub(crate) silent: Arc<AtomicBool>,
}

impl Moody {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_767_225_600)));
        let [away, beaten, silent] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
        let (is_away, is_beaten, is_silent) = (Arc::clone(&away), Arc::clone(&beaten), Arc::clone(&silent));
        let hook = move |method| {
            let lost = matches!(method, "replace" | "rename") && is_beaten.swap(false, SeqCst);
            let (away, silent) = (is_away.load(SeqCst), is_silent.load(SeqCst));
            async move {
                match (silent, away, lost) {
                    (true, ..) => std::future::pending().await,
                    (_, true, _) => Err(ErrorKind::Unavailable.into()),
                    (.., true) => Err(ErrorKind::Conflict.into()),
                    _ => Ok(()),
                }
            }
        };
        let store = Arc::new(MemoryStore::with_clock(clock.clone()));
        Self {
            store: Arc::new(Hooked::new(store, hook)),
            clock,
            away,
            beaten,
            silent,
        }
    }

    pub(crate) fn builder(&self) -> SessionsBuilder {
        Sessions::builder(Arc::clone(&self.store)).clock(self.clock.clone())
    }

    /// The next write loses to somebody else.
    pub(crate) fn beat(&self) {
        self.beaten.store(true, SeqCst);
    }

    /// Every call fails, or none any more.
    pub(crate) fn send_away(&self, away: bool) {
        self.away.store(away, SeqCst);
    }
}

pub(crate) const KEY: &str = "alice@example.org";

/// Everything that is counted happens at least once. Gives what is secret about it.
pub(crate) async fn everything(moody: &Moody) -> Vec<String> {
    let mut secrets = vec![KEY.to_owned(), "sesame-open".to_owned(), "bob".to_owned()];
    let builder = moody.builder().grace(Duration::from_secs(30));
    let sessions = builder.max_sessions(2, WhenFull::EvictOldest).build().unwrap();
    let data = json!({"pin": "sesame-open"});
    for _ in 0..3 {
        moody.clock.advance(Duration::from_secs(1));
        secrets.push(sessions.create(KEY, &data).await.unwrap().as_str().to_owned());
    }
    let id = secrets.last().unwrap().clone();
    let mut session = sessions.get(&id).await.unwrap().unwrap();
    secrets.push(session.handle().to_string());
    session.insert("more", 1).unwrap();
    sessions.commit(session).await.unwrap();
    assert!(sessions.get("sesame-open").await.unwrap().is_none());
    assert!(sessions.exists(&id).await.unwrap());
    sessions.update(&id, &data).await.unwrap();
    sessions.update("sesame-open", &data).await.unwrap_err();
    sessions.touch(&id).await.unwrap();
    moody.beat();
    sessions
        .modify(&id, |data| data.insert("n".into(), 1.into()))
        .await
        .unwrap();
    let id = sessions.rework(&id).await.unwrap();
    let graced = sessions.rework_with_grace(&id).await.unwrap();
    assert!(sessions.exists(&id).await.unwrap());
    secrets.extend([id.as_str().to_owned(), graced.as_str().to_owned()]);
    let session = sessions.get(&graced).await.unwrap().unwrap();
    let half_a_minute = Duration::from_secs(30);
    sessions.mark_superseded(&session, half_a_minute).await.unwrap();
    assert!(sessions.was_superseded(&graced).await.unwrap());
    let id = sessions.rework_as(&graced, "bob", SessionOptions::new()).await.unwrap();
    secrets.push(id.as_str().to_owned());
    sessions.clear_others(&id).await.unwrap();
    for info in sessions.list("bob").await.unwrap() {
        sessions.revoke("bob", info.handle()).await.unwrap();
    }
    sessions.create(KEY, json!([])).await.unwrap_err();
    sessions.create("", &data).await.unwrap_err();
    sessions.delete(&id).await.unwrap();
    moody.clock.advance(Duration::from_hours(2));
    sessions.remove_expired().await.unwrap();
    moody.send_away(true);
    sessions.clear(KEY).await.unwrap_err();
    moody.send_away(false);
    sessions.clear(KEY).await.unwrap();
    sessions.close().await.unwrap();
    secrets
}

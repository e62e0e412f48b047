//! What kills of the primary under load cost, with `wait_replicas` and without. The first, the third and
//! so on meet replicas that have been cut off for a moment. `JAM_TEST_KILLS` says how many (1 by default); with `--nocapture`
//! the figures are shown.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what this is for")]

mod support;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jam_redis::RedisStore;
use jam_test_servers::{Cluster, Kind, Sentinels, Server};
use jam_test_trials::Trials;
use support::account::Wrong;
use support::load::Load;
use support::{IN_TIME, cluster_url, options, path, sentinel_url};

const WITHIN: Duration = Duration::from_millis(300);
/// How long the replicas have been cut off then.
const LAG: Duration = Duration::from_millis(50);
const QUIET: Duration = Duration::from_millis(500);

/// Servers of which one can be killed.
trait Cast {
    fn url(&self) -> String;
    /// The primary that is to go, and its replicas.
    fn victims(&self, kill: u64) -> (&Server, Vec<&Server>);
    /// Waits for the primary's successor.
    fn wait_for_successor(&self);
    fn wait_until_ok(&self);
}

impl Cast for Cluster {
    fn url(&self) -> String {
        cluster_url(self.nodes())
    }

    fn victims(&self, kill: u64) -> (&Server, Vec<&Server>) {
        let key = format!("victim{kill}");
        (self.primary_of(&key), vec![self.replica_of(&key)])
    }

    fn wait_for_successor(&self) {
        self.wait_until_ok();
    }

    fn wait_until_ok(&self) {
        self.wait_until_ok();
    }
}

impl Cast for Sentinels {
    fn url(&self) -> String {
        sentinel_url(self.sentinels())
    }

    fn victims(&self, _kill: u64) -> (&Server, Vec<&Server>) {
        let primary = self.primary();
        let replicas = self.nodes().iter().filter(|node| node.port() != primary.port());
        (primary, replicas.collect())
    }

    fn wait_for_successor(&self) {
        self.wait_for_new_primary();
    }

    fn wait_until_ok(&self) {
        self.wait_until_ok();
    }
}

/// What so many kills came to.
#[derive(Default)]
struct Figures {
    kills: usize,
    sessions: usize,
    calls: u64,
    unknown: u64,
    saves_lost: usize,
    reworks_lost: usize,
    ends_undone: usize,
    strange: usize,
    recovery: Vec<Duration>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut recovery = self.recovery.clone();
        recovery.sort();
        let at = |share: usize| recovery.get(recovery.len().saturating_sub(1) * share / 100).copied();
        write!(
            f,
            "{} kills, {} calls, {} sessions: {} saves lost, {} reworks lost, {} ends undone, {} unknown outcomes; \
             recovery median {:.1?}, longest {:.1?}",
            self.kills,
            self.calls,
            self.sessions,
            self.saves_lost,
            self.reworks_lost,
            self.ends_undone,
            self.unknown,
            at(50).unwrap_or_default(),
            at(100).unwrap_or_default(),
        )
    }
}

/// Kills, and kills again; what became of the kills that met replicas in step, and of those that met late ones.
async fn kill(what: &str, cast: &impl Cast, replicas: u32) -> [Figures; 2] {
    let path = path();
    let store = options(cast.url(), &path).wait_replicas(replicas, WITHIN);
    let store: Arc<RedisStore> = Arc::new(store.open().await.unwrap());
    let mut figures = [Figures::default(), Figures::default()];
    for kill in Trials::new(format!("kills, {what}, waiting for {replicas}"), "JAM_TEST_KILLS", 1) {
        let cut_off = kill % 2 == 0;
        let of = &mut figures[usize::from(cut_off)];
        let load = Load::start(&store, 64, true, move |task, key| format!("{kill}.{task}.{key}"));
        load.calls(2_000).await;
        let (primary, followers) = cast.victims(kill);
        if cut_off {
            for replica in &followers {
                replica.pause();
            }
            // Or what they miss would wait for them in the connection.
            primary.command(&["CLIENT", "KILL", "TYPE", "replica"]);
            tokio::time::sleep(LAG).await;
        }
        let killed = Instant::now();
        primary.kill();
        for replica in &followers {
            replica.resume();
        }
        cast.wait_for_successor();
        if replicas > 0 {
            // Until then there are too few for what waits.
            of.recovery.push(killed.elapsed());
        } else {
            of.recovery.push(load.calm(QUIET, killed).await);
        }
        primary.restart();
        cast.wait_until_ok();
        load.calm(QUIET, killed).await;
        let report = load.stop().await;
        report.assert_errors_are_honest(IN_TIME + WITHIN);
        of.kills += 1;
        of.calls += report.calls;
        of.sessions += report.sessions();
        of.unknown += report.unknown;
        for wrong in report.check(&*store).await {
            match wrong {
                Wrong::Lost(_) => of.saves_lost += 1,
                Wrong::Unmoved(_) => of.reworks_lost += 1,
                Wrong::Revived(_) => of.ends_undone += 1,
                Wrong::Strange(_) => of.strange += 1,
            }
        }
    }
    figures
}

async fn show(what: &str, cast: &impl Cast, replicas: u32) -> [Figures; 2] {
    let figures = kill(what, cast, replicas).await;
    println!("{what}, waiting for {replicas}, replicas in step:      {}", figures[0]);
    println!(
        "{what}, waiting for {replicas}, replicas {LAG:?} cut off: {}",
        figures[1]
    );
    figures
}

fn assert_nothing_undone(figures: &[Figures; 2]) {
    for figures in figures {
        assert_eq!(
            (figures.ends_undone, figures.reworks_lost, figures.strange),
            (0, 0, 0),
            "{figures}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_in_a_cluster_undo_no_end_of_a_session_that_every_replica_confirmed() {
    let figures = show("Cluster", &Cluster::start(Kind::New), 1).await;
    assert_nothing_undone(&figures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_behind_sentinels_undo_no_end_of_a_session_that_every_replica_confirmed() {
    let figures = show("Sentinel", &Sentinels::start(Kind::New), 2).await;
    assert_nothing_undone(&figures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_in_a_cluster_without_waiting_cross_no_replies() {
    show("Cluster", &Cluster::start(Kind::New), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_behind_sentinels_without_waiting_cross_no_replies() {
    show("Sentinel", &Sentinels::start(Kind::New), 0).await;
}

//! The suite: which store, on which runtime, which cases; running them and gathering what they find.

use std::env;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::case::{Case, GROUPS, Need, cases};
use super::report::{FailedCase, Failure, NotRun, Report, Verdict};
use super::tasks::{Spawner, Task, guarded, spawn, within};
use super::trial::{Time, Trial};
use crate::{Clock, Load, ManualClock, Result, SessionStore, SystemClock, did_you_mean};

type Opening<S> = Pin<Box<dyn Future<Output = Result<S>> + Send>>;
type Open<S> = Arc<dyn Fn(Arc<dyn Clock>) -> Opening<S> + Send + Sync>;
type OpenSecond<S> = Arc<dyn Fn(Arc<S>) -> Opening<Arc<dyn SessionStore>> + Send + Sync>;

/// The conformance suite for one store. See the [module docs](super) for what it proves and how to read a failure.
pub struct Suite<S> {
    open: Open<S>,
    second: Option<OpenSecond<S>>,
    spawner: Spawner,
    server_clock: bool,
    durable: bool,
    cached: bool,
    only: Vec<String>,
    skipped: Vec<(String, String)>,
    intensity: Option<usize>,
    patience: Duration,
}

impl<S: SessionStore> Suite<S> {
    /// A suite for the store that `open` opens, once for every case, with tasks that `spawn` starts.
    ///
    /// `open` gets the clock the store has to judge by; the suite turns it. It may open the same files or the same
    /// server every time: every case keeps to keys of its own, and what it has opened is closed before the next begins.
    /// Since the clock is turned, files and databases of a store that uses it must hold nothing of value.
    ///
    /// `spawn` starts a task on the runtime the store needs and does not wait for it, such as `|task|
    /// drop(tokio::spawn(task))`. A store that needs none takes [`on_threads`](super::on_threads). Races are only as
    /// parallel as the runtime is: give it several threads.
    pub fn new<Opened>(
        open: impl Fn(Arc<dyn Clock>) -> Opened + Send + Sync + 'static,
        spawn: impl Fn(Task) + Send + Sync + 'static,
    ) -> Self
    where
        Opened: Future<Output = Result<S>> + Send + 'static,
    {
        Self {
            open: Arc::new(move |clock| Box::pin(open(clock))),
            second: None,
            spawner: Arc::new(spawn),
            server_clock: false,
            durable: false,
            cached: false,
            only: Vec::new(),
            skipped: Vec::new(),
            intensity: None,
            patience: Duration::from_mins(2),
        }
    }

    /// The store does not judge by the clock it is given but by a server's, which agrees with this machine's clock
    /// within a minute. Records then expire by getting an expiry in the past, and the group `clock` is not run.
    #[must_use]
    pub fn server_clock(mut self) -> Self {
        self.server_clock = true;
        self
    }

    /// How to open a second handle on the sessions of an open store: another connection, another instance on the same
    /// directory. Runs the group `handles`, and lets the tasks of every race use both handles in turn.
    #[must_use]
    pub fn second_handle<T, Opened>(mut self, open: impl Fn(Arc<S>) -> Opened + Send + Sync + 'static) -> Self
    where
        T: SessionStore,
        Opened: Future<Output = Result<T>> + Send + 'static,
    {
        self.second = Some(Arc::new(move |first| {
            let opening = open(first);
            Box::pin(async move { Ok(Arc::new(opening.await?) as Arc<dyn SessionStore>) })
        }));
        self
    }

    /// Sessions outlive [`close`](SessionStore::close): opening the store again, within a case, finds them. Runs the
    /// group `durable`.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Reads of this store may come from a cache that does not know at once what another handle wrote. What another handle
    /// may have written is then looked for past it, by [`Load::fresh`].
    #[must_use]
    pub fn cached(mut self) -> Self {
        self.cached = true;
        self
    }

    /// Runs only this case, or this group; call it again for more.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only.push(name.into());
        self
    }

    /// Leaves out a case, or a group. The report says so, and why.
    #[must_use]
    pub fn skip(mut self, name: impl Into<String>, why: impl Into<String>) -> Self {
        self.skipped.push((name.into(), why.into()));
        self
    }

    /// Multiplies the rounds of every race; 1 by default, or what the environment variable `JAM_CONFORMANCE_INTENSITY`
    /// says. With 1 the suite makes about 16,000 writes, and more in the races of a store that is quick about them:
    /// about 2 s for one in memory, 15 s for one that takes a millisecond for a write.
    #[must_use]
    pub fn intensity(mut self, times: usize) -> Self {
        self.intensity = Some(times);
        self
    }

    /// How long a case may take before it counts as stuck; 2 minutes by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With the [`Report`] if a case failed.
    pub async fn run(self) -> Report {
        let report = self.check().await;
        assert!(report.is_passed(), "{report}");
        report
    }

    /// Runs the suite and tells what it found.
    pub async fn check(self) -> Report {
        let mut report = Report {
            mistakes: self.unknown_names(),
            ..Report::default()
        };
        let intensity = match self.intensity_asked_for() {
            Ok(intensity) => intensity,
            Err(mistake) => {
                report.mistakes.push(mistake);
                return report;
            }
        };
        let store_name = Arc::new(Mutex::new(""));
        for group in GROUPS {
            for case in group.cases {
                if let Some(why) = self.leaves_out(group.need, case) {
                    report.leave_out(case, why);
                    continue;
                }
                match self.check_case(case, intensity, &store_name).await {
                    Ok(()) => report.passed.push(case),
                    Err(failure) => report.failed.push(FailedCase { case, failure }),
                }
            }
        }
        report.mistakes.extend(self.idle_names(&report));
        report.store = *store_name.lock().unwrap_or_else(PoisonError::into_inner);
        report
    }

    /// Opens, runs, closes: in a task of its own, so that a case that never comes back cannot hold the suite up.
    async fn check_case(&self, case: &'static Case, intensity: usize, name: &Arc<Mutex<&'static str>>) -> Verdict {
        let (time, clock): (_, Arc<dyn Clock>) = if self.server_clock {
            (Time::Real(SystemClock.now()), Arc::new(SystemClock))
        } else {
            let clock = Arc::new(ManualClock::new(SystemClock.now()));
            (Time::Turned(Arc::clone(&clock)), clock)
        };
        let (open, second) = (Arc::clone(&self.open), self.second.clone());
        let (spawner, name) = (Arc::clone(&self.spawner), Arc::clone(name));
        let look = if self.cached { Load::new().fresh() } else { Load::new() };
        let whole = async move {
            let store = Arc::new(open(Arc::clone(&clock)).await?);
            *name.lock().unwrap_or_else(PoisonError::into_inner) = store.name();
            let second = match second {
                Some(second) => Some(second(Arc::clone(&store)).await?),
                None => None,
            };
            let reopen = Box::new(move || {
                let opening = open(Arc::clone(&clock));
                Box::pin(async move { Ok(Arc::new(opening.await?) as Arc<dyn SessionStore>) }) as Opening<_>
            });
            let trial = Trial::new(store, second, reopen, time, spawner, intensity, look);
            let verdict = guarded(case.run(&trial)).await.flatten();
            let finish = guarded(trial.finish()).await.flatten();
            verdict.and(finish)
        };
        let ended = within(self.patience, spawn(&self.spawner, whole)).await;
        let stuck = || {
            Err(Failure::new(
                format!("the case ends within {} s", self.patience.as_secs_f32()),
                "it does not; a lock that is held for ever, or a call that never wakes its caller",
            ))
        };
        ended.map_or_else(stuck, Result::flatten)
    }

    /// Why a case is not run, if it is not.
    fn leaves_out(&self, need: Need, case: &Case) -> Option<&str> {
        let meant = |name: &str| is_named(case, name);
        if !self.only.is_empty() && !self.only.iter().any(|name| meant(name)) {
            return Some("`Suite::only` names others");
        }
        if let Some((_, why)) = self.skipped.iter().find(|(name, _)| meant(name)) {
            return Some(why);
        }
        match need {
            Need::Clock if self.server_clock => Some("a server's clock cannot be turned (`Suite::server_clock`)"),
            Need::SecondHandle if self.second.is_none() => Some("there is no `Suite::second_handle`"),
            Need::Durability if !self.durable => Some("the store is not said to be `Suite::durable`"),
            _ => None,
        }
    }

    fn unknown_names(&self) -> Vec<String> {
        let mut known: Vec<_> = cases().map(Case::name).collect();
        known.extend(GROUPS.iter().map(|group| group.name));
        let named = self.only.iter().chain(self.skipped.iter().map(|(name, _)| name));
        named
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| {
                let hint = did_you_mean(name, &known).map(|near| format!("; did you mean `{near}`?"));
                format!("there is no case or group `{name}`{}", hint.unwrap_or_default())
            })
            .collect()
    }

    /// What was asked for by [`only`](Self::only) and did not run, so that nothing was shown by it.
    fn idle_names(&self, report: &Report) -> Vec<String> {
        let ran = |name: &str| {
            let failed = report.failed.iter().map(|failed| failed.case);
            let mut all = report.passed.iter().copied().chain(failed);
            all.any(|case| is_named(case, name))
        };
        let why = |name: &str| {
            let of_it = |not_run: &&NotRun| not_run.cases.iter().any(|case| is_named(case, name));
            report.not_run.iter().find(of_it).map(|not_run| not_run.why.as_str())
        };
        let idle = self.only.iter().filter(|name| !ran(name));
        idle.filter_map(|name| Some(format!("nothing of `{name}` was run: {}", why(name)?)))
            .collect()
    }

    fn intensity_asked_for(&self) -> Result<usize, String> {
        const VARIABLE: &str = "JAM_CONFORMANCE_INTENSITY";
        match (self.intensity, env::var(VARIABLE)) {
            (Some(times), _) => Ok(times.max(1)),
            (None, Err(_)) => Ok(1),
            (None, Ok(text)) => match text.parse() {
                Ok(times) if times > 0 => Ok(times),
                _ => Err(format!(
                    "{VARIABLE} is `{}`; a whole number from 1 on is right",
                    text.escape_debug()
                )),
            },
        }
    }
}

/// Whether this is the name of a case, or of its group.
fn is_named(case: &Case, name: &str) -> bool {
    name == case.name() || name == case.group()
}

impl<S> fmt::Debug for Suite<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("server_clock", &self.server_clock)
            .field("second_handle", &self.second.is_some())
            .field("durable", &self.durable)
            .field("cached", &self.cached)
            .field("only", &self.only)
            .field("skipped", &self.skipped)
            .field("intensity", &self.intensity)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

//! What a run found.

use std::fmt;
use std::panic::Location;

use super::Case;
use crate::Error;

/// How a case, or a step of it, went.
pub(super) type Verdict<T = ()> = Result<T, Failure>;

/// What a case expected and what happened instead. Says nothing of payloads, keys or ids.
#[derive(Clone, Debug)]
pub struct Failure {
    expected: String,
    happened: String,
    at: &'static Location<'static>,
}

impl Failure {
    #[track_caller]
    pub(super) fn new(expected: impl Into<String>, happened: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            happened: happened.into(),
            at: Location::caller(),
        }
    }

    /// What the contract asks for.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What the store did.
    pub fn happened(&self) -> &str {
        &self.happened
    }

    /// The line of the suite that noticed.
    pub fn at(&self) -> &'static Location<'static> {
        self.at
    }
}

/// What a step several cases share expected and did not find; it becomes a [`Failure`] of the line that asked for the
/// step.
#[derive(Debug)]
pub(super) struct Unmet {
    expected: &'static str,
    happened: String,
}

impl Unmet {
    pub(super) fn new(expected: &'static str, happened: impl Into<String>) -> Self {
        Self {
            expected,
            happened: happened.into(),
        }
    }
}

impl From<Error> for Unmet {
    fn from(error: Error) -> Self {
        Self::new("the call succeeds", format!("the error \"{error}\""))
    }
}

impl From<Unmet> for Failure {
    #[track_caller]
    fn from(unmet: Unmet) -> Self {
        Self::new(unmet.expected, unmet.happened)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Unmet::from(error).into()
    }
}

/// A case the store did not pass.
#[derive(Clone, Debug)]
pub struct FailedCase {
    /// Which case.
    pub case: &'static Case,
    /// What happened.
    pub failure: Failure,
}

/// Cases that were not run, for one reason.
#[derive(Clone, Debug)]
pub struct NotRun {
    /// Which cases.
    pub cases: Vec<&'static Case>,
    /// Why not.
    pub why: String,
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [case] = self.cases[..] {
            return write!(f, "{} ({}): {}", case.name(), case.group(), self.why);
        }
        let mut groups: Vec<_> = self.cases.iter().map(|case| case.group()).collect();
        groups.dedup();
        write!(f, "{} cases of {}: {}", self.cases.len(), groups.join(", "), self.why)
    }
}

/// The outcome of a [`Suite`](super::Suite). `Display` gives it as text.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub(super) store: &'static str,
    pub(super) passed: Vec<&'static Case>,
    pub(super) failed: Vec<FailedCase>,
    pub(super) not_run: Vec<NotRun>,
    pub(super) mistakes: Vec<String>,
}

impl Report {
    pub(super) fn leave_out(&mut self, case: &'static Case, why: &str) {
        match self.not_run.iter_mut().find(|not_run| not_run.why == why) {
            Some(not_run) => not_run.cases.push(case),
            None => self.not_run.push(NotRun {
                cases: vec![case],
                why: why.to_owned(),
            }),
        }
    }

    /// Whether every case that was run passed, and the suite was set up rightly.
    pub fn is_passed(&self) -> bool {
        self.failed.is_empty() && self.mistakes.is_empty()
    }

    /// The cases that passed.
    pub fn passed(&self) -> &[&'static Case] {
        &self.passed
    }

    /// The cases that failed.
    pub fn failed(&self) -> &[FailedCase] {
        &self.failed
    }

    /// What was not run, and why.
    pub fn not_run(&self) -> &[NotRun] {
        &self.not_run
    }

    /// What is wrong with how the suite was set up, such as a case name that does not exist.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = if self.store.is_empty() {
            "(not opened)"
        } else {
            self.store
        };
        writeln!(
            f,
            "store `{store}` against the contract: {} cases passed, {} failed",
            self.passed.len(),
            self.failed.len()
        )?;
        for mistake in &self.mistakes {
            writeln!(f, "\nthe suite is not set up rightly: {mistake}")?;
        }
        for FailedCase { case, failure } in &self.failed {
            let promise = case.promise().map(|number| format!(", promise {number}"));
            writeln!(f, "\n{} ({}{})", case.name(), case.group(), promise.unwrap_or_default())?;
            writeln!(f, "    expected  {}", failure.expected)?;
            writeln!(f, "    happened  {}", failure.happened)?;
            writeln!(f, "    seen at   {}:{}", failure.at.file(), failure.at.line())?;
        }
        for not_run in &self.not_run {
            writeln!(
                f,
                "
not run: {not_run}"
            )?;
        }
        if let Some(first) = self.failed.first() {
            writeln!(
                f,
                "\nPromises are numbered as in the docs of `SessionStore`. One case alone: `Suite::only(\"{}\")`.",
                first.case.name()
            )?;
        }
        Ok(())
    }
}

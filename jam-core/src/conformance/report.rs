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

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new("the call succeeds", format!("the error \"{error}\""))
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

/// A case, or a whole group, that was not run.
#[derive(Clone, Debug)]
pub struct NotRun {
    /// The name of the case or the group.
    pub name: &'static str,
    /// How many cases that is.
    pub cases: usize,
    /// Why not.
    pub why: String,
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
            writeln!(f, "\n{} ({}, promise {})", case.name(), case.group(), case.promise())?;
            writeln!(f, "    expected  {}", failure.expected)?;
            writeln!(f, "    happened  {}", failure.happened)?;
            writeln!(f, "    seen at   {}:{}", failure.at.file(), failure.at.line())?;
        }
        for NotRun { name, cases, why } in &self.not_run {
            let unit = if *cases == 1 { "case" } else { "cases" };
            writeln!(f, "\nnot run: {name} ({cases} {unit}): {why}")?;
        }
        if let Some(first) = self.failed.first() {
            writeln!(
                f,
                "\nThe promises are numbered as in the docs of `SessionStore`. One case alone: `Suite::only(\"{}\")`.",
                first.case.name()
            )?;
        }
        Ok(())
    }
}

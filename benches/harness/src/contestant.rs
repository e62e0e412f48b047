//! Who takes part, and what everybody does.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// What a contestant is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// jam.
    Jam,
    /// What the storage itself costs: the least that could do the same.
    Limit,
    /// Another session library.
    Peer,
}

/// Who it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// In the tables.
    pub name: String,
    /// What it is there for.
    pub kind: Kind,
    /// How it is set up, and what an acknowledged write survives, in words.
    pub settings: String,
    /// The package it comes in, whose version the tables tell.
    pub package: Option<String>,
}

impl About {
    /// jam, with these settings.
    pub fn jam(name: &str, settings: &str) -> Self {
        Self::of(name, Kind::Jam, settings)
    }

    /// What the storage itself costs.
    pub fn limit(name: &str, settings: &str) -> Self {
        Self::of(name, Kind::Limit, settings)
    }

    /// Another library, which comes in this package; a name behind a blank tells two of one package apart.
    pub fn peer(name: &str, settings: &str) -> Self {
        let package = name.split([' ', ',']).next().map(str::to_owned);
        Self {
            package,
            ..Self::of(name, Kind::Peer, settings)
        }
    }

    fn of(name: &str, kind: Kind, settings: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            settings: settings.to_owned(),
            package: None,
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new session, which `Delete` ends.
    Create,
    /// A session by its id, as the library gives it.
    Get,
    /// The same, with all of its data as values.
    Read,
    /// New data for a session.
    Update,
    /// Load a session, change a field, commit it.
    Request,
    /// All sessions of a user.
    List,
    /// A new id for a session.
    Rework,
    /// The end of a session.
    Delete,
}

/// In the order of a turn: what is created goes again before anything else is measured.
pub const OPERATIONS: [Operation; 8] = [
    Operation::Create,
    Operation::Delete,
    Operation::Get,
    Operation::Read,
    Operation::Update,
    Operation::Request,
    Operation::List,
    Operation::Rework,
];

impl Operation {
    /// In the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Read => "get, all data",
            Self::Update => "update",
            Self::Request => "a request",
            Self::List => "list",
            Self::Rework => "rework",
            Self::Delete => "delete",
        }
    }
}

/// What one operation, done so many times, took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Turn {
    /// How often it was done.
    pub count: usize,
    /// All of them together.
    pub seconds: f64,
    /// Half of the calls took at most so many microseconds.
    pub p50: f64,
    /// All but one in a hundred took at most so many microseconds.
    pub p99: f64,
}

impl Turn {
    /// Of the times of single calls, in seconds.
    pub fn of(count: usize, seconds: f64, mut calls: Vec<f64>) -> Self {
        calls.sort_by(f64::total_cmp);
        let at = |part: usize| calls.get(calls.len() * part / 100).map_or(f64::NAN, |call| call * 1e6);
        Self {
            count,
            seconds,
            p50: at(50),
            p99: at(99),
        }
    }

    /// Operations per second.
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// A library with sessions in it.
#[async_trait]
pub trait Contestant: Send {
    /// Who it is.
    fn about(&self) -> &About;

    /// How often it is asked to do something at least: once by each task, unless it is so slow that that takes minutes.
    fn least(&self, tasks: usize) -> usize {
        tasks
    }

    /// Puts sessions in that stay, for so many tasks to work on.
    async fn fill(&mut self, sessions: usize, tasks: usize) -> Result<(), Failure>;

    /// Does it about so many times on so many tasks; `Delete` ends what `Create` has begun, as far as that goes. `None` if there
    /// is no such operation.
    async fn turn(&mut self, operation: Operation, tasks: usize, count: usize) -> Result<Option<Turn>, Failure>;
}

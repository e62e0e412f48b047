//! Many calls in one transaction: each decided by itself, all made durable with one commit.

use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use jam_core::{Clock, Result, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Either, Executor, Row, SqliteConnection};

use crate::backlog::Reply;
use crate::kind::{self, Decision, Explanation, Judged, Kind, Outcome};
use crate::patience::{Patience, Queued};
use crate::reader::{self, Failed};
use crate::request::{Answer, Call, Place, Request};
use crate::row::Values;
use crate::statements::{Many, Sql, Statements};
use crate::trouble;

/// A call, and what it will hear once it is durable.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) request: Request,
    pub(crate) queued: Queued,
    pub(crate) reply: Reply<Answer>,
    pub(crate) answer: Option<Result<Answer>>,
}

impl From<Call> for Pending {
    fn from(call: Call) -> Self {
        Self {
            request: call.request,
            queued: call.queued,
            reply: call.reply,
            answer: None,
        }
    }
}

/// How far it got.
#[derive(Debug)]
pub(crate) enum Halted {
    /// Nothing is left of it.
    Undone(sqlx::Error),
    /// It may be found committed after a crash.
    Committing(sqlx::Error),
}

impl Halted {
    /// By this error of a commit.
    pub(crate) fn committing(error: sqlx::Error) -> Self {
        if trouble::may_have_been_committed(&error) {
            Self::Committing(error)
        } else {
            Self::Undone(error)
        }
    }
}

/// What it takes to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen<'a> {
    pub(crate) statements: &'a Statements,
    pub(crate) clock: &'a dyn Clock,
    /// What is left of it to the oldest of the calls.
    pub(crate) patience: Patience<'a>,
    /// See [`Pen::LEAD`].
    pub(crate) lead: Duration,
}

impl Pen<'_> {
    /// Decides all calls in one transaction and commits it.
    pub(crate) async fn together(self, connection: &mut SqliteConnection, calls: &mut [Pending]) -> Result<(), Halted> {
        loop {
            if let Err(error) = self.patiently(connection, "BEGIN IMMEDIATE").await {
                roll_back(connection).await;
                return Err(Halted::Undone(error));
            }
            let mut began = Instant::now();
            let error = match self.decide_all(connection, calls).await {
                Ok(()) => {
                    let committed = self.commit(connection).await;
                    if committed.is_err() {
                        forget(calls);
                    }
                    return committed;
                }
                Err(error) => error,
            };
            roll_back(connection).await;
            forget(calls);
            // In a shared cache others may be reading from the table.
            if !trouble::is_busy(&error) || !self.patience.outlasts(&mut began).await {
                return Err(Halted::Undone(error));
            }
        }
    }

    pub(crate) async fn commit(self, connection: &mut SqliteConnection) -> Result<(), Halted> {
        match self.patiently(connection, "COMMIT").await {
            Ok(()) => Ok(()),
            Err(error) => {
                roll_back(connection).await;
                Err(Halted::committing(error))
            }
        }
    }

    async fn decide_all(self, connection: &mut SqliteConnection, calls: &mut [Pending]) -> Result<(), sqlx::Error> {
        // With the lock held, so that no writer before it was judged by a later time.
        let now = self.clock.now();
        for kind in Kind::ALL {
            let mut of_kind: Vec<_> = calls
                .iter_mut()
                .filter(|call| Kind::of(&call.request) == Some(kind))
                .collect();
            for chunk in of_kind.chunks_mut(Many::MOST) {
                self.decide_series(connection, kind, chunk, now).await?;
            }
        }
        for call in calls.iter_mut().filter(|call| call.answer.is_none()) {
            call.answer = Some(self.decide_single(connection, &call.request, now).await?);
        }
        Ok(())
    }

    async fn decide_series(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        calls: &mut [&mut Pending],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let requests: Vec<_> = calls.iter().map(|call| &call.request).collect();
        let outcomes = self.series(connection, kind, &requests, Judged::at(now)).await?;
        for (call, outcome) in calls.iter_mut().zip(outcomes) {
            call.answer = match kind::decide(&call.request, &outcome) {
                Decision::Answer(answer) => Some(answer),
                Decision::Look(_) => None,
            };
        }
        for call in calls.iter_mut().filter(|call| call.answer.is_none()) {
            call.answer = Some(self.explain(connection, kind, &call.request, now).await?);
        }
        Ok(())
    }

    /// Why a call has changed nothing. If the next one of its series is the reason it may have become possible, so it is
    /// tried again; then nothing comes in between.
    async fn explain(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<Answer>, sqlx::Error> {
        let mut outcome = Outcome::default();
        for _ in 0..2 {
            let places = match kind::decide(request, &outcome) {
                Decision::Answer(answer) => return Ok(answer),
                Decision::Look(places) => places,
            };
            let found = reader::find(connection, self.statements, &places).await?;
            match kind::explain(request, found, now) {
                Explanation::Answer(answer) => return Ok(answer),
                Explanation::Expired(answer) => {
                    for place in &places {
                        self.bury(connection, place, now).await?;
                    }
                    return Ok(answer);
                }
                Explanation::Again => {}
            }
            let outcomes = self.series(connection, kind, &[request], Judged::at(now)).await?;
            outcome = outcomes.into_iter().next().unwrap_or_default();
            if let Decision::Answer(answer) = kind::decide(request, &outcome) {
                return Ok(answer);
            }
        }
        Ok(Err(trouble::confused()))
    }

    /// Runs the statement of this kind for these calls (at most [`Many::MOST`]) on one trip.
    pub(crate) async fn series(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        requests: &[&Request],
        judged: Judged,
    ) -> Result<Vec<Outcome>, sqlx::Error> {
        let (size, sql) = kind.statement(self.statements).among_others.taking(requests.len());
        let mut values = Values::default();
        for request in requests {
            kind::bind(request, judged, &mut values);
        }
        values.nothing(kind.values() * (size - requests.len()));
        let mut outcomes = Vec::with_capacity(size);
        run(connection, sql, values, &mut outcomes).await?;
        Ok(outcomes)
    }

    async fn decide_single(
        self,
        connection: &mut SqliteConnection,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<Answer>, sqlx::Error> {
        let mut values = Values::default();
        match request {
            Request::Clear(key) => {
                values.bind(key.as_str()).time(now);
                let rows = rows(connection, &self.statements.clear, values).await?;
                let counted = rows.iter().filter(|row| row.try_get::<bool, _>(0).unwrap_or(false));
                Ok(Ok(Answer::Count(counted.count() as u64)))
            }
            Request::Expire { by, limit } => {
                let removed = self.sweep(connection, &self.statements.expire, *by, *limit).await?;
                // If all that were due have expired, others may be due.
                let postponed = if removed < u64::from(*limit) {
                    self.sweep(connection, &self.statements.postpone, *by, *limit).await?
                } else {
                    0
                };
                let seen = removed + postponed;
                Ok(Ok(Answer::Swept { removed, seen }))
            }
            Request::List(key) => match reader::list(connection, self.statements, key).await {
                Ok(mut entries) => {
                    let found = entries.len();
                    entries.retain(|entry| entry.expires_at.is_none_or(|at| at > now));
                    if entries.len() < found {
                        values.bind(key.as_str()).time(now);
                        let query = sqlx::query_with(self.statements.bury_all.text(), values.done()?);
                        connection.execute(query).await?;
                    }
                    Ok(Ok(Answer::Listed(entries)))
                }
                Err(Failed::Other(error)) => Ok(Err(error)),
                Err(Failed::Connecting(error) | Failed::Reading(error)) => Err(error),
            },
            _ => Ok(Err(trouble::confused())),
        }
    }

    async fn sweep(
        self,
        connection: &mut SqliteConnection,
        sql: &Sql,
        by: Timestamp,
        limit: u32,
    ) -> Result<u64, sqlx::Error> {
        let mut values = Values::default();
        values.time(by).bind(limit).time(by);
        let query = sqlx::query_with(sql.text(), values.done()?);
        Ok(connection.execute(query).await?.rows_affected())
    }

    /// Removes what has expired.
    async fn bury(self, connection: &mut SqliteConnection, place: &Place, now: Timestamp) -> Result<(), sqlx::Error> {
        let mut values = Values::default();
        values.place(place).time(now);
        let query = sqlx::query_with(self.statements.bury.text(), values.done()?);
        connection.execute(query).await?;
        Ok(())
    }

    /// Runs a statement that waits for others to let go of the database.
    async fn patiently(self, connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut began = Instant::now();
        loop {
            match connection.execute(sqlx::query(sql)).await {
                Err(error) if trouble::is_busy(&error) && self.patience.outlasts(&mut began).await => {}
                other => return other.map(drop),
            }
        }
    }
}

/// What they would have heard, of a transaction that is not committed.
fn forget(calls: &mut [Pending]) {
    for call in calls {
        call.answer = None;
    }
}

/// Runs the statements in a text, and tells what each did, up to the first that fails.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    sql: &Sql,
    values: Values,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), sqlx::Error> {
    let mut steps = connection.fetch_many(sqlx::query_with(sql.text(), values.done()?));
    let mut row = None;
    while let Some(step) = steps.next().await {
        match step? {
            Either::Right(found) => row = Some(found),
            Either::Left(done) => outcomes.push(Outcome {
                changes: done.rows_affected(),
                row: row.take(),
            }),
        }
    }
    Ok(())
}

async fn rows(connection: &mut SqliteConnection, sql: &Sql, values: Values) -> Result<Vec<SqliteRow>, sqlx::Error> {
    connection.fetch_all(sqlx::query_with(sql.text(), values.done()?)).await
}

/// SQLite has done so already after some errors, and then says that there is nothing to roll back.
pub(crate) async fn roll_back(connection: &mut SqliteConnection) {
    let _ = try_to_roll_back(connection).await;
}

/// # Errors
/// If there is nothing to roll back, and if it cannot be: in a shared cache while others change the tables themselves.
pub(crate) async fn try_to_roll_back(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    connection.execute("ROLLBACK").await.map(drop)
}

//! Calls of one kind as a transaction by themselves, on one trip to the connection's thread.

use std::time::{Duration, Instant};

use jam_core::Timestamp;
use sqlx::SqliteConnection;

use crate::kind::{self, Decision, Explanation, Judged, Kind, Outcome};
use crate::reader;
use crate::request::Request;
use crate::row::Values;
use crate::statements::Many;
use crate::transaction::{Halted, Pen, Pending, roll_back, run};
use crate::trouble;

impl Pen<'_> {
    /// Calls alone are judged by a clock that was read before they have the lock, for which they may have to wait: for
    /// less than this, and than what a connection of the application's own waits by itself. What ends sooner is decided with the
    /// lock held, so that nothing is revived that others saw end.
    pub(crate) const LEAD: Duration = Duration::from_mins(1);

    /// Decides calls of one kind (at most [`Many::MOST`]) in a transaction of their own. Those that are left without an
    /// answer have changed nothing, and have to be decided [together](Self::together) with what comes in between.
    pub(crate) async fn alone(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        calls: &mut [Pending],
    ) -> Result<(), Halted> {
        let requests: Vec<_> = calls.iter().map(|call| &call.request).collect();
        let mut began = Instant::now();
        let outcomes = loop {
            match self.commit_alone(connection, kind, &requests).await {
                Err(Halted::Undone(error)) if trouble::is_busy(&error) && self.patience.outlasts(&mut began).await => {}
                // One of many is there already, or cannot be: each is decided by itself.
                Err(Halted::Undone(error)) if calls.len() > 1 && trouble::is_constraint(&error) => return Ok(()),
                outcomes => break outcomes?,
            }
        };
        for (call, outcome) in calls.iter_mut().zip(outcomes) {
            let places = match kind::decide(&call.request, &outcome) {
                Decision::Answer(answer) => {
                    call.answer = Some(answer);
                    continue;
                }
                Decision::Look(places) => places,
            };
            let found = reader::find(connection, self.statements, &places).await;
            let now = self.clock.now();
            // What the others did is committed, whatever comes of this.
            call.answer = match found {
                Err(error) if trouble::is_busy(&error) => None,
                Err(error) => Some(Err(trouble::failed("reading sessions", error))),
                // The lock is let go of, so that somebody may prolong at this moment what looks expired.
                Ok(found) if kind::has_expired(&found, now) => None,
                Ok(found) => match kind::explain(&call.request, found, now) {
                    Explanation::Answer(answer) => Some(answer),
                    Explanation::Expired(_) | Explanation::Again => None,
                },
            };
        }
        Ok(())
    }

    async fn commit_alone(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        requests: &[&Request],
    ) -> Result<Vec<Outcome>, Halted> {
        let now = self.clock.now();
        match requests {
            [request] => self.commit_one(connection, kind, request, now).await,
            _ if kind == Kind::Insert => self.insert_all(connection, requests).await,
            _ => self.commit_many(connection, kind, requests, now).await,
        }
    }

    /// A statement by itself is a transaction.
    async fn commit_one(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        request: &Request,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, Halted> {
        let outcomes = self.series(connection, kind, &[request], self.early(now)).await;
        outcomes.map_err(Halted::committing)
    }

    async fn commit_many(
        self,
        connection: &mut SqliteConnection,
        kind: Kind,
        requests: &[&Request],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, Halted> {
        let many = &kind.statement(self.statements).committed;
        let mut values = Values::default();
        for request in requests {
            kind::bind(request, self.early(now), &mut values);
        }
        let (size, _) = many.taking(requests.len());
        values.nothing(kind.values() * (size - requests.len()));
        self.run_committed(connection, many, requests.len(), values, size).await
    }

    /// With one statement for all of them.
    async fn insert_all(
        self,
        connection: &mut SqliteConnection,
        requests: &[&Request],
    ) -> Result<Vec<Outcome>, Halted> {
        let many = &self.statements.insert_all;
        let mut values = Values::default();
        for request in requests {
            if let Request::Insert(put) = request {
                values.place(&put.place).data(&put.data).expiry(put.expires_at);
            }
        }
        let (size, _) = many.taking(requests.len());
        values.nothing(4 * (size - requests.len()));
        self.run_committed(connection, many, requests.len(), values, 1).await?;
        let inserted = || Outcome { changes: 1, row: None };
        Ok(requests.iter().map(|_| inserted()).collect())
    }

    /// Runs so many statements between a `BEGIN` and a `COMMIT`.
    async fn run_committed(
        self,
        connection: &mut SqliteConnection,
        many: &Many,
        calls: usize,
        values: Values,
        statements: usize,
    ) -> Result<Vec<Outcome>, Halted> {
        let (_, sql) = many.taking(calls);
        let mut outcomes = Vec::with_capacity(statements + 2);
        if let Err(error) = run(connection, sql, values, &mut outcomes).await {
            if outcomes.len() <= statements {
                roll_back(connection).await;
                return Err(Halted::Undone(error));
            }
            if !trouble::is_busy(&error) {
                roll_back(connection).await;
                return Err(Halted::committing(error));
            }
            self.commit(connection).await?;
        }
        outcomes.truncate(statements + 1);
        Ok(outcomes.split_off(1))
    }

    fn early(&self, now: Timestamp) -> Judged {
        Judged {
            now,
            lasting: now.plus(self.lead),
        }
    }
}

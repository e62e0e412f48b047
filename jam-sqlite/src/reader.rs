//! The readers: each takes what waits, and finds many records with one statement on one trip to its connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use jam_core::{Cursor, Entry, Error, Page, Result, SessionKey};
use sqlx::sqlite::SqliteRow;
use sqlx::{Either, Executor, SqliteConnection};
use tokio::sync::{Mutex, mpsc};

use crate::backlog::Reply;
use crate::cursor;
use crate::lane::{InUse, Lane};
use crate::patience::breathe;
use crate::request::{Found, Place, Read};
use crate::row::{self, Values};
use crate::space::Original;
use crate::statements::{Many, Sql, Statements};
use crate::trouble;

type Finding = (Place, Reply<Option<Found>>);

/// One of the tasks that read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) lane: Lane,
    pub(crate) statements: Arc<Statements>,
    pub(crate) original: Option<Original>,
    /// How long others may keep the database locked while a read waits. In a file with a write-ahead log they do not.
    pub(crate) patience: Duration,
    pub(crate) inbox: Arc<Mutex<mpsc::UnboundedReceiver<Read>>>,
}

impl Reader {
    /// Works until it is told to end, or everybody who could ask is gone.
    pub(crate) async fn run(self) {
        let mut batch = Vec::with_capacity(Many::MOST);
        loop {
            {
                let mut inbox = self.inbox.lock().await;
                if inbox.recv_many(&mut batch, Many::MOST).await == 0 {
                    break;
                }
                if batch.iter().any(|read| matches!(read, Read::Close)) {
                    inbox.close();
                }
            }
            self.answer(&mut batch).await;
        }
        if let Err(error) = self.lane.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a connection of the SQLite store did not close well"
            );
        }
    }

    async fn answer(&self, batch: &mut Vec<Read>) {
        let mut finding: Vec<Finding> = Vec::with_capacity(batch.len());
        let mut others = Vec::new();
        for read in batch.drain(..) {
            match read {
                Read::Find(place, reply) if !reply.is_closed() => finding.push((place, reply)),
                Read::Find(..) | Read::Close => {}
                other => others.push(other),
            }
        }
        if !finding.is_empty() {
            self.answer_finding(finding).await;
        }
        for read in others {
            match read {
                Read::List(key, reply) => {
                    let listed = self.list(&key, &reply).await;
                    reply.send(listed);
                }
                Read::Scan(cursor, limit, reply) => {
                    let page = self.scan(cursor.as_ref(), limit, &reply).await;
                    reply.send(page);
                }
                Read::Find(..) | Read::Close => {}
            }
        }
    }

    async fn answer_finding(&self, mut finding: Vec<Finding>) {
        while !finding.is_empty() {
            let began = Instant::now();
            finding = self.try_to_find(finding).await;
            if !finding.is_empty() {
                breathe(began).await;
            }
        }
    }

    /// Answers these reads, and gives those back that found the database locked and may wait.
    async fn try_to_find(&self, finding: Vec<Finding>) -> Vec<Finding> {
        let (places, replies): (Vec<_>, Vec<_>) = finding.into_iter().unzip();
        match self.find(&places).await {
            Ok(found) => {
                for (reply, found) in replies.into_iter().zip(found) {
                    reply.send(found);
                }
            }
            // A damaged page is the trouble of those alone whose records are there.
            Err(Failed::Reading(error)) if places.len() > 1 && trouble::is_in_one_place(&error) => {
                for (place, reply) in places.into_iter().zip(replies) {
                    reply.send(self.find_one(place).await);
                }
            }
            Err(failed) => {
                let is_busy = failed.is_busy();
                let error = Error::from(failed);
                let mut finding: Vec<_> = places.into_iter().zip(replies).collect();
                for (_, reply) in finding.extract_if(.., |(_, reply)| !is_busy || !self.may_wait(reply)) {
                    reply.send(Err(trouble::again(&error)));
                }
                return finding;
            }
        }
        Vec::new()
    }

    /// Whether a read that has found the database locked may be tried again. One whose caller has gone need not.
    fn may_wait<T>(&self, reply: &Reply<T>) -> bool {
        !reply.is_closed() && reply.waited() < self.patience
    }

    async fn find_one(&self, place: Place) -> Result<Option<Found>> {
        let found = self.find(&[place]).await?;
        found.into_iter().next().unwrap_or(Ok(None))
    }

    async fn find(&self, places: &[Place]) -> Result<Vec<Result<Option<Found>>>, Failed> {
        let mut connection = self.connect().await?;
        let found = find(&mut connection, &self.statements, places).await;
        self.settle(connection, found.map_err(Failed::Reading)).await
    }

    async fn list<T>(&self, key: &SessionKey, reply: &Reply<T>) -> Result<Vec<Entry>> {
        loop {
            let began = Instant::now();
            match self.try_to_list(key).await {
                Err(failed) if failed.is_busy() && self.may_wait(reply) => breathe(began).await,
                listed => return Ok(listed?),
            }
        }
    }

    async fn try_to_list(&self, key: &SessionKey) -> Result<Vec<Entry>, Failed> {
        let mut connection = self.connect().await?;
        let listed = list(&mut connection, &self.statements, key).await;
        self.settle(connection, listed).await
    }

    async fn scan<T>(&self, after: Option<&Cursor>, limit: usize, reply: &Reply<T>) -> Result<Page> {
        loop {
            let began = Instant::now();
            match self.try_to_scan(after, limit).await {
                Err(failed) if failed.is_busy() && self.may_wait(reply) => breathe(began).await,
                page => return Ok(page?),
            }
        }
    }

    async fn try_to_scan(&self, after: Option<&Cursor>, limit: usize) -> Result<Page, Failed> {
        let mut connection = self.connect().await?;
        let page = scan(&mut connection, &self.statements, after, limit).await;
        self.settle(connection, page).await
    }

    async fn connect(&self) -> Result<InUse, Failed> {
        if !self.original.as_ref().is_none_or(Original::is_in_place) {
            return Err(Failed::Other(trouble::removed()));
        }
        self.lane.take().await.map_err(Failed::Connecting)
    }

    /// Gives the connection up if a new one may do better.
    async fn settle<T>(&self, connection: InUse, outcome: Result<T, Failed>) -> Result<T, Failed> {
        if let Err(Failed::Reading(error)) = &outcome
            && trouble::spoils_the_connection(error)
        {
            self.lane.give_up(connection).await;
        }
        outcome
    }
}

/// Why a read failed: the database, or something else, such as what a row holds.
#[derive(Debug)]
pub(crate) enum Failed {
    Connecting(sqlx::Error),
    Reading(sqlx::Error),
    Other(Error),
}

impl Failed {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Connecting(error) | Self::Reading(error) if trouble::is_busy(error))
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Reading(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Connecting(error) => trouble::failed("connecting to the database", error),
            Failed::Reading(error) => trouble::failed("reading sessions", error),
            Failed::Other(error) => error,
        }
    }
}

/// Finds the records at these places (at most [`Many::MOST`]), live or not, all in one state of the database. A row that
/// is damaged is the trouble of those alone who asked for it.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    statements: &Statements,
    places: &[Place],
) -> Result<Vec<Result<Option<Found>>>, sqlx::Error> {
    let (size, sql) = statements.find.taking(places.len());
    let mut values = Values::default();
    for place in places {
        values.place(place);
    }
    values.nothing(2 * (size - places.len()));
    let mut found: Vec<_> = places.iter().map(|_| Ok(None)).collect();
    let query = sqlx::query_with(sql.text(), values.done()?);
    let mut rows = connection.fetch_many(query);
    while let Some(row) = rows.next().await {
        let Either::Right(row) = row? else { continue };
        let place = usize::try_from(row::number(&row, 0).unwrap_or(-1)).ok();
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = row::found(&row, 1).map(Some);
        }
    }
    Ok(found)
}

/// Every record of the key, live or not.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    statements: &Statements,
    key: &SessionKey,
) -> Result<Vec<Entry>, Failed> {
    let mut values = Values::default();
    values.bind(key.as_str());
    let rows = rows(connection, &statements.list, values).await?;
    rows.iter().map(|row| Ok(row::entry(key, row, 0)?)).collect()
}

async fn scan(
    connection: &mut SqliteConnection,
    statements: &Statements,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Failed> {
    let limit = limit.clamp(1, cursor::MOST_PER_PAGE);
    let mut values = Values::default();
    let sql = match after {
        None => &statements.first_page,
        Some(cursor) => {
            values.place(&cursor::read(cursor)?);
            &statements.next_page
        }
    };
    values.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = rows(connection, sql, values).await?;
    let entry = |row: &SqliteRow| row::entry(&row::key(row, 0)?, row, 1);
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
    let last = entries.last().filter(|_| entries.len() == limit);
    let next = last.map(|last| cursor::write(&last.id));
    Ok(Page::new(entries, next))
}

async fn rows(connection: &mut SqliteConnection, sql: &Sql, values: Values) -> Result<Vec<SqliteRow>, sqlx::Error> {
    connection.fetch_all(sqlx::query_with(sql.text(), values.done()?)).await
}

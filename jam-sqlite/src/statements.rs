//! Every statement of the store, built once when it is opened.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::table::TableName;

/// The text of a statement; cloning it is cheap, and sqlx keeps what it has prepared by it.
#[derive(Clone, Debug)]
pub(crate) struct Sql(Arc<str>);

impl Sql {
    pub(crate) fn text(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// One statement for one, a few or many calls at once, so that many calls take one trip to the connection's thread.
#[derive(Clone, Debug)]
pub(crate) struct Many([(usize, Sql); 7]);

impl Many {
    /// How many calls the largest takes.
    pub(crate) const MOST: usize = 64;
    const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, Self::MOST];

    fn new(text: impl Fn(usize) -> String) -> Self {
        Self(Self::SIZES.map(|size| (size, text(size).into())))
    }

    /// The same as a transaction of its own.
    fn committed(&self) -> Self {
        Self(
            self.0
                .clone()
                .map(|(size, sql)| (size, format!("BEGIN IMMEDIATE;{};COMMIT", sql.0).into())),
        )
    }

    /// The smallest that takes this many calls (at most [`MOST`](Self::MOST)), and how many it takes.
    pub(crate) fn taking(&self, calls: usize) -> (usize, &Sql) {
        let fits = self.0.iter().find(|(size, _)| *size >= calls);
        let (size, sql) = fits.unwrap_or(&self.0[6]);
        (*size, sql)
    }
}

/// The statement of a kind of write, for calls among others and for calls that are a transaction by themselves.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) among_others: Many,
    pub(crate) committed: Many,
}

impl Series {
    /// What sqlx runs one after the other on one trip.
    fn new(text: &str) -> Self {
        let among_others = Many::new(|size| vec![text; size].join(";"));
        Self {
            committed: among_others.committed(),
            among_others,
        }
    }
}

/// The statements, each with its parameters in the order in which they are bound.
#[derive(Debug)]
pub(crate) struct Statements {
    /// key, id → place, data, expiry; a place whose key is NULL finds nothing.
    pub(crate) find: Many,
    /// key → id, data, expiry
    pub(crate) list: Sql,
    /// limit → key, id, data, expiry
    pub(crate) first_page: Sql,
    /// key, id, limit → key, id, data, expiry
    pub(crate) next_page: Sql,
    /// key, id, data, expiry, now
    pub(crate) insert: Series,
    /// key, id, data, expiry; all of them as a transaction, or none if one of them is there already
    pub(crate) insert_all: Many,
    /// data, expiry, key, id, now, expected data
    pub(crate) swap: Series,
    /// data, expiry, key, id, now
    pub(crate) overwrite: Series,
    /// expiry, key, id, now, expiry
    pub(crate) touch: Series,
    /// expiry, key, id, now, bound → data
    pub(crate) renew: Series,
    /// new key, new id, data, expiry, old key, old id, now, expected data, new key, new id, now
    pub(crate) rename: Series,
    /// key, id, now
    pub(crate) remove: Series,
    /// key, id, now; removes what has expired
    pub(crate) bury: Sql,
    /// key, now; removes what has expired
    pub(crate) bury_all: Sql,
    /// key, now → whether it counts, for each
    pub(crate) clear: Sql,
    /// time, limit, time; of those that are due for a look, removes what has expired
    pub(crate) expire: Sql,
    /// time, limit, time; looks at the others again when they expire
    pub(crate) postpone: Sql,
}

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let live = "(expires_at IS NULL OR expires_at > ?)";
        let place = "session_key = ? AND session_id = ?";
        let same = "CAST(data AS BLOB) = ?";
        let due = format!("rowid IN (SELECT rowid FROM {table} WHERE sweep_at <= ? ORDER BY sweep_at LIMIT ?)");
        let series = |text: String| Series::new(&text);
        // Those that roll back when a constraint refuses them need no journal of their own, which would cost a copy of each
        // page that they change. The whole transaction is tried again in parts then.
        Self {
            find: Many::new(|size| find(table, size)),
            list: format!("SELECT session_id, data, expires_at FROM {table} WHERE session_key = ?").into(),
            first_page: page(table, "").into(),
            next_page: page(table, "WHERE (session_key, session_id) > (?, ?)").into(),
            // A place whose key is NULL inserts nothing.
            insert: series(format!(
                "INSERT INTO {table} (session_key, session_id, data, expires_at, sweep_at) \
                 SELECT k, i, d, e, e FROM (SELECT ? AS k, ? AS i, ? AS d, ? AS e) WHERE k IS NOT NULL \
                 ON CONFLICT (session_key, session_id) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at \
                 WHERE {table}.expires_at <= ?"
            )),
            insert_all: Many::new(|size| insert_all(table, size)).committed(),
            swap: series(format!(
                "UPDATE OR ROLLBACK {table} SET data = ?, expires_at = ? WHERE {place} AND {live} AND {same}"
            )),
            overwrite: series(format!(
                "UPDATE OR ROLLBACK {table} SET data = ?, expires_at = ? WHERE {place} AND {live}"
            )),
            touch: series(format!(
                "UPDATE OR ROLLBACK {table} SET expires_at = ? WHERE {place} AND expires_at > ? AND expires_at < ?"
            )),
            renew: series(format!(
                "UPDATE OR ROLLBACK {table} SET expires_at = ? WHERE {place} AND expires_at > ? AND expires_at < ? RETURNING data"
            )),
            // What is left at the new place has expired, and makes room.
            rename: series(format!(
                "UPDATE OR REPLACE {table} SET session_key = ?, session_id = ?, data = ?, expires_at = ? \
                 WHERE {place} AND {live} AND {same} \
                 AND NOT EXISTS (SELECT 1 FROM {table} AS taken WHERE taken.session_key = ? AND taken.session_id = ? \
                 AND (taken.expires_at IS NULL OR taken.expires_at > ?))"
            )),
            remove: series(format!("DELETE FROM {table} WHERE {place} AND {live}")),
            bury: format!("DELETE FROM {table} WHERE {place} AND expires_at <= ?").into(),
            bury_all: format!("DELETE FROM {table} WHERE session_key = ? AND expires_at <= ?").into(),
            clear: format!(
                "DELETE FROM {table} WHERE session_key = ? \
                 RETURNING {live} AND substr(CAST(session_id AS BLOB), -1) <> x'7E'"
            )
            .into(),
            expire: format!("DELETE FROM {table} WHERE {due} AND expires_at <= ?").into(),
            postpone: format!("UPDATE {table} SET sweep_at = expires_at WHERE {due} AND {live}").into(),
        }
    }
}

fn insert_all(table: &TableName, size: usize) -> String {
    format!(
        "INSERT OR ROLLBACK INTO {table} (session_key, session_id, data, expires_at, sweep_at) \
         SELECT column1, column2, column3, column4, column4 FROM (VALUES {}) WHERE column1 IS NOT NULL",
        vec!["(?,?,?,?)"; size].join(",")
    )
}

fn find(table: &TableName, size: usize) -> String {
    if size == 1 {
        return format!("SELECT 0, data, expires_at FROM {table} WHERE session_key = ? AND session_id = ?");
    }
    let places: Vec<_> = (0..size).map(|place| format!("({place},?,?)")).collect();
    format!(
        "WITH wanted (place, k, i) AS (VALUES {}) \
         SELECT place, data, expires_at FROM wanted CROSS JOIN {table} ON session_key = k AND session_id = i",
        places.join(",")
    )
}

fn page(table: &TableName, after: &str) -> String {
    format!(
        "SELECT session_key, session_id, data, expires_at FROM {table} {after} ORDER BY session_key, session_id LIMIT ?"
    )
}

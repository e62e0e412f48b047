//! Where jam should land, and where it has landed.

use jam_bench_harness::{Failure, read_lines};

use crate::contest::Contest;
use crate::page::{row, rule};

/// Of which measurement, who against whom.
struct Check {
    part: &'static str,
    jam: &'static str,
    /// A contestant's name, or `*` and how the names of peers begin, of whom the fastest counts.
    against: &'static str,
    operations: &'static [&'static str],
}

struct Goal {
    backend: &'static str,
    operation: &'static str,
    against: &'static str,
    at_least: f64,
    checks: &'static [Check],
}

const fn check(
    part: &'static str,
    jam: &'static str,
    against: &'static str,
    operations: &'static [&'static str],
) -> Check {
    Check {
        part,
        jam,
        against,
        operations,
    }
}

const fn goal(
    backend: &'static str,
    operation: &'static str,
    against: &'static str,
    at_least: f64,
    checks: &'static [Check],
) -> Goal {
    Goal {
        backend,
        operation,
        against,
        at_least,
        checks,
    }
}

const TOWER_MEMORY: &str = "tower-sessions memory store";
const SQLX: &str = "tower-sessions-sqlx-store";
const RUSQLITE: &str = "tower-sessions-rusqlite-store";
const FILE_BASED: &str = "tower-sessions-file-based-store";
const RAW: &str = "redis, the driver alone";
const WRITES: &[&str] = &["create", "update", "delete"];
const ALL: &[&str] = &[
    "create",
    "get",
    "get, all data",
    "update",
    "a request",
    "rework",
    "delete",
];

/// In the order of the issue that set them.
const GOALS: &[Goal] = &[
    goal(
        "memory",
        "get, create, update",
        "tower-sessions' memory store",
        2.0,
        &[check("memory-64", "jam", TOWER_MEMORY, &["get", "create", "update"])],
    ),
    goal(
        "memory, 1 task",
        "get, create, update",
        "tower-sessions' memory store",
        1.0,
        &[check("memory-1", "jam", TOWER_MEMORY, &["get", "create", "update"])],
    ),
    goal(
        "memory",
        "get",
        "the fastest peer",
        1.2,
        &[check("memory-64", "jam", "*", &["get"])],
    ),
    goal(
        "JSON file, synced",
        "create, update",
        "append-only log with group commit",
        0.5,
        &[check(
            "json-sync-64",
            "jam, JSON file",
            "append-only log with group commit",
            &["create", "update"],
        )],
    ),
    goal(
        "JSON file, synced",
        "create at 10,000 stored",
        "jamlib's JSON store",
        100.0,
        &[check("json-sync-64", "jam, JSON file", "jamlib, JSON", &["create"])],
    ),
    goal(
        "JSON file",
        "get",
        "jam's own memory store",
        0.9,
        &[check("json-os-64", "jam, JSON file", "jam, memory", &["get"])],
    ),
    goal(
        "JSON dir, tmpfs",
        "create, get, update",
        "tower-sessions-file-based-store, no sync",
        1.1,
        &[check(
            "json-os-64",
            "jam, JSON dir",
            FILE_BASED,
            &["create", "get", "update"],
        )],
    ),
    goal(
        "JSON dir, synced",
        "update",
        "tower-sessions-file-based-store, synced",
        1.2,
        &[check("json-sync-64", "jam, JSON dir", FILE_BASED, &["update"])],
    ),
    goal(
        "SQLite, WAL + FULL",
        "create, update, delete",
        "tower-sessions-sqlx-store, -rusqlite-store",
        5.0,
        &[
            check("sqlite-full-64", "jam", SQLX, WRITES),
            check("sqlite-full-64", "jam", RUSQLITE, WRITES),
        ],
    ),
    goal(
        "SQLite, WAL + NORMAL",
        "create, update, delete",
        "tower-sessions-sqlx-store",
        3.0,
        &[check("sqlite-normal-64", "jam", SQLX, WRITES)],
    ),
    goal(
        "SQLite, WAL + NORMAL",
        "create, update, delete",
        "tower-sessions-rusqlite-store",
        1.2,
        &[check("sqlite-normal-64", "jam", RUSQLITE, WRITES)],
    ),
    goal(
        "SQLite",
        "create, update",
        "the peers at their defaults, jam at its own",
        20.0,
        &[
            check("sqlite-default-64", "jam", SQLX, &["create", "update"]),
            check("sqlite-default-64", "jam", RUSQLITE, &["create", "update"]),
        ],
    ),
    goal(
        "SQLite, WAL + FULL",
        "create, update, delete",
        "rusqlite, group commit",
        0.7,
        &[check("sqlite-full-64", "jam", "rusqlite, group commit", WRITES)],
    ),
    goal(
        "SQLite, WAL",
        "get",
        "tower-sessions-sqlx-store",
        2.5,
        &[
            check("sqlite-full-64", "jam", SQLX, &["get"]),
            check("sqlite-normal-64", "jam", SQLX, &["get"]),
        ],
    ),
    goal(
        "SQLite, WAL",
        "get",
        "tower-sessions-rusqlite-store",
        1.2,
        &[
            check("sqlite-full-64", "jam", RUSQLITE, &["get"]),
            check("sqlite-normal-64", "jam", RUSQLITE, &["get"]),
        ],
    ),
    goal(
        "SQLite, 1 task",
        "everything",
        "tower-sessions-sqlx-store, same settings",
        1.0,
        &[
            check("sqlite-full-1", "jam", SQLX, ALL),
            check("sqlite-normal-1", "jam", SQLX, ALL),
        ],
    ),
    goal(
        "Valkey",
        "get",
        "raw HGET",
        0.9,
        &[check("redis-new-64", "jam", RAW, &["get"])],
    ),
    goal(
        "Valkey, 1 task",
        "get",
        "raw HGET",
        0.95,
        &[check("redis-new-1", "jam", RAW, &["get"])],
    ),
    goal(
        "Valkey",
        "create, update, delete",
        "raw HSETEX, HDEL",
        0.95,
        &[check("redis-new-64", "jam", RAW, WRITES)],
    ),
    goal(
        "Valkey",
        "get",
        "jamlib, asyncio",
        10.0,
        &[check("redis-new-64", "jam", "jamlib, aio Redis", &["get"])],
    ),
    goal(
        "Valkey",
        "create",
        "jamlib, asyncio",
        20.0,
        &[check("redis-new-64", "jam", "jamlib, aio Redis", &["create"])],
    ),
    goal(
        "Valkey, 64 tasks and 1",
        "get",
        "the best peer",
        1.0,
        &[
            check("redis-new-64", "jam", "*", &["get"]),
            check("redis-new-1", "jam", "*", &["get"]),
        ],
    ),
    goal(
        "Valkey",
        "create, update, delete",
        "the best peer",
        0.95,
        &[check("redis-new-64", "jam", "*", WRITES)],
    ),
    goal(
        "Redis 7.0",
        "get",
        "the best peer",
        0.9,
        &[check("redis-old-64", "jam", "*", &["get"])],
    ),
    goal(
        "Redis 7.0",
        "create, update",
        "the best peer",
        0.6,
        &[check("redis-old-64", "jam", "*", &["create", "update"])],
    ),
    goal(
        "Valkey, near cache",
        "get, 95 in 100 are hits",
        "the best peer",
        5.0,
        &[check("near-new-64", "jam, near cache", "*", &["get"])],
    ),
    goal(
        "encryption on, Valkey",
        "get, create",
        "the same without",
        0.8,
        &[check(
            "crypto-64",
            "jam, Redis, encrypted",
            "jam, Redis",
            &["get", "create"],
        )],
    ),
    goal(
        "web layer, axum",
        "reads; writes",
        "tower-sessions' layer, memory store",
        1.0,
        &[check(
            "web-axum-1",
            "jam-tower",
            "tower-sessions",
            &["reads one field", "reads one field and sets it"],
        )],
    ),
];

/// The table. Goals that were not measured keep the row they have in the old one.
pub(crate) fn table(old: &str) -> Result<String, Failure> {
    let mut text = row(&["backend", "operation", "against", "goal", "measured", ""]) + &rule(6, 0);
    for goal in GOALS {
        let start = format!(
            "| {} | {} | {} | >= {} |",
            goal.backend, goal.operation, goal.against, goal.at_least
        );
        let kept = || {
            old.lines()
                .find(|line| line.starts_with(&start))
                .map(|line| format!("{line}\n"))
        };
        match goal.measured()? {
            Some((measured, missed)) => {
                let verdict = if missed { "**not met**" } else { "met" };
                text += &[&start, " ", &measured, " | ", verdict, " |\n"].concat();
            }
            None => text += &kept().unwrap_or_else(|| format!("{start} not measured | |\n")),
        }
    }
    Ok(text)
}

impl Goal {
    /// The ratios in words, and whether one is too low; `None` if there are no results.
    fn measured(&self) -> Result<Option<(String, bool)>, Failure> {
        let (mut words, mut missed) = (Vec::new(), false);
        for check in self.checks {
            let Some(lines) = read_lines(check.part)? else {
                return Ok(None);
            };
            let contest = Contest::of(&lines)?;
            let mut of_check = Vec::new();
            let mut against = Vec::new();
            for operation in check.operations {
                let found = match check.against.strip_prefix('*') {
                    Some(prefix) => contest.ratio_to_best(check.jam, prefix, operation),
                    None => contest
                        .ratio(check.jam, check.against, operation)
                        .map(|ratio| (ratio, check.against)),
                };
                let Some((ratio, whom)) = found else { return Ok(None) };
                missed |= ratio.median < self.at_least;
                let mark = if ratio.median < self.at_least { "**" } else { "" };
                of_check.push(format!("{mark}{operation} {}{mark}", ratio.show()));
                against.push(whom);
            }
            if check.against.starts_with('*') {
                against.dedup();
                of_check.push(format!("[{}]", against.join("; ")));
            } else if self.checks.len() > 1 {
                of_check.push(format!(
                    "[{}]",
                    check.part.rsplit_once('-').map_or(check.against, |_| check.against)
                ));
            }
            words.push(of_check.join(", "));
        }
        Ok(Some((words.join("; "), missed)))
    }
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_goal_that_was_not_measured_keeps_its_row() -> Result<(), jam_bench_harness::Failure> {
        let row = "| Redis 7.0 | get | the best peer | >= 0.9 | get 0.99 (0.72 to 1.61) | met |";
        // Beside the manifest there are no results.
        assert!(table(row)?.contains(row));
        assert!(table("")?.contains("| Redis 7.0 | get | the best peer | >= 0.9 | not measured | |"));
        Ok(())
    }
}

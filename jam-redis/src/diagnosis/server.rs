//! What one server says about itself: version, clock, role, memory, durability, replicas.

use std::collections::HashMap;

use jam_core::{Clock, Finding, SystemClock, Timestamp};
use redis::{Pipeline, Value};

use crate::connect::{Generation, Live};

/// Clocks that differ by more than this end sessions at another time than the application thinks.
const SKEW_MILLIS: u64 = 2_000;
/// Part of `maxmemory` in use, in percent, from which on a write may soon be refused.
const NEARLY_FULL: u64 = 90;
/// The oldest server that jam knows.
const OLDEST: (u64, u64) = (6, 2);

/// Asks a server about itself.
pub(super) async fn of(live: &Live, wanted_replicas: u32) -> Vec<Finding> {
    let mut questions = Pipeline::with_capacity(4);
    questions.cmd("TIME");
    questions.cmd("INFO");
    questions.cmd("CONFIG").arg("GET").arg("save");
    questions.cmd("CONFIG").arg("GET").arg("appendfsync");
    let answers = live.pipeline(&questions, 4).await.ok();
    let Some(Ok([time, info, save, fsync])) = answers.map(<[Value; 4]>::try_from) else {
        return vec![Finding::warning(
            "server",
            "it was not possible to ask the server about itself",
            "run this again; if that does not help, look at the server's log",
        )];
    };
    let mut findings = vec![expiry(live.generation())];
    findings.extend(skew(time));
    match redis::from_redis_value::<String>(info).map(|text| Info::of(&text)) {
        Ok(info) => {
            findings.insert(0, info.version());
            findings.push(info.role());
            findings.push(info.eviction());
            findings.extend(info.space());
            findings.extend(info.persistence(setting(save).as_deref(), setting(fsync).as_deref()));
            findings.push(info.replicas(wanted_replicas));
        }
        Err(_) => findings.push(Finding::warning(
            "server",
            "the user may not call INFO, so version, memory, persistence and replicas are not known",
            "ask as a user with `+info +config|get`; the service itself needs neither",
        )),
    }
    findings
}

/// The value of one setting; `None` if the user may not ask.
fn setting(answer: Value) -> Option<String> {
    let pair: HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    pair.into_values().next()
}

fn expiry(generation: Generation) -> Finding {
    Finding::fine(
        "commands",
        match generation {
            Generation::Emulated => {
                "fields cannot expire here: jam keeps the expiry in the value, and reclaims by sweeping"
            }
            Generation::FieldExpiry => "fields expire (HPEXPIREAT)",
            Generation::SetWithExpiry => "fields expire, set in one command (HSETEX)",
        },
    )
}

fn skew(time: Value) -> Option<Finding> {
    let (seconds, micros) = redis::from_redis_value::<(u64, u64)>(time).ok()?;
    let theirs = Timestamp::from_millis(seconds * 1_000 + micros / 1_000);
    let ours = SystemClock.now();
    let (apart, direction) = if theirs > ours {
        (theirs.since(ours), "ahead of")
    } else {
        (ours.since(theirs), "behind")
    };
    if apart.as_millis() <= u128::from(SKEW_MILLIS) {
        return Some(Finding::fine("clock", "the server's clock agrees with this machine's"));
    }
    Some(Finding::wrong(
        "clock",
        format!(
            "the server's clock is {} s {direction} this machine's, and judges every expiry",
            apart.as_secs()
        ),
        "let both follow a time server (NTP)",
    ))
}

/// What INFO says.
struct Info(HashMap<String, String>);

impl Info {
    fn of(text: &str) -> Self {
        let pair = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn version(&self) -> Finding {
        let (name, version) = match self.text("valkey_version") {
            "" => ("Redis", self.text("redis_version")),
            version => ("Valkey", version),
        };
        let mut parts = version.split('.').map(|part| part.parse::<u64>().unwrap_or_default());
        let of = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if of >= OLDEST || of == (0, 0) {
            return Finding::fine("server", format!("{name} {version}"));
        }
        Finding::wrong(
            "server",
            format!("{name} {version} is older than jam knows"),
            "use Redis 6.2 or newer, or Valkey",
        )
    }

    fn role(&self) -> Finding {
        if self.text("role") != "slave" {
            return Finding::fine("role", "a primary, which takes writes");
        }
        Finding::wrong(
            "role",
            "a replica: sessions can be read here and not written",
            "name the primary, or open it by its sentinels (`redis+sentinel://`) or as a cluster (`redis+cluster://`)",
        )
    }

    fn eviction(&self) -> Finding {
        let policy = self.text("maxmemory_policy");
        let advice =
            "set `maxmemory-policy noeviction`, and give sessions a server of their own if others need another policy";
        if policy.is_empty() {
            return Finding::warning("eviction", "the server does not tell its `maxmemory-policy`", advice);
        }
        if policy == "noeviction" {
            return Finding::fine(
                "eviction",
                "none (`noeviction`): a full server refuses writes instead of ending sessions",
            );
        }
        let found = format!("`maxmemory-policy` is `{policy}`: a full server ends sessions of users who are logged in");
        match (self.number("maxmemory"), self.number("evicted_keys")) {
            (0, 0) => Finding::warning("eviction", format!("{found}; there is no `maxmemory` so far"), advice),
            (_, 0) => Finding::wrong("eviction", found, advice),
            (_, keys) => Finding::wrong(
                "eviction",
                format!("{found}; it has evicted {keys} keys since it started"),
                advice,
            ),
        }
    }

    fn space(&self) -> Option<Finding> {
        let (used, most) = (self.number("used_memory"), self.number("maxmemory"));
        let percent = used.saturating_mul(100).checked_div(most)?;
        Some(match percent {
            0..NEARLY_FULL => Finding::fine("memory", format!("{percent} % of `maxmemory` in use")),
            NEARLY_FULL..100 => Finding::warning(
                "memory",
                format!("{percent} % of `maxmemory` in use"),
                "raise `maxmemory`",
            ),
            _ => Finding::wrong(
                "memory",
                "`maxmemory` is used up: the server refuses writes",
                "raise `maxmemory`",
            ),
        })
    }

    fn persistence(&self, save: Option<&str>, fsync: Option<&str>) -> Vec<Finding> {
        const ADVICE: &str = "set `appendonly yes`";
        let mut findings = Vec::new();
        let log = self.text("aof_enabled") == "1";
        findings.push(match (log, save, fsync) {
            (true, _, Some("always")) => Finding::fine(
                "durability",
                "an acknowledged write survives a crash of the server (`appendfsync always`)",
            ),
            (true, _, Some("no")) => Finding::warning(
                "durability",
                "a crash of the machine loses what the system had not written yet (`appendfsync no`)",
                "set `appendfsync everysec` or `always`",
            ),
            (true, ..) => Finding::fine(
                "durability",
                "a crash of the server loses about a second (`appendonly yes`)",
            ),
            (false, Some(""), _) => {
                Finding::warning("durability", "none: a restart of the server ends every session", ADVICE)
            }
            (false, Some(_), _) => Finding::warning(
                "durability",
                "snapshots only: a crash undoes all since the last one, logouts among them",
                ADVICE,
            ),
            (false, None, _) => {
                Finding::warning("durability", "snapshots at the most: there is no log of writes", ADVICE)
            }
        });
        for (field, what) in [
            ("rdb_last_bgsave_status", "the last snapshot failed"),
            ("aof_last_write_status", "the last write to the log failed"),
            ("aof_last_bgrewrite_status", "the last rewrite of the log failed"),
        ] {
            if self.text(field) == "err" {
                let advice = "make room on its disk, and look at the server's log: it may refuse writes until then";
                findings.push(Finding::wrong("durability", what, advice));
            }
        }
        findings
    }

    fn replicas(&self, wanted: u32) -> Finding {
        let there = self.number("connected_slaves");
        if there < u64::from(wanted) {
            return Finding::wrong(
                "replicas",
                format!(
                    "{there} of the {wanted} that `wait_replicas` asks for: ends of sessions are not confirmed, and answer \
                     `Unavailable`"
                ),
                "start the replicas, or lower `wait_replicas`",
            );
        }
        Finding::fine(
            "replicas",
            match (there, wanted) {
                (0, _) => "none".to_owned(),
                (there, 0) => {
                    format!("{there}; a failover may undo the last writes, logouts among them (see `wait_replicas`)")
                }
                (there, wanted) => format!("{there}, of which {wanted} confirm the end of a session"),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jam_core::Severity;

    fn severity(of: impl Fn(&Info) -> Finding, text: &str) -> Severity {
        of(&Info::of(text)).severity
    }

    #[test]
    fn old_servers_replicas_and_evictions_are_wrong() {
        let wrong = Severity::Wrong;
        assert_eq!(severity(Info::version, "redis_version:5.0.14\r\n"), wrong);
        assert_eq!(severity(Info::version, "redis_version:6.2.0\r\n"), Severity::Fine);
        assert_eq!(
            severity(Info::version, "redis_version:2.0.0\r\nvalkey_version:9.1.0\r\n"),
            Severity::Fine
        );
        assert_eq!(severity(Info::role, "role:slave\r\n"), wrong);
        let lru = "maxmemory_policy:allkeys-lru\r\n";
        assert_eq!(severity(Info::eviction, &format!("{lru}maxmemory:100\r\n")), wrong);
        assert_eq!(
            severity(Info::eviction, &format!("{lru}maxmemory:0\r\n")),
            Severity::Warning
        );
        assert_eq!(severity(|info| info.replicas(1), "connected_slaves:0\r\n"), wrong);
        let failed = Info::of("aof_enabled:0\r\nrdb_last_bgsave_status:err\r\n").persistence(None, None);
        assert!(failed.iter().any(|finding| finding.severity == wrong));
    }

    #[test]
    fn a_clock_that_is_minutes_off_is_wrong() {
        let at = |secs: u64| Value::Array(vec![Value::Int(i64::try_from(secs).unwrap()), Value::Int(0)]);
        let now = SystemClock.now().as_secs();
        assert_eq!(skew(at(now)).unwrap().severity, Severity::Fine);
        assert_eq!(skew(at(now + 300)).unwrap().severity, Severity::Wrong);
        assert_eq!(skew(at(now - 300)).unwrap().severity, Severity::Wrong);
    }
}

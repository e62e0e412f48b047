//! What the manager counts, through the [`metrics`](https://docs.rs/metrics) facade (feature `metrics`): install any recorder
//! of that facade, and it has these.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | [`jam_operations_total`](OPERATIONS) | counter | `backend`, `operation`, `outcome` | operations that are over |
//! | [`jam_operation_duration_seconds`](DURATION) | histogram | `backend`, `operation` | how long they took, turns and retries included |
//! | [`jam_retries_total`](RETRIES) | counter | `backend`, `operation` | writes that somebody else was faster at, and that were tried again |
//! | [`jam_grace_total`](GRACE) | counter | `backend`, `operation` | operations that reached their session by an old id |
//! | [`jam_sessions_evicted_total`](EVICTED) | counter | `backend` | sessions that ended because their key was full |
//! | [`jam_sessions_expired_total`](EXPIRED) | counter | `backend` | records of expired sessions that sweeps removed, with those that jam itself leaves for a while at ids that were replaced; a server that removes them by itself counts none |
//! | [`jam_store_outages_total`](OUTAGES) | counter | `backend` | outages of the store that began |
//!
//! `backend` is the [name of the store](crate::SessionStore::name), `operation` the method of [`Sessions`](crate::Sessions), and
//! `outcome` one of `ok`, `missing` (there was no such session to read or end), `cancelled` (the future was dropped), or the kind of the
//! error: `not_found`, `already_exists`, `conflict`, `invalid_id`, `invalid_input`, `limit_reached`, `unavailable`, `corrupt`, `crypto`,
//! `config`, `unsupported`, `unexpected`. Of each operation `corrupt` and `crypto` begin at zero with its first call, so that an increase shows the first time.
//! No label ever holds an id, a handle, a session key or anything else that a client
//! can choose, so there are never more series than the table has combinations.
//!
//! An outage begins with the first operation that ends as `unavailable`, and ends with the next of its kind (reads, writes)
//! that succeeds.
//!
//! The duration wants buckets from about a microsecond (memory) to seconds (a network that fails); see the example
//! `axum_metrics` of the repository.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Unit, with_recorder};

use crate::ErrorKind;
use crate::sessions::{Facts, Outcome};

/// Operations that are over: a counter by `backend`, `operation` and `outcome`.
pub const OPERATIONS: &str = "jam_operations_total";
/// How long operations took: a histogram in seconds by `backend` and `operation`.
pub const DURATION: &str = "jam_operation_duration_seconds";
/// Writes that were tried again: a counter by `backend` and `operation`.
pub const RETRIES: &str = "jam_retries_total";
/// Operations that reached their session by an old id: a counter by `backend` and `operation`.
pub const GRACE: &str = "jam_grace_total";
/// Sessions that the cap ended: a counter by `backend`.
pub const EVICTED: &str = "jam_sessions_evicted_total";
/// Records of expired sessions that were removed: a counter by `backend`.
pub const EXPIRED: &str = "jam_sessions_expired_total";
/// Outages of the store that began: a counter by `backend`.
pub const OUTAGES: &str = "jam_store_outages_total";

/// Tells the recorder what each metric means, for its help texts. To be called once, after the recorder is installed; what is
/// counted does not depend on it.
pub fn describe() {
    const COUNTERS: [(&str, &str); 6] = [
        (OPERATIONS, "Operations on sessions that are over."),
        (
            RETRIES,
            "Writes that somebody else was faster at, and that were tried again.",
        ),
        (GRACE, "Operations that reached their session by an old id."),
        (EVICTED, "Sessions that ended because their key was full."),
        (EXPIRED, "Records of expired sessions that sweeps removed."),
        (OUTAGES, "Outages of the session store that began."),
    ];
    with_recorder(|recorder| {
        for (name, meaning) in COUNTERS {
            recorder.describe_counter(name.into(), Some(Unit::Count), meaning.into());
        }
        let meaning = "How long operations on sessions took, turns and retries included.";
        recorder.describe_histogram(DURATION.into(), Some(Unit::Seconds), meaning.into());
    });
}

/// The operations of the manager, those of every request first.
const OPERATION_NAMES: [&str; 19] = [
    "get",
    "commit",
    "modify",
    "touch",
    "create",
    "update",
    "exists",
    "delete",
    "rework",
    "rework_with_grace",
    "rework_as",
    "list",
    "revoke",
    "clear",
    "clear_others",
    "mark_superseded",
    "was_superseded",
    "remove_expired",
    "close",
];
/// How many series there are of one operation: one for each outcome, and the durations.
const SERIES: usize = Outcome::COUNT + 1;

static METADATA: Metadata<'static> = Metadata::new("jam", Level::INFO, Some(module_path!()));

/// What one manager counts with: the keys of its series, each made when it is first needed. Not the counters themselves,
/// for a recorder may be installed at any time.
pub(crate) struct Meters {
    backend: &'static str,
    keys: Box<[OnceLock<Key>]>,
}

impl Meters {
    pub(crate) fn new(backend: &'static str) -> Self {
        let keys = OPERATION_NAMES.len() * SERIES;
        Self {
            backend,
            keys: (0..keys).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts an operation that is over.
    pub(crate) fn count(&self, operation: &'static str, outcome: Outcome, took: Duration, facts: &Facts) {
        let Some(place) = OPERATION_NAMES.iter().position(|name| *name == operation) else {
            return;
        };
        let keys = &self.keys[place * SERIES..][..SERIES];
        let counted = keys[outcome.number()].get_or_init(|| {
            self.begin_at_zero();
            Key::from_parts(OPERATIONS, self.labels(operation, outcome))
        });
        let took_key = keys[Outcome::COUNT].get_or_init(|| {
            for alarm in [ErrorKind::Corrupt, ErrorKind::Crypto].map(Outcome::Failed) {
                add(OPERATIONS, self.labels(operation, alarm), 0);
            }
            Key::from_parts(DURATION, vec![self.label(), of(operation)])
        });
        with_recorder(|recorder| {
            recorder.register_counter(counted, &METADATA).increment(1);
            recorder.register_histogram(took_key, &METADATA).record(took);
        });
        if *facts != Facts::default() {
            self.count_facts(operation, facts);
        }
    }

    /// Counts an outage that begins.
    pub(crate) fn count_outage(&self) {
        add(OUTAGES, vec![self.label()], 1);
    }

    fn count_facts(&self, operation: &'static str, facts: &Facts) {
        let counted = [(RETRIES, facts.retries), (GRACE, facts.grace.into())];
        for (name, number) in counted.into_iter().filter(|(_, number)| *number > 0) {
            add(name, vec![self.label(), of(operation)], number);
        }
        for (name, number) in [(EVICTED, facts.evicted), (EXPIRED, facts.expired)] {
            add(name, vec![self.label()], number);
        }
    }

    /// A series that begins with its first event hides that event from whoever asks for its increase; what is rare
    /// and matters begins at zero.
    fn begin_at_zero(&self) {
        for name in [EVICTED, EXPIRED, OUTAGES] {
            add(name, vec![self.label()], 0);
        }
    }

    fn labels(&self, operation: &'static str, outcome: Outcome) -> Vec<Label> {
        let outcome = Label::from_static_parts("outcome", outcome.name());
        vec![self.label(), of(operation), outcome]
    }

    fn label(&self) -> Label {
        Label::from_static_parts("backend", self.backend)
    }
}

fn add(name: &'static str, labels: Vec<Label>, number: u64) {
    let key = Key::from_parts(name, labels);
    with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(number));
}

fn of(operation: &'static str) -> Label {
    Label::from_static_parts("operation", operation)
}

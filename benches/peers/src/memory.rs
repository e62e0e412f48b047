//! Stores in memory.

use jam_bench_harness::{About, Failure, Jam, Local, Part, Settings, compete};
use jam_core::{MemoryStore, Sessions};
use tower_sessions::MemoryStore as TowerMemory;
use tower_sessions_moka_store::MokaStore;

use crate::map::Sharded;
use crate::tower;

/// A look at the clock costs as much as a tenth of a call.
const TIMED: usize = 16;

pub(crate) async fn measure(tasks: usize) -> Result<(), Failure> {
    let jam = Jam::new(
        About::jam(
            "jam",
            "memory store, as it comes: ids hashed, data kept as text, sessions listed by user",
        ),
        Sessions::new(MemoryStore::new()),
    );
    let tower = tower::new::Tower::new(
        About::peer(
            "tower-sessions memory store",
            "one locked map of parsed values, as it comes",
        ),
        TowerMemory::default(),
    );
    let moka = tower::old::Tower::new(
        About::peer(
            "tower-sessions-moka-store",
            "a moka cache of parsed values, no bound on its size",
        ),
        MokaStore::new(None),
    );
    let settings = Settings::in_more_turns(tasks);
    let contestants = vec![
        Local::timing_one_in(TIMED, jam),
        Local::timing_one_in(TIMED, Sharded::new()),
        Local::timing_one_in(TIMED, tower),
        Local::timing_one_in(TIMED, moka),
    ];
    compete(Part::new("memory"), &settings, contestants).await
}

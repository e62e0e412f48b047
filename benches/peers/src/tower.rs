//! tower-sessions' stores, of both versions of its core that they are on.

pub(crate) mod new {
    //! On the newer core.
    jam_bench_harness::tower_library!(tower_sessions_core);
}

pub(crate) mod old {
    //! On the older core.
    jam_bench_harness::tower_library!(tower_sessions_core_14);
}

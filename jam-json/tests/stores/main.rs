//! The JSON stores through their public API, in one program: what each promises, damaged files, races, configuration.
#![cfg(test)]

mod dir_config;
mod dir_contract;
mod dir_damage;
mod dir_hostile;
mod dir_locks;
mod dir_races;
mod dir_support;
mod dir_walk;
mod file_contract;
mod file_damage;
mod file_files;
mod file_golden;
mod file_jamlib;
mod file_journals;
mod file_model;
mod file_recovery;
mod file_support;
#[cfg(unix)]
mod owners;

/// The first to run.
#[test]
fn a_failure_ends_all_where_that_is_asked_for() {
    jam_test_trials::end_at_first_failure();
}

//! The power is cut at every moment of every write, and the disk is left in every state it may then be in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jam_core::{Load, Record, RecordId, SessionStore};

use super::faulty::{Fault, FaultyFs};
use super::machine::{Disk, Machine, Unsynced};
use super::scenario::{Action, State, id, open, set_up, state};

const ROOT: &str = "/sessions";

/// What may be found after a power cut: what was acknowledged, or with it the write that was under way.
struct Moments {
    /// From which moment on which state was acknowledged.
    acknowledged: Vec<(usize, State)>,
}

impl Moments {
    fn allowed(&self, moment: usize) -> impl Iterator<Item = &State> {
        let done = self.acknowledged.iter().take_while(|(at, _)| *at <= moment).count();
        self.acknowledged[done - 1..].iter().take(2).map(|(_, state)| state)
    }
}

async fn machine_with_sessions() -> Machine {
    let machine = Machine::new();
    set_up(&open(Path::new(ROOT), machine.clone()).await.expect("opened")).await;
    machine
}

async fn power_cuts_during(action: Action) -> usize {
    let machine = machine_with_sessions().await;
    let store = open(Path::new(ROOT), machine.clone()).await.expect("opened");
    let mut moments = Moments {
        acknowledged: vec![(machine.moment(), state(&store).await)],
    };
    let first = machine.moment();
    action.run(&store).await.expect("nothing goes wrong");
    moments.acknowledged.push((machine.moment(), state(&store).await));
    // One more write in the same directory, so that what the action left unsynced is not simply the last.
    let later = Record::new("{\"later\":1}", None);
    store.insert(&id("user1", "b2"), &later).await.expect("inserted");
    moments.acknowledged.push((machine.moment(), state(&store).await));

    let mut seen: BTreeSet<(usize, Disk)> = BTreeSet::new();
    for moment in first..=machine.moment() {
        let done = moments.acknowledged.iter().filter(|(at, _)| *at <= moment).count();
        for names in 0..=moment {
            for content in [Unsynced::Lost, Unsynced::Half, Unsynced::Kept] {
                let disk = machine.disk(moment, names, content);
                if !seen.insert((done, disk.clone())) {
                    continue;
                }
                let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
                let found = state(&after).await;
                assert!(
                    moments.allowed(moment).any(|state| *state == found),
                    "{action:?}: power cut at {moment} of {first}..={}, names up to {names}, content {content:?}: {disk:#?}",
                    machine.moment()
                );
            }
        }
    }
    seen.len()
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_no_acknowledged_write_and_splits_none() {
    for action in Action::ALL {
        let disks = power_cuts_during(action).await;
        assert!(disks > 5, "{action:?}: there were different disks ({disks})");
    }
}

/// Every disk there may be if the power is cut now.
fn disks(machine: &Machine) -> BTreeSet<Disk> {
    let moment = machine.moment();
    let cuts = (0..=moment).flat_map(|names| [Unsynced::Lost, Unsynced::Kept].map(|content| (names, content)));
    cuts.map(|(names, content)| machine.disk(moment, names, content))
        .collect()
}

#[tokio::test]
async fn a_write_is_durable_also_where_one_before_it_failed_half_way() {
    let payload = Record::new("{\"later\":1}", None);
    for action in Action::ALL {
        for at in 0..40 {
            let machine = machine_with_sessions().await;
            let fs = FaultyFs::on(Arc::new(machine.clone()), Fault::Fail, at);
            let Ok(store) = open(Path::new(ROOT), fs).await else {
                continue;
            };
            if action.run(&store).await.is_ok() {
                continue;
            }
            // Done now, or found to be done already: an answer either way.
            action.again(&store).await;
            store
                .insert(&id("user3", "later"), &payload)
                .await
                .expect("works again");
            let promised = state(&store).await;
            for disk in disks(&machine) {
                let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
                assert_eq!(state(&after).await, promised, "{action:?} failed at {at}: {disk:#?}");
            }
        }
    }
}

#[tokio::test]
async fn a_write_is_durable_also_where_the_machine_forgot_what_a_failed_sync_should_have_written() {
    for action in Action::ALL {
        let machine = machine_with_sessions().await;
        let store = open(Path::new(ROOT), machine.clone()).await.expect("opens");
        machine.let_syncs_fail(true);
        let failed = action.run(&store).await.is_err();
        machine.let_syncs_fail(false);
        if !failed {
            continue;
        }
        action.again(&store).await;
        let promised = state(&store).await;
        for disk in disks(&machine) {
            let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
            assert_eq!(state(&after).await, promised, "{action:?}: {disk:#?}");
        }
    }
}

#[tokio::test]
async fn a_sync_that_is_owed_to_one_directory_is_not_forgotten_over_another() {
    let machine = machine_with_sessions().await;
    let store = open(Path::new(ROOT), machine.clone()).await.expect("opens");
    let ended = [id("user1", "a"), id("user2", "c")];
    machine.let_syncs_fail(true);
    for id in &ended {
        store.remove(id).await.expect_err("no sync succeeds");
    }
    machine.let_syncs_fail(false);
    for id in &ended {
        assert!(!store.remove(id).await.expect("removed already"));
    }
    let promised = state(&store).await;
    for disk in disks(&machine) {
        let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
        assert_eq!(state(&after).await, promised, "{disk:#?}");
    }
}

#[tokio::test]
async fn a_write_is_durable_also_where_a_process_before_it_died_half_way() {
    let payload = Record::new("{\"later\":1}", None);
    for action in Action::ALL {
        for at in 0..40 {
            let machine = machine_with_sessions().await;
            // One that was open all the while, and one that comes later.
            let live = open(Path::new(ROOT), machine.clone()).await.expect("opens");
            let fs = FaultyFs::on(Arc::new(machine.clone()), Fault::Crash, at);
            let Ok(store) = open(Path::new(ROOT), fs).await else {
                continue;
            };
            let done = action.run(&store).await.is_ok();
            let later = id("user3", "later");
            live.insert(&later, &payload).await.expect("inserted");
            must_survive(
                &machine,
                &[&later],
                &format!("{action:?} died at {at}, another was open"),
            )
            .await;
            let store = open(Path::new(ROOT), machine.clone()).await.expect("opens");
            let latest = id("user3", "latest");
            store.insert(&latest, &payload).await.expect("inserted");
            must_survive(&machine, &[&later, &latest], &format!("{action:?} died at {at}")).await;
            if done {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_ended_session_stays_ended_also_where_a_process_died_while_it_ended_it() {
    let a = id("user1", "a");
    for first in [Action::Remove, Action::Clear] {
        for second in [Action::Remove, Action::Clear] {
            for at in 0..40 {
                let machine = machine_with_sessions().await;
                let live = open(Path::new(ROOT), machine.clone()).await.expect("opens");
                let fs = FaultyFs::on(Arc::new(machine.clone()), Fault::Crash, at);
                let Ok(store) = open(Path::new(ROOT), fs).await else {
                    continue;
                };
                let done = first.run(&store).await.is_ok();
                second.run(&live).await.expect("answered");
                for disk in disks(&machine) {
                    let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
                    let found = after.load(&a, Load::new()).await.expect("nothing is damaged");
                    assert!(found.is_none(), "{first:?} died at {at}, then {second:?}: {disk:#?}");
                }
                if done {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_save_of_what_a_process_left_that_died_half_way_is_durable() {
    let payload = Record::new("{\"saved\":1}", None);
    for action in [Action::InsertFirstOfKey, Action::RenameToNewKey] {
        let mut saved = 0;
        for at in 0..40 {
            let machine = machine_with_sessions().await;
            let live = open(Path::new(ROOT), machine.clone()).await.expect("opens");
            let fs = FaultyFs::on(Arc::new(machine.clone()), Fault::Crash, at);
            let Ok(store) = open(Path::new(ROOT), fs).await else {
                continue;
            };
            let done = action.run(&store).await.is_ok();
            let new = id("user3", "new");
            if live.replace(&new, None, &payload).await.is_ok() {
                saved += 1;
                must_survive(&machine, &[&new], &format!("{action:?} died at {at}")).await;
            }
            if done {
                break;
            }
        }
        assert!(saved > 1, "{action:?}: something was there before it was done");
    }
}

async fn must_survive(machine: &Machine, ids: &[&RecordId], case: &str) {
    for disk in disks(machine) {
        let after = open(Path::new(ROOT), Machine::with(&disk)).await.expect("opens");
        for id in ids {
            let found = after.load(id, Load::new()).await.expect("nothing is damaged");
            assert!(found.is_some(), "{case}: {disk:#?}");
        }
    }
}

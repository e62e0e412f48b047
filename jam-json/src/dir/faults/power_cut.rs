//! The power is cut at every moment of every write, and the disk is left in every state it may then be in.

use std::collections::BTreeSet;
use std::path::Path;

use jam_core::{Record, SessionStore};

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
    machine_is_durable(&machine);
    set_up(&open(Path::new(ROOT), machine.clone()).await.expect("opened")).await;
    machine
}

/// The storage directory itself was made long ago.
fn machine_is_durable(machine: &Machine) {
    use crate::fs::Fs;
    machine.create_dir(Path::new(ROOT)).expect("created");
    machine.sync_dir(Path::new("/")).expect("synced");
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

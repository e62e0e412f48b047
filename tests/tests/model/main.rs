//! Every backend does what the simplest thing that keeps jam's promises does: random steps, turns of the clock and crashes, one
//! after the other, with every answer compared, and at the end of each walk all there is.
//!
//! `JAM_TEST_STEPS=100000` runs the long version, of each backend. A walk that fails is cut down to the shortest that still does, and
//! names its seed, with which `JAM_TEST_SEED` begins.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod reference;
mod step;
mod world;

use std::cell::Cell;

use jam_test_servers::Kind;
use jam_tests::Trials;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::Value;

use crate::reference::Reference;
use crate::step::{Settings, Step, USERS, settings, steps};
use crate::world::{Backend, World};

const WALK: usize = 80;

/// One walk; gives how many steps it took, or where the two parted.
async fn walk(backend: Backend, settings: Settings, steps: &[Step]) -> Result<u32, String> {
    let (mut world, mut reference) = (World::begin(backend, settings).await, Reference::new(settings));
    let mut taken = 0;
    for step in steps {
        // A server's own clock goes on between turns, so there no session is left with milliseconds.
        let in_seconds = match (backend, step) {
            (Backend::Redis(_), Step::Wait(millis)) => Some(Step::Wait(millis.next_multiple_of(1_000))),
            _ => None,
        };
        let step = in_seconds.as_ref().unwrap_or(step);
        follow(&mut world, &mut reference, step, None).await?;
        taken += 1;
    }
    for user in 0..USERS.len() {
        follow(&mut world, &mut reference, &Step::List(user), None).await?;
    }
    for id in 0..world.ids() {
        follow(&mut world, &mut reference, &Step::Get(0), Some(id)).await?;
    }
    Ok(taken)
}

async fn follow(world: &mut World, reference: &mut Reference, step: &Step, id: Option<usize>) -> Result<(), String> {
    let id = id.unwrap_or_else(|| match step {
        Step::Get(index)
        | Step::Exists(index)
        | Step::Update(index, _)
        | Step::Modify(index)
        | Step::Commit(index, _)
        | Step::Touch(index)
        | Step::Delete(index)
        | Step::Rework(index)
        | Step::ReworkWithGrace(index)
        | Step::ReworkAs(index, ..)
        | Step::Revoke(_, index)
        | Step::ClearOthers(index) => world.pick(*index),
        _ => usize::MAX,
    });
    let ids = world.ids();
    let told: Value = world.take(step, id).await;
    // A step that gave an id out tells the name of its session.
    let handle = world.handle(if world.ids() > ids { ids } else { id }).to_owned();
    let expected = reference.apply(step, ids, id, &handle);
    if told == expected {
        Ok(())
    } else {
        Err(format!(
            "{step:?} of id {id} gave {told}, not {expected}; the model: {reference:?}"
        ))
    }
}

fn check(backend: Backend) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // One walk for each seed.
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let mut trials = Trials::new(
        format!("steps beside the model on {backend:?}"),
        "JAM_TEST_STEPS",
        2_000,
    );
    while let Some(seed) = trials.next() {
        let mut of_seed = [0; 32];
        of_seed[..8].copy_from_slice(&seed.to_le_bytes());
        let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &of_seed);
        let taken = Cell::new(0_u32);
        let outcome =
            TestRunner::new_with_rng(config.clone(), chance).run(&(settings(), steps(WALK)), |(settings, steps)| {
                let walked = runtime.block_on(walk(backend, settings, &steps));
                taken.set(walked.map_err(TestCaseError::fail)?);
                Ok(())
            });
        if let Err(error) = outcome {
            panic!("{backend:?}: {error}");
        }
        trials.more(u64::from(taken.get()) - 1);
    }
}

#[test]
fn memory() {
    check(Backend::Memory);
}

#[test]
fn encrypted() {
    check(Backend::Encrypted);
}

#[test]
fn json_file() {
    check(Backend::JsonFile);
}

#[test]
fn json_dir() {
    check(Backend::JsonDir);
}

#[test]
fn sqlite() {
    check(Backend::Sqlite);
}

#[test]
fn redis_old() {
    check(Backend::Redis(Kind::Old));
}

#[test]
fn redis_new() {
    check(Backend::Redis(Kind::New));
}

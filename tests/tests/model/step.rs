//! What can happen, drawn at random.

use proptest::collection::vec;
use proptest::prelude::*;

use serde_json::{Value, json};

/// Session keys, some of them hostile.
pub(crate) const USERS: [&str; 3] = ["user1", "../{us}:er\u{0}\n~", "Ünïcödé/2"];

/// Which of the ids that were given out so far a step means, dead ones included; see `World::pick`.
pub(crate) type Pick = u32;

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(usize, Option<u64>, Value),
    Get(Pick),
    Exists(Pick),
    Update(Pick, Value),
    /// Raises a counter.
    Modify(Pick),
    /// Loads, sets a field, writes it back.
    Commit(Pick, u64),
    Touch(Pick),
    Delete(Pick),
    Rework(Pick),
    ReworkWithGrace(Pick),
    ReworkAs(Pick, usize, Option<u64>),
    List(usize),
    Revoke(usize, Pick),
    Clear(usize),
    ClearOthers(Pick),
    RemoveExpired,
    /// Milliseconds.
    Wait(u64),
    /// The process ends where it stands, and another one begins.
    Crash,
}

/// The settings of the manager.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) renew_on_read: bool,
    pub(crate) max_lifetime: Option<u64>,
    pub(crate) max_sessions: Option<usize>,
    pub(crate) grace: Option<u64>,
}

/// Seconds.
pub(crate) const TTL: u64 = 100;

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let lifetime = prop::option::of(Just(300));
    (
        any::<bool>(),
        lifetime,
        prop::option::of(1..4_usize),
        prop::option::of(Just(30)),
    )
        .prop_map(|(renew_on_read, max_lifetime, max_sessions, grace)| Settings {
            renew_on_read,
            max_lifetime,
            max_sessions,
            grace,
        })
}

pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), most / 2..=most)
}

fn data() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        any::<u8>().prop_map(|n| json!({"count": n})),
        ("\\PC{0,6}", any::<f64>())
            .prop_map(|(text, number)| json!({"text": text, "x\"\n": [null, number, {"": true}]})),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (user, id, ttl) = (0..USERS.len(), any::<u32>(), prop::option::of(1..200_u64));
    let wait = prop_oneof![
        0..2_000_u64,
        Just(1_000),
        Just(11_000),
        Just(30_000),
        Just(100_000),
        0..60_000_u64
    ];
    prop_oneof![
        6 => (user.clone(), ttl.clone(), data()).prop_map(|(user, ttl, data)| Step::Create(user, ttl, data)),
        5 => id.prop_map(Step::Get),
        1 => id.prop_map(Step::Exists),
        4 => (id, data()).prop_map(|(id, data)| Step::Update(id, data)),
        4 => id.prop_map(Step::Modify),
        3 => (id, any::<u64>()).prop_map(|(id, value)| Step::Commit(id, value)),
        3 => id.prop_map(Step::Touch),
        2 => id.prop_map(Step::Delete),
        3 => id.prop_map(Step::Rework),
        4 => id.prop_map(Step::ReworkWithGrace),
        3 => (id, user.clone(), ttl).prop_map(|(id, user, ttl)| Step::ReworkAs(id, user, ttl)),
        3 => user.clone().prop_map(Step::List),
        2 => (user.clone(), id).prop_map(|(user, id)| Step::Revoke(user, id)),
        1 => user.prop_map(Step::Clear),
        2 => id.prop_map(Step::ClearOthers),
        1 => Just(Step::RemoveExpired),
        6 => wait.prop_map(Step::Wait),
        2 => Just(Step::Crash),
    ]
}

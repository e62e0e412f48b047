//! What every contestant does.

use async_trait::async_trait;

use crate::{Failure, Settings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Creates a session that stays.
    Fill,
    /// Creates a session that the next `Delete` removes.
    Create,
    Get,
    Update,
    Delete,
}

/// In the order of a turn: what is created in it is deleted at its end.
pub(crate) const OPERATIONS: [Operation; 4] = [Operation::Create, Operation::Get, Operation::Update, Operation::Delete];

impl Operation {
    /// How often it is done in a turn.
    pub(crate) fn count(self, tasks: usize, slow: bool) -> usize {
        let count = match self {
            Self::Get => 20_000,
            _ => 6_400,
        };
        count / if tasks < 8 { 4 } else { 1 } / if slow { 8 } else { 1 }
    }
}

#[async_trait]
pub(crate) trait Contestant: Send + Sync {
    fn name(&self) -> &'static str;

    /// Whether it is so slow with these settings that fewer operations have to do.
    fn is_slow(&self, _: Settings) -> bool {
        false
    }

    /// Does it for the session of this number.
    async fn run(&self, operation: Operation, number: usize) -> Result<(), Failure>;
}

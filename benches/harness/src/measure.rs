//! Turns.

use crate::results::{Measured, Part, Row};
use crate::{Contestant, Failure, OPERATIONS, Operation, SESSIONS, Turn};

/// How a part is measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many tasks call at once.
    pub tasks: usize,
    /// How many turns, after one that warms up.
    pub turns: usize,
    /// How long an operation of one contestant should take in a turn.
    pub seconds: f64,
    /// How many sessions are created in a turn at most, so that stores do not differ in size by much.
    pub creates: usize,
    /// How many sessions are stored before: for each contestant, or one number for all.
    pub sessions: Vec<usize>,
    /// Whether sessions are deleted when all turns of everything else are over: on some file systems creates are slow for minutes
    /// after that.
    pub deletes_at_the_end: bool,
    /// What is measured.
    pub operations: Vec<Operation>,
}

impl Settings {
    /// With so many tasks: eleven turns of a tenth of a second each. A neighbour on the machine disturbs for seconds, so more and
    /// shorter turns tell more than fewer and longer ones.
    pub fn with_tasks(tasks: usize) -> Self {
        Self {
            tasks,
            turns: 11,
            seconds: 0.1,
            creates: 20_000,
            sessions: vec![SESSIONS],
            operations: OPERATIONS.to_vec(),
            deletes_at_the_end: false,
        }
    }

    /// The same in more turns, where no contestant takes long for one: the median of more of them spreads less.
    pub fn in_more_turns(tasks: usize) -> Self {
        Self {
            turns: 31,
            ..Self::with_tasks(tasks)
        }
    }

    fn most(&self, operation: Operation) -> usize {
        match operation {
            Operation::Create => self.creates,
            _ => usize::MAX,
        }
    }
}

/// Lets them take turns, and writes down the results of this part.
pub async fn compete(
    part: Part,
    settings: &Settings,
    mut contestants: Vec<Box<dyn Contestant>>,
) -> Result<(), Failure> {
    let mut counts = Vec::new();
    for (number, contestant) in contestants.iter_mut().enumerate() {
        let sessions = settings.sessions[number % settings.sessions.len()];
        contestant.fill(sessions, settings.tasks).await?;
        let (mut of_contestant, mut created) = (Vec::new(), None);
        for &operation in &settings.operations {
            let count = match operation {
                Operation::Delete => {
                    let deleted = contestant.turn(operation, settings.tasks, usize::MAX).await?;
                    // All that there is, or at the end as much each time as was created each time.
                    deleted.and(if settings.deletes_at_the_end {
                        created
                    } else {
                        Some(usize::MAX)
                    })
                }
                _ => warm_up(contestant.as_mut(), operation, settings).await?,
            };
            if operation == Operation::Create {
                created = count;
            }
            of_contestant.push(count);
        }
        counts.push(of_contestant);
    }
    let mut turns: Vec<Vec<Vec<Turn>>> = vec![vec![Vec::new(); settings.operations.len()]; contestants.len()];
    for at_the_end in [false, true] {
        for number in 0..settings.turns {
            for (place, &operation) in settings.operations.iter().enumerate() {
                if at_the_end != (settings.deletes_at_the_end && operation == Operation::Delete) {
                    continue;
                }
                for step in 0..contestants.len() {
                    // Whoever comes later may find caches warm, so everybody comes later in turn.
                    let who = (number + step) % contestants.len();
                    let Some(count) = counts[who][place] else { continue };
                    turns[who][place].extend(contestants[who].turn(operation, settings.tasks, count).await?);
                }
            }
        }
    }
    let mut rows = Vec::new();
    for (contestant, turns) in contestants.iter().zip(turns) {
        let measured = settings
            .operations
            .iter()
            .zip(turns)
            .filter(|(_, turns)| !turns.is_empty());
        rows.push(Row {
            about: contestant.about().clone(),
            measured: measured
                .map(|(operation, turns)| Measured::of(operation.name(), &turns))
                .collect(),
        });
    }
    part.write(settings.tasks, &rows)
}

/// Finds out how often it can be done in the time there is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is neither negative nor that large"
)]
async fn warm_up(
    contestant: &mut dyn Contestant,
    operation: Operation,
    settings: &Settings,
) -> Result<Option<usize>, Failure> {
    let most = settings.most(operation);
    let least = contestant.least(settings.tasks).min(most);
    let mut count = least;
    loop {
        let Some(turn) = contestant.turn(operation, settings.tasks, count).await? else {
            return Ok(None);
        };
        let wanted = (turn.rate() * settings.seconds) as usize;
        if turn.seconds > settings.seconds / 4.0 || count >= most {
            return Ok(Some(wanted.clamp(least, most)));
        }
        count = (count * 4).min(most);
    }
}

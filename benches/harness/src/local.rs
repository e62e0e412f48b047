//! Contestants in this process.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::{About, Contestant, Failure, Operation, Turn};

/// A session library, call by call.
pub trait Library: Send + Sync + 'static {
    /// What one holds of a session.
    type Id: Send + Sync + 'static;

    /// Who it is.
    fn about(&self) -> About;

    /// Whether it can do this at all.
    fn does(&self, operation: Operation) -> bool;

    /// A new session, the one of this number.
    fn create(&self, number: usize) -> impl Future<Output = Result<Self::Id, Failure>> + Send;

    /// One of the other operations, on a session that is nobody else's meanwhile.
    fn run(&self, operation: Operation, id: &mut Self::Id) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A library, and the sessions in it.
pub struct Local<L: Library> {
    about: About,
    library: Arc<L>,
    /// Fills the same store, faster.
    filler: Option<L>,
    /// One call in so many is timed by itself: to look at the clock costs what a read from memory costs.
    timed: usize,
    /// Of each task, its own.
    stored: Vec<Vec<L::Id>>,
    /// How far each task has come among its own.
    reached: usize,
    created: Vec<L::Id>,
    number: usize,
}

impl<L: Library> Local<L> {
    /// Times each call by itself.
    pub fn timed(library: L) -> Box<dyn Contestant> {
        Self::timing_one_in(1, library)
    }

    /// Times one call in so many.
    pub fn timing_one_in(timed: usize, library: L) -> Box<dyn Contestant> {
        Box::new(Self::new(timed, library))
    }

    /// Times each call by itself; the sessions that stay come from another one on the same store, with less of a promise.
    pub fn filled_by(filler: L, library: L) -> Box<dyn Contestant> {
        Box::new(Self {
            filler: Some(filler),
            ..Self::new(1, library)
        })
    }

    fn new(timed: usize, library: L) -> Self {
        Self {
            about: library.about(),
            library: Arc::new(library),
            timed,
            stored: Vec::new(),
            reached: 0,
            filler: None,
            created: Vec::new(),
            number: 0,
        }
    }

    async fn create(&mut self, tasks: usize, count: usize) -> Result<(Vec<L::Id>, Turn), Failure> {
        let each = count.div_ceil(tasks);
        let start = Instant::now();
        let mut running = Vec::with_capacity(tasks);
        for task in 0..tasks {
            let (library, first, timed) = (Arc::clone(&self.library), self.number + task * each, self.timed);
            running.push(tokio::spawn(async move {
                let mut ids = Vec::with_capacity(each);
                let mut calls = Vec::with_capacity(each / timed + 1);
                for number in 0..each {
                    let start = (number % timed == 0).then(Instant::now);
                    ids.push(library.create(first + number).await?);
                    calls.extend(start.map(|start| start.elapsed().as_secs_f64()));
                }
                Ok::<_, Failure>((ids, calls))
            }));
        }
        let mut done = Vec::with_capacity(tasks);
        for task in running {
            done.push(task.await??);
        }
        let seconds = start.elapsed().as_secs_f64();
        self.number += each * tasks;
        let (ids, calls): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        let ids = ids.into_iter().flatten().collect();
        Ok((
            ids,
            Turn::of(each * tasks, seconds, calls.into_iter().flatten().collect()),
        ))
    }

    /// Goes about each task's own sessions until each has done it so often; gives the sessions back.
    async fn work(
        &self,
        operation: Operation,
        held: Vec<Vec<L::Id>>,
        each: Option<usize>,
    ) -> Result<(Vec<Vec<L::Id>>, Turn), Failure> {
        let start = Instant::now();
        let mut running = Vec::with_capacity(held.len());
        for mut ids in held {
            let (library, timed) = (Arc::clone(&self.library), self.timed);
            let reached = self.reached;
            running.push(tokio::spawn(async move {
                let each = each.unwrap_or(ids.len());
                let mut calls = Vec::with_capacity(each / timed + 1);
                let length = ids.len();
                for number in 0..each {
                    let id = &mut ids[(reached + number) % length];
                    let start = (number % timed == 0).then(Instant::now);
                    library.run(operation, id).await?;
                    calls.extend(start.map(|start| start.elapsed().as_secs_f64()));
                }
                Ok::<_, Failure>((ids, calls, each))
            }));
        }
        let mut done = Vec::with_capacity(running.len());
        for task in running {
            done.push(task.await??);
        }
        let seconds = start.elapsed().as_secs_f64();
        let (mut held, mut all, mut count) = (Vec::new(), Vec::new(), 0);
        for (ids, calls, each) in done {
            held.push(ids);
            all.extend(calls);
            count += each;
        }
        Ok((held, Turn::of(count, seconds, all)))
    }
}

/// Deals them out, one by one, so that no task has one user's sessions for itself.
fn deal<T>(all: Vec<T>, tasks: usize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..tasks).map(|_| Vec::new()).collect();
    for (number, one) in all.into_iter().enumerate() {
        dealt[number % tasks].push(one);
    }
    dealt
}

#[async_trait]
impl<L: Library> Contestant for Local<L> {
    fn about(&self) -> &About {
        &self.about
    }

    async fn fill(&mut self, sessions: usize, tasks: usize) -> Result<(), Failure> {
        // By many at once in any case, so that they share what can be shared.
        let slower = self
            .filler
            .take()
            .map(|filler| mem::replace(&mut self.library, Arc::new(filler)));
        let (ids, _) = self.create(64, sessions).await?;
        self.stored = deal(ids, tasks);
        self.library = slower.unwrap_or_else(|| Arc::clone(&self.library));
        Ok(())
    }

    async fn turn(&mut self, operation: Operation, tasks: usize, count: usize) -> Result<Option<Turn>, Failure> {
        if !self.library.does(operation) {
            return Ok(None);
        }
        let turn = match operation {
            Operation::Create => {
                let (ids, turn) = self.create(tasks, count).await?;
                self.created.extend(ids);
                turn
            }
            Operation::Delete => {
                let kept = self.created.len().saturating_sub(count);
                let held = deal(self.created.split_off(kept), tasks);
                self.work(operation, held, None).await?.1
            }
            _ => {
                let held = mem::take(&mut self.stored);
                let each = count.div_ceil(tasks);
                let (held, turn) = self.work(operation, held, Some(each)).await?;
                self.stored = held;
                self.reached += each;
                turn
            }
        };
        Ok(Some(turn))
    }
}

#[cfg(test)]
mod tests {
    use jam_core::{MemoryStore, Sessions};

    use super::Local;
    use crate::{About, Failure, Jam, Operation};

    #[tokio::test]
    async fn what_is_created_is_deleted_and_what_stays_stays() -> Result<(), Failure> {
        let sessions = Sessions::new(MemoryStore::new());
        let mut local = Local::timed(Jam::new(About::jam("jam", ""), sessions.clone()));
        local.fill(128, 4).await?;
        let created = local.turn(Operation::Create, 4, 10).await?.ok_or("no such operation")?;
        let deleted = local
            .turn(Operation::Delete, 4, usize::MAX)
            .await?
            .ok_or("no such operation")?;
        assert_eq!((created.count, deleted.count), (12, 12));
        local.turn(Operation::Rework, 4, 40).await?;
        local.turn(Operation::Get, 4, 1_000).await?;
        assert_eq!(sessions.store().scan(None, 1_000).await?.entries.len(), 128);
        Ok(())
    }
}

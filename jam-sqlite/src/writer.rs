//! The writer: one task that takes what waits, decides it in one transaction, commits once, and answers.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jam_core::{Clock, Error, Result};
use tokio::sync::mpsc;

use crate::kind::Kind;
use crate::lane::{InUse, Lane};
use crate::patience::{LockWaits, Patience, Queued};
use crate::request::{Call, Message};
use crate::space::{Original, Space};
use crate::statements::{Many, Statements};
use crate::transaction::{Halted, Pen, Pending};
use crate::trouble;

const WRITING: &str = "writing sessions";

/// How the task ended.
pub(crate) type Ended = OnceLock<Result<()>>;

/// The one task that changes the table, of those of this store.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) lane: Lane,
    pub(crate) statements: Arc<Statements>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long others may keep the database locked while a call waits.
    pub(crate) patience: Duration,
    pub(crate) waits: LockWaits,
    /// What calls heard that waited so long, if the last ones did.
    pub(crate) locked: Option<Error>,
    pub(crate) lead: Duration,
    pub(crate) space: Space,
    pub(crate) ended: Arc<Ended>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
}

impl Writer {
    /// A batch takes no more calls and no more bytes than this (and one call at least), so that its first caller does
    /// not wait for long and other processes get their turn.
    const MOST_CALLS: usize = 256;
    const MOST_BYTES: usize = 4 * 1024 * 1024;

    /// Works until it is told to end, or everybody who could ask is gone.
    pub(crate) async fn run(mut self) {
        let mut inbox = Vec::with_capacity(Self::MOST_CALLS);
        let mut closing = None;
        while self.inbox.recv_many(&mut inbox, Self::MOST_CALLS).await > 0 {
            let mut batch = Vec::with_capacity(inbox.len());
            let mut bytes = 0;
            for message in inbox.drain(..) {
                match message {
                    Message::Write(call) => {
                        bytes += call.request.weight();
                        batch.push(call);
                        if bytes > Self::MOST_BYTES {
                            self.serve(std::mem::take(&mut batch)).await;
                            bytes = 0;
                        }
                    }
                    Message::Shrink(queued, reply) => {
                        self.serve(std::mem::take(&mut batch)).await;
                        let _ = reply.send(self.shrink(queued).await);
                    }
                    Message::Close(reply) => {
                        // What is in the inbox now is done, nothing more gets in.
                        self.inbox.close();
                        closing.get_or_insert(reply);
                    }
                }
            }
            self.serve(batch).await;
            self.keep_log_short().await;
        }
        let outcome = self.close().await;
        // For whoever closes at the same time, or again.
        let _ = self.ended.set(trouble::for_another(&outcome));
        if let Some(reply) = closing {
            let _ = reply.send(outcome);
        }
    }

    async fn serve(&mut self, calls: Vec<Call>) {
        // Nobody waits for those any more, so they need not be made.
        let waited_for = calls.into_iter().filter(|call| !call.reply.is_closed());
        let mut pending: Vec<Pending> = waited_for.map(Pending::from).collect();
        if !self.is_in_place() {
            return refuse_with(pending, &trouble::removed());
        }
        match self.decide_in_time(&mut pending).await {
            // One of them may be the reason, so each is tried by itself.
            Err(Halted::Undone(error)) if pending.len() > 1 && trouble::is_one_calls_own(&error) => {
                for call in pending {
                    let mut one = vec![call];
                    if let Err(halted) = self.decide_in_time(&mut one).await {
                        self.refuse(one, halted).await;
                    }
                }
            }
            Err(halted) => self.refuse(pending, halted).await,
            Ok(()) => {}
        }
    }

    fn is_in_place(&self) -> bool {
        self.space.original().is_none_or(Original::is_in_place)
    }

    /// Tells those whose callers wait that this happened to what they asked for.
    async fn refuse(&self, mut calls: Vec<Pending>, halted: Halted) {
        let (Halted::Undone(why) | Halted::Committing(why)) = &halted;
        let may_be_answered = trouble::refuses_writes(why);
        let error = match halted {
            Halted::Undone(error) => trouble::failed(WRITING, error),
            Halted::Committing(error) => trouble::failed("making a write durable", error).with_outcome_unknown(),
        };
        if may_be_answered
            && let Some(oldest) = calls.first()
            && let Ok(mut connection) = self.lane.take().await
        {
            let pen = self.pen(oldest.queued);
            pen.answer_unwritten(&mut connection, &mut calls, &error).await;
            self.answer_decided(&mut calls);
        }
        refuse_with(calls, &error);
    }

    /// Decides and answers these calls, except those who wait for a lock as long as they may: they are refused, and the
    /// others go on.
    async fn decide_in_time(&mut self, pending: &mut Vec<Pending>) -> Result<(), Halted> {
        loop {
            if let Some(error) = &self.locked {
                // Trying for them once more would only make those behind them wait for longer.
                refuse_with(pending.extract_if(.., |call| self.has_waited(call)), error);
            }
            let Some(oldest) = pending.first() else { return Ok(()) };
            let pen = self.pen(oldest.queued);
            let outcome = self.decide(pen, pending).await;
            self.locked = None;
            match outcome {
                Err(Halted::Undone(error))
                    if trouble::is_busy(&error) && pending.iter().any(|call| self.has_waited(call)) =>
                {
                    self.locked = Some(trouble::failed(WRITING, error));
                }
                outcome => return outcome,
            }
        }
    }

    /// For locks, as long as it may. Without waiting at all, nobody has.
    fn has_waited(&self, call: &Pending) -> bool {
        let waited = self.waits.of(call.queued);
        !waited.is_zero() && waited >= self.patience
    }

    /// Decides and answers these calls, by themselves if they are of one kind. Those that are left when it fails have
    /// changed nothing.
    async fn decide(&self, pen: Pen<'_>, pending: &mut Vec<Pending>) -> Result<(), Halted> {
        if let Some(kind) = only_kind(pending) {
            let mut connection = self.connect(pen.patience).await?;
            let outcome = pen.alone(&mut connection, kind, pending).await;
            self.settle(connection, outcome).await?;
            self.answer_decided(pending);
        }
        if !pending.is_empty() {
            let mut connection = self.connect(pen.patience).await?;
            let outcome = pen.together(&mut connection, pending).await;
            self.settle(connection, outcome).await?;
            self.answer_decided(pending);
        }
        Ok(())
    }

    /// In a shared cache not even that can be done while others change the tables themselves.
    async fn connect(&self, patience: Patience<'_>) -> Result<InUse, Halted> {
        let mut began = Instant::now();
        loop {
            match self.lane.take().await {
                Err(error) if trouble::is_busy(&error) && patience.outlasts(&mut began).await => {}
                taken => return taken.map_err(Halted::Undone),
            }
        }
    }

    /// Answers those that are decided. They may have waited for long for a lock, so whether they are in the file that is
    /// there is asked again.
    fn answer_decided(&self, pending: &mut Vec<Pending>) {
        let mut decided = pending.extract_if(.., |call| call.answer.is_some()).peekable();
        if decided.peek().is_some() && !self.is_in_place() {
            return refuse_with(decided, &trouble::removed().with_outcome_unknown());
        }
        for mut call in decided {
            let answer = call.answer.take().unwrap_or_else(|| Err(trouble::confused()));
            call.reply.send(answer);
        }
    }

    /// Gives the connection up if a new one may do better.
    async fn settle<T>(&self, connection: InUse, outcome: Result<T, Halted>) -> Result<T, Halted> {
        if let Err(Halted::Undone(error) | Halted::Committing(error)) = &outcome
            && trouble::spoils_the_connection(error)
        {
            self.lane.give_up(connection).await;
        }
        outcome
    }

    fn pen(&self, oldest: Queued) -> Pen<'_> {
        Pen {
            statements: &self.statements,
            clock: &*self.clock,
            patience: self.patience_since(oldest),
            lead: self.lead,
        }
    }

    fn patience_since(&self, queued: Queued) -> Patience<'_> {
        Patience {
            waits: &self.waits,
            queued,
            most: self.patience,
        }
    }

    async fn shrink(&mut self, queued: Queued) -> Result<bool> {
        // Calls may wait behind it for long, so that what was is no reason to refuse them.
        self.locked = None;
        let failed = |error| trouble::failed("giving free space back", error);
        let mut connection = self.lane.take().await.map_err(failed)?;
        let mut began = Instant::now();
        loop {
            match self.space.shrink(&mut connection).await {
                Err(error) if trouble::is_busy(&error) && self.patience_since(queued).outlasts(&mut began).await => {}
                outcome => return outcome.map_err(failed),
            }
        }
    }

    async fn keep_log_short(&mut self) {
        if !self.space.log_is_long() {
            return;
        }
        if let Ok(mut connection) = self.lane.take().await {
            self.space.truncate_log(&mut connection).await;
        }
    }

    async fn close(&mut self) -> Result<()> {
        let failed = |error| trouble::failed("closing the database", error);
        let rested = match self.lane.take().await {
            Ok(mut connection) => self.space.rest(&mut connection).await,
            // A connection that is broken has nothing to bring into order.
            Err(_) => Ok(()),
        };
        self.lane.close().await.and(rested).map_err(failed)
    }
}

/// The kind of all of these, if they go into one trip.
fn only_kind(pending: &[Pending]) -> Option<Kind> {
    let (first, others) = pending.split_first()?;
    let kind = Kind::of(&first.request)?;
    let same = others.len() < Many::MOST && others.iter().all(|call| Kind::of(&call.request) == Some(kind));
    same.then_some(kind)
}

fn refuse_with(calls: impl IntoIterator<Item = Pending>, error: &Error) {
    for call in calls {
        call.reply.send(Err(trouble::again(error)));
    }
}

//! The writer: one thread that takes what waits, decides it, makes it durable with one write and one sync, and answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, OnceLock};

use futures_channel::oneshot;
use jam_core::memory::Table;
use jam_core::{Clock, Result};

use super::change::Change;
use super::decide::View;
use super::errors::{again, beside, closed, for_another, interrupted};
use super::log::Log;
use super::request::{Answer, Call, Message, Request};

/// What a call will hear once its batch is durable.
struct Decision {
    reply: oneshot::Sender<Result<Answer>>,
    answer: Result<Answer>,
    /// Whether it was decided on what the batch has changed.
    rests_on_batch: bool,
    /// Whether one of the changes is its own.
    changes: bool,
}

impl Decision {
    /// Answers after the batch. If it has failed, whoever has seen nothing of it hears what was decided.
    fn tell(self, committed: &Result<()>) {
        let answer = match committed {
            Err(error) if self.changes => Err(again(error)),
            Err(error) if self.rests_on_batch => Err(beside(error)),
            _ => self.answer,
        };
        // A caller that is gone has not asked to be told.
        let _ = self.reply.send(answer);
    }
}

/// How a close went: for whoever closes later, too.
pub(super) type Ended = OnceLock<Result<()>>;

/// The one thread that changes the table and the files.
#[derive(Debug)]
pub(super) struct Writer {
    log: Log,
    clock: Arc<dyn Clock>,
    /// Raised from before a batch is decided until it is in the table.
    busy: Arc<AtomicBool>,
    /// How the close went, from when every call that was taken is answered and the rest will not be taken.
    ended: Arc<Ended>,
    inbox: Receiver<Message>,
    /// For threads that report back.
    outbox: Sender<Message>,
    /// What came while a batch was gathered and is no part of it.
    put_off: Option<Message>,
    /// Who waits for the compaction under way.
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// Who asked for one since it began, and so waits for the next.
    waiting_for_next: Vec<oneshot::Sender<Result<()>>>,
}

impl Writer {
    /// A batch takes no more calls and no more bytes than this (and one call at least), so that its first caller does
    /// not wait for long.
    const MOST_CALLS: usize = 1024;
    const MOST_BYTES: usize = 4 * 1024 * 1024;

    pub(super) fn new(
        log: Log,
        clock: Arc<dyn Clock>,
        busy: Arc<AtomicBool>,
        ended: Arc<Ended>,
        inbox: Receiver<Message>,
        outbox: Sender<Message>,
    ) -> Self {
        Self {
            log,
            clock,
            busy,
            ended,
            inbox,
            outbox,
            put_off: None,
            waiting: Vec::new(),
            waiting_for_next: Vec::new(),
        }
    }

    /// Works until it is told to end.
    pub(super) fn run(mut self) {
        while let Some(message) = self.put_off.take().or_else(|| self.inbox.recv().ok()) {
            match message {
                Message::Write(call) => {
                    let batch = self.gather(call);
                    self.write(batch);
                    if self.log.wants_compaction() {
                        self.compact();
                    }
                    self.log.mend();
                }
                Message::Compact(reply) => {
                    self.waiting_for_next.push(reply);
                    if !self.log.is_compacting() {
                        self.compact();
                        self.log.mend();
                    }
                }
                Message::Compacted(generation) => {
                    let ended = self.log.finish_compaction(generation);
                    if ended.is_some() || !self.log.is_compacting() {
                        self.compacted(&ended.unwrap_or_else(|| Err(interrupted())));
                        if !self.waiting_for_next.is_empty() {
                            self.compact();
                            self.log.mend();
                        }
                    }
                }
                Message::Close(reply) => {
                    let outcome = self.log.rest();
                    self.waiting.append(&mut self.waiting_for_next);
                    self.compacted(&outcome);
                    let also_closing = self.refuse_the_rest();
                    let _ = self.ended.set(for_another(&outcome));
                    // Let go of the lock before anybody hears of it.
                    drop(self);
                    for also in also_closing {
                        let _ = also.send(for_another(&outcome));
                    }
                    let _ = reply.send(outcome);
                    return;
                }
                Message::Stop => {
                    self.log.let_go();
                    return;
                }
            }
        }
    }

    /// A batch of this call and those that wait behind it.
    fn gather(&mut self, first: Call) -> Vec<Call> {
        let mut bytes = first.request.weight();
        let mut alone = matches!(first.request, Request::Expire(_));
        let mut batch = vec![first];
        while !alone && batch.len() < Self::MOST_CALLS && bytes < Self::MOST_BYTES {
            match self.inbox.try_recv() {
                Ok(Message::Write(call)) if !matches!(call.request, Request::Expire(_)) => {
                    bytes += call.request.weight();
                    batch.push(call);
                }
                Ok(message) => {
                    self.put_off = Some(message);
                    alone = true;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        batch
    }

    fn write(&mut self, batch: Vec<Call>) {
        let table = Arc::clone(self.log.table());
        let first = self.log.sequence() + 1;
        // Before the time is looked at: whoever finds it lowered is judged by a later time than every batch before.
        self.busy.store(true, Ordering::SeqCst);
        self.decide_and_commit(batch, &table, first);
        self.busy.store(false, Ordering::SeqCst);
    }

    fn decide_and_commit(&mut self, batch: Vec<Call>, table: &Table, first: u64) {
        let mut view = View::new(table, self.clock.now());
        let mut changes = Vec::with_capacity(batch.len());
        let mut decisions = Vec::with_capacity(batch.len());
        for Call {
            request,
            reply,
            counted,
        } in batch
        {
            // Taken.
            drop(counted);
            if reply.is_canceled() {
                // Nobody waits for it any more, so it need not be made.
                continue;
            }
            let before = changes.len();
            let rests_on_batch = view.has_changed(&request);
            let answer = view.decide(request).map(|(answer, change)| {
                if let Some(change) = change {
                    changes.extend(view.before(&change));
                    view.note(&change, first + changes.len() as u64);
                    changes.push(change);
                }
                answer
            });
            decisions.push(Decision {
                reply,
                answer,
                rests_on_batch,
                changes: changes.len() > before,
            });
        }
        let committed = self.commit(&changes, table, first);
        view.end_expired();
        for decision in decisions {
            decision.tell(&committed);
        }
    }

    /// Makes changes durable, then visible.
    fn commit(&mut self, changes: &[Change], table: &Table, first: u64) -> Result<()> {
        if !changes.is_empty() {
            self.log.commit(changes)?;
        }
        for (change, number) in changes.iter().zip(first..) {
            change.apply(table, number);
        }
        Ok(())
    }

    fn compact(&mut self) {
        self.waiting.append(&mut self.waiting_for_next);
        let done = self.outbox.clone();
        let started = self.sweep().and_then(|()| {
            self.log.start_compaction(move |generation| {
                let _ = done.send(Message::Compacted(generation));
            })
        });
        if !self.log.is_compacting() {
            self.compacted(&started);
        }
    }

    /// Drops what has expired before it is written once more.
    fn sweep(&mut self) -> Result<()> {
        // Or a reader would end what is dropped then with nothing written of it.
        self.busy.store(true, Ordering::SeqCst);
        let swept = self.drop_expired();
        self.busy.store(false, Ordering::SeqCst);
        swept
    }

    fn drop_expired(&mut self) -> Result<()> {
        let now = self.clock.now();
        let table = Arc::clone(self.log.table());
        let first = self.log.sequence() + 1;
        let mut view = View::new(&table, now);
        let (_, change) = view.decide(Request::Expire(now))?;
        let mut changes = change.as_ref().map(|change| view.before(change)).unwrap_or_default();
        changes.extend(change);
        self.commit(&changes, &table, first)
    }

    fn compacted(&mut self, outcome: &Result<()>) {
        if let Err(error) = outcome {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the sessions file could not be compacted; its journal goes on"
            );
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(for_another(outcome));
        }
    }

    /// Refuses what came after a close, and gives those who close as well.
    fn refuse_the_rest(&mut self) -> Vec<oneshot::Sender<Result<()>>> {
        let mut also_closing = Vec::new();
        while let Some(message) = self.put_off.take().or_else(|| self.inbox.try_recv().ok()) {
            match message {
                Message::Write(call) => drop(call.reply.send(Err(closed()))),
                Message::Compact(reply) => drop(reply.send(Err(closed()))),
                Message::Close(reply) => also_closing.push(reply),
                Message::Compacted(_) | Message::Stop => {}
            }
        }
        also_closing
    }
}

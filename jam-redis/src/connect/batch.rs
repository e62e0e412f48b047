//! Calls that wait together go to the driver together: one message to it, one write, one timer for all of them.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

/// What waits to be sent on one connection.
pub(crate) struct Batches {
    /// The runtime that the connection lives on. Calls from others go alone: their own runtime may end, or be left
    /// alone, between the moment a task is to send what waits and the moment it does.
    home: Option<Id>,
    /// Calls under way.
    flying: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// A task is about to take what waits.
    scheduled: bool,
}

struct Waiting {
    command: Cmd,
    reply: oneshot::Sender<RedisResult<Value>>,
}

/// One call, from its being asked for to its end, whichever way it ends.
struct Flight<'a>(&'a Batches);

impl<'a> Flight<'a> {
    /// The flight, and whether there are others.
    fn begin(batches: &'a Batches) -> (Self, bool) {
        let before = batches.flying.fetch_add(1, Ordering::Relaxed);
        (Self(batches), before > 0)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.flying.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The duty to send what waits. If its task ends before that, since its runtime does, the callers get to know.
struct Duty(Option<Arc<Batches>>);

impl Duty {
    fn take(&mut self) -> Vec<Waiting> {
        let Some(batches) = self.0.take() else {
            return Vec::new();
        };
        let mut queue = batches.lock();
        queue.scheduled = false;
        mem::take(&mut queue.waiting)
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl Batches {
    /// More commands than this are sent in pieces, so that none waits for too many others.
    const MOST: usize = 128;

    /// For a connection that lives on the present runtime.
    pub(crate) fn here() -> Arc<Self> {
        Arc::new(Self {
            home: present_runtime(),
            flying: AtomicUsize::new(0),
            queue: Mutex::default(),
        })
    }

    /// Makes one call. If the caller goes away meanwhile, the call may or may not be made, and nobody else sees its reply.
    pub(crate) async fn call(self: &Arc<Self>, connection: &MultiplexedConnection, command: Cmd) -> RedisResult<Value> {
        let (_flight, others) = Flight::begin(self);
        if !others || present_runtime() != self.home {
            return connection.clone().send_packed_command(&command).await;
        }
        let (reply, answer) = oneshot::channel();
        if let Some(duty) = self.push(Waiting { command, reply }) {
            tokio::spawn(send(duty, connection.clone()));
        }
        answer.await.unwrap_or_else(|_| {
            let gone = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection's task has ended");
            Err(gone.into())
        })
    }

    /// Puts a call into the queue; the first one gets the duty to send it.
    fn push(self: &Arc<Self>, waiting: Waiting) -> Option<Duty> {
        let mut queue = self.lock();
        queue.waiting.push(waiting);
        (!mem::replace(&mut queue.scheduled, true)).then(|| Duty(Some(Arc::clone(self))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn present_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

async fn send(mut duty: Duty, connection: MultiplexedConnection) {
    // The tasks that are ready to run may have something to send too.
    tokio::task::yield_now().await;
    let mut waiting = duty.take();
    // What nobody waits for any more need not be sent.
    waiting.retain(|one| !one.reply.is_closed());
    let mut waiting = waiting.into_iter();
    let mut pieces = Vec::new();
    while waiting.len() > 0 {
        pieces.push(send_together(
            waiting.by_ref().take(Batches::MOST).collect(),
            connection.clone(),
        ));
    }
    join_all(pieces).await;
}

async fn send_together(waiting: Vec<Waiting>, mut connection: MultiplexedConnection) {
    let mut pipeline = Pipeline::with_capacity(waiting.len());
    let mut replies = Vec::with_capacity(waiting.len());
    for Waiting { command, reply } in waiting {
        pipeline.add_command(command);
        replies.push(reply);
    }
    match connection.send_packed_commands(&pipeline, 0, replies.len()).await {
        Ok(values) => {
            for (reply, value) in replies.into_iter().zip(values) {
                // Whoever has gone does not want it.
                drop(reply.send(Ok(value)));
            }
        }
        Err(error) => {
            for reply in replies {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

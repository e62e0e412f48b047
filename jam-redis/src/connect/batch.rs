//! Calls that wait together go to the driver together: one message to it, one write, one timer for all of them.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::oneshot;

/// What waits to be sent on one connection.
#[derive(Default)]
pub(crate) struct Batches(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// A task is about to take what waits.
    scheduled: bool,
    /// Calls under way.
    flying: usize,
}

struct Waiting {
    command: Cmd,
    reply: oneshot::Sender<RedisResult<Value>>,
}

/// One call, from its being asked for to its end, whichever way it ends.
struct Flight<'a>(&'a Batches);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.lock().flying -= 1;
    }
}

impl Batches {
    /// More commands than this are sent in pieces, so that none waits for too many others.
    const MOST: usize = 128;

    /// Makes one call. If the caller goes away meanwhile, the call may or may not be made, and nobody else sees its reply.
    pub(crate) async fn call(
        self: &Arc<Self>,
        connection: &MultiplexedConnection,
        command: &Cmd,
    ) -> RedisResult<Value> {
        let answer = {
            let mut queue = self.lock();
            queue.flying += 1;
            if queue.flying == 1 {
                None
            } else {
                let (reply, answer) = oneshot::channel();
                queue.waiting.push(Waiting {
                    command: command.clone(),
                    reply,
                });
                if !mem::replace(&mut queue.scheduled, true) {
                    tokio::spawn(Arc::clone(self).send(connection.clone()));
                }
                Some(answer)
            }
        };
        let _flight = Flight(self);
        match answer {
            // Nobody to go with.
            None => connection.clone().send_packed_command(command).await,
            Some(answer) => answer.await.unwrap_or_else(|_| {
                let gone = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection's task has ended");
                Err(gone.into())
            }),
        }
    }

    async fn send(self: Arc<Self>, connection: MultiplexedConnection) {
        // The tasks that are ready to run may have something to send too.
        tokio::task::yield_now().await;
        let mut waiting = {
            let mut queue = self.lock();
            queue.scheduled = false;
            mem::take(&mut queue.waiting)
        };
        // What nobody waits for any more need not be sent.
        waiting.retain(|one| !one.reply.is_closed());
        let mut waiting = waiting.into_iter();
        let mut pieces = Vec::new();
        while waiting.len() > 0 {
            pieces.push(send_together(
                waiting.by_ref().take(Self::MOST).collect(),
                connection.clone(),
            ));
        }
        join_all(pieces).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

//! Calls that wait together go to the driver together: one message to it, one write, one timer for all of them.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Follows at once; the reply is an array of both then.
    second: Option<Cmd>,
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

/// What falls to the call that has just joined.
enum Errand {
    /// To send these.
    Now(Vec<Waiting>),
    /// To send what waits when the tasks that are ready have run.
    Soon(Duty),
}

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
    /// So many calls are sent without waiting for more: the server works on them while others get ready here.
    const MOST: usize = 32;

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
        self.join(connection, command, None).await
    }

    /// Makes two calls, the second right behind the first; both replies.
    #[cfg(feature = "near-cache")]
    pub(crate) async fn call_both(
        self: &Arc<Self>,
        connection: &MultiplexedConnection,
        [first, second]: [Cmd; 2],
    ) -> RedisResult<Vec<Value>> {
        let (_flight, others) = Flight::begin(self);
        if !others || present_runtime() != self.home {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.add_command(first).add_command(second);
            return connection.clone().send_packed_commands(&pipeline, 0, 2).await;
        }
        match self.join(connection, first, Some(second)).await? {
            Value::Array(both) => Ok(both),
            other => Ok(vec![other]),
        }
    }

    async fn join(
        self: &Arc<Self>,
        connection: &MultiplexedConnection,
        command: Cmd,
        second: Option<Cmd>,
    ) -> RedisResult<Value> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { command, second, reply };
        match self.push(waiting) {
            Some(Errand::Now(waiting)) => {
                tokio::spawn(send_together(waiting, connection.clone()));
            }
            Some(Errand::Soon(duty)) => {
                tokio::spawn(send(duty, connection.clone()));
            }
            None => {}
        }
        answer.await.unwrap_or_else(|_| {
            let gone = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection's task has ended");
            Err(gone.into())
        })
    }

    /// Puts a call into the queue.
    fn push(self: &Arc<Self>, waiting: Waiting) -> Option<Errand> {
        let mut queue = self.lock();
        queue.waiting.push(waiting);
        if queue.waiting.len() >= Self::MOST {
            return Some(Errand::Now(mem::take(&mut queue.waiting)));
        }
        (!mem::replace(&mut queue.scheduled, true)).then(|| Errand::Soon(Duty(Some(Arc::clone(self)))))
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
    send_together(duty.take(), connection).await;
}

async fn send_together(mut waiting: Vec<Waiting>, mut connection: MultiplexedConnection) {
    // What nobody waits for any more need not be sent.
    waiting.retain(|one| !one.reply.is_closed());
    if waiting.is_empty() {
        return;
    }
    let mut pipeline = Pipeline::with_capacity(waiting.len());
    let mut replies = Vec::with_capacity(waiting.len());
    for Waiting { command, second, reply } in waiting {
        pipeline.add_command(command);
        let two = second.is_some();
        if let Some(second) = second {
            pipeline.add_command(second);
        }
        replies.push((two, reply));
    }
    match connection.send_packed_commands(&pipeline, 0, pipeline.len()).await {
        Ok(values) => {
            let mut values = values.into_iter();
            for (two, reply) in replies {
                let value = if two {
                    Some(Value::Array(values.by_ref().take(2).collect()))
                } else {
                    values.next()
                };
                let Some(value) = value else { break };
                // Whoever has gone does not want it.
                drop(reply.send(Ok(value)));
            }
        }
        Err(error) => {
            for (_, reply) in replies {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Waiting {
        let (reply, _) = oneshot::channel();
        Waiting {
            command: redis::cmd("PING"),
            second: None,
            reply,
        }
    }

    #[tokio::test]
    async fn when_enough_calls_wait_they_go_without_waiting_for_more() {
        let batches = Batches::here();
        let Some(Errand::Soon(mut duty)) = batches.push(waiting()) else {
            panic!("the first one waits for others");
        };
        for _ in 2..Batches::MOST {
            assert!(batches.push(waiting()).is_none());
        }
        let Some(Errand::Now(together)) = batches.push(waiting()) else {
            panic!("that is enough");
        };
        assert_eq!(together.len(), Batches::MOST);
        assert!(batches.push(waiting()).is_none(), "somebody has the duty already");
        assert_eq!(duty.take().len(), 1);
        assert!(matches!(batches.push(waiting()), Some(Errand::Soon(_))));
    }

    #[cfg(feature = "near-cache")]
    #[tokio::test]
    async fn each_call_gets_its_own_reply_alone_or_in_pairs() {
        let server = jam_test_servers::Server::start(jam_test_servers::Kind::New);
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let batches = Batches::here();
        let echo = |text: String| redis::cmd("ECHO").arg(text).take();
        let text = |text: String| Value::BulkString(text.into_bytes());
        let calls = (0..200).map(|number| {
            let (batches, connection) = (Arc::clone(&batches), connection.clone());
            async move {
                if number % 3 == 0 {
                    let pair = [echo(format!("{number}")), echo(format!("{number} too"))];
                    let replies = batches.call_both(&connection, pair).await.unwrap();
                    assert_eq!(replies, [text(format!("{number}")), text(format!("{number} too"))]);
                } else {
                    let reply = batches.call(&connection, echo(format!("{number}"))).await.unwrap();
                    assert_eq!(reply, text(format!("{number}")));
                }
            }
        });
        futures_util::future::join_all(calls).await;
    }
}

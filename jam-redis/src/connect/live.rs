//! One open connection, and what is known of the server behind it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jam_core::Result;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::batch::Batches;
use super::clock::ServerClock;
use super::known::Known;
use super::looks::Looks;
use super::probe::Generation;
use super::removal::Removal;
use super::slots::Address;
use crate::error::Trouble;
use crate::script::Call;

/// The driver's connection: jam's own, or one that the application lent.
pub(crate) enum Wire {
    Own(MultiplexedConnection, Arc<Batches>),
    Lent(Box<dyn Lend>),
}

impl From<MultiplexedConnection> for Wire {
    fn from(connection: MultiplexedConnection) -> Self {
        Self::Own(connection, Batches::here())
    }
}

/// A connection that gives another handle on itself.
pub(crate) trait Lend: Send + Sync {
    fn lend(&self) -> Box<dyn ConnectionLike + Send>;
    fn again(&self) -> Box<dyn Lend>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Lend for C {
    fn lend(&self) -> Box<dyn ConnectionLike + Send> {
        Box::new(self.clone())
    }

    fn again(&self) -> Box<dyn Lend> {
        Box::new(self.clone())
    }
}

/// An open connection.
pub(crate) struct Live {
    pub(super) wire: Wire,
    pub(super) generation: AtomicU8,
    pub(super) removal: AtomicU8,
    broken: AtomicBool,
    opened: Instant,
    /// When somebody looked at the clock last, in milliseconds since then.
    looked: AtomicU64,
    /// When a reply came last: at this time, or a little later.
    heard: AtomicU64,
    known: Known,
    pub(crate) looks: Looks,
    pub(crate) clock: ServerClock,
    /// What no other connection is called, here or in another process.
    pub(crate) name: u64,
    /// Where it leads to, if sentinels said it.
    at: Option<Address>,
    /// When they were asked last whether that is so, in milliseconds since the connection was opened.
    asked: AtomicU64,
    /// When a question was over to which none of them had an answer, if that was the last one; else 0.
    in_vain: AtomicU64,
    /// Somebody is asking in the background whether anybody is there.
    pub(super) doubted: AtomicBool,
}

impl Live {
    /// Asks the server what it can do, and leaves it the scripts.
    pub(crate) async fn greet(wire: Wire, probe_key: &[u8]) -> Result<Self> {
        let live = Self::quiet(wire);
        live.probe(probe_key).await?;
        Ok(live)
    }

    /// One beside another, which knows what the server can do.
    pub(crate) fn quiet(wire: Wire) -> Self {
        Self {
            wire,
            generation: AtomicU8::new(0),
            removal: AtomicU8::new(Removal::None as u8),
            broken: AtomicBool::new(false),
            opened: Instant::now(),
            looked: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            known: Known::default(),
            looks: Looks::default(),
            clock: ServerClock::default(),
            name: RandomState::new().hash_one(Instant::now()),
            at: None,
            asked: AtomicU64::new(0),
            in_vain: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
        }
    }

    /// With the address that sentinels gave.
    pub(crate) fn at(mut self, at: Option<Address>) -> Self {
        self.at = at;
        self
    }

    pub(crate) fn led_to(&self) -> Option<&Address> {
        self.at.as_ref()
    }

    /// Notes that the sentinels were asked at this age, and have said what they had to say, or nothing at all.
    pub(super) fn asked_at(&self, age: u64, in_vain: bool) {
        let over = if in_vain { self.age().max(1) } else { 0 };
        self.in_vain.store(over, Ordering::Relaxed);
        self.asked.fetch_max(age, Ordering::Relaxed);
    }

    /// Whether no sentinel has answered the last question, and that is not longer ago than this.
    pub(super) fn asked_in_vain(&self, ago: Duration) -> bool {
        let over = self.in_vain.load(Ordering::Relaxed);
        over != 0 && Duration::from_millis(self.age().saturating_sub(over)) <= ago
    }

    /// How long ago the sentinels were asked, when somebody [looked](Self::was_idle) at the clock last.
    pub(super) fn unasked(&self) -> Duration {
        let looked = self.looked.load(Ordering::Relaxed);
        Duration::from_millis(looked.saturating_sub(self.asked.load(Ordering::Relaxed)))
    }

    pub(crate) fn generation(&self) -> Generation {
        match self.generation.load(Ordering::Relaxed) {
            0 => Generation::Emulated,
            1 => Generation::FieldExpiry,
            _ => Generation::SetWithExpiry,
        }
    }

    pub(crate) fn removal(&self) -> Removal {
        Removal::from_number(self.removal.load(Ordering::Relaxed))
    }

    /// Whether the server behind the connection may be replaced without jam noticing.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self.wire, Wire::Lent(_))
    }

    /// Whether a hash was seen to hold no emulated values, so that a plain command will do.
    pub(crate) fn knows(&self, key: &[u8]) -> bool {
        !self.is_lent() && self.known.contains(key)
    }

    /// Whether there is anything to know about hashes: nothing on a lent connection, whose server may be another one now, and
    /// nothing on a server that emulates.
    pub(crate) fn learns(&self) -> bool {
        !self.is_lent() && self.generation() != Generation::Emulated
    }

    /// Notes that a hash holds no emulated values.
    pub(crate) fn learn(&self, key: &[u8]) {
        if self.learns() {
            self.known.insert(key);
        }
    }

    /// Notes that a hash holds emulated values. If it was seen to hold none, then all that this server holds may have been
    /// put in the place of what it held: it followed another one for a while, or a dump was loaded.
    pub(crate) fn unlearn(&self, key: &[u8]) {
        if self.known.contains(key) {
            self.known.clear();
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Says that the connection is of no use any more. Calls that wait on it go on waiting for their replies.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that a reply has come.
    pub(super) fn heard_now(&self) {
        self.heard.store(self.age(), Ordering::Relaxed);
    }

    /// Whether nothing was heard for so long that the other side, or something between, may have hung up.
    pub(crate) fn was_idle(&self, long: Duration) -> bool {
        let now = self.age();
        note(&self.looked, now);
        self.was_silent(now, long)
    }

    pub(super) fn was_silent(&self, now: u64, long: Duration) -> bool {
        let silence = now.saturating_sub(self.heard.load(Ordering::Relaxed));
        Duration::from_millis(silence) > long
    }

    /// Asks whether anybody is there. If not, the connection is given up, and no call was lost on it.
    pub(crate) async fn is_there(&self) -> bool {
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        let there = self.pipeline(&ping, 1).await.is_ok();
        if there {
            self.heard_now();
        } else {
            self.give_up();
        }
        there
    }

    /// Makes one call; a script that the server does not know is sent in full.
    pub(crate) async fn call(&self, mut call: Call<'_>, asking: bool) -> Result<Value, Trouble> {
        match self.send(call.take_command(), asking).await {
            Err(Trouble::NoScript) => match call.in_full() {
                Some(command) => Box::pin(self.send(command, asking)).await,
                None => Err(Trouble::NoScript),
            },
            answer => answer,
        }
    }

    async fn send(&self, command: Cmd, asking: bool) -> Result<Value, Trouble> {
        let reply = if asking {
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.cmd("ASKING");
            pipeline.add_command(command);
            let replies = self.pipeline(&pipeline, 2).await;
            replies.map(|mut replies| replies.pop().unwrap_or(Value::Nil))
        } else {
            self.one(command).await
        };
        self.heed(reply)
    }

    /// Makes two calls, the second right behind the first.
    #[cfg(feature = "near-cache")]
    pub(crate) async fn both(&self, [first, second]: [Cmd; 2]) -> Result<(Value, Value), Trouble> {
        let Wire::Own(connection, batches) = &self.wire else {
            return Ok((self.send(first, false).await?, self.send(second, false).await?));
        };
        let replies = batches.call_both(connection, [first, second]).await;
        match replies.map(<[Value; 2]>::try_from) {
            Ok(Ok([first, second])) => Ok((self.heed(Ok(first))?, self.heed(Ok(second))?)),
            Ok(Err(_)) => Err(Trouble::Refused(crate::error::unexpected(
                "the Redis server answered too few commands",
            ))),
            Err(error) => Err(self.troubled(error)),
        }
    }

    /// What a reply says about the connection.
    fn heed(&self, reply: RedisResult<Value>) -> Result<Value, Trouble> {
        match reply {
            Ok(Value::ServerError(error)) => Err(self.troubled(error.into())),
            Ok(value) => {
                // Each call looks at the clock before it is sent, and once is enough.
                note(&self.heard, self.looked.load(Ordering::Relaxed));
                Ok(value)
            }
            Err(error) => Err(self.troubled(error)),
        }
    }

    fn troubled(&self, error: RedisError) -> Trouble {
        let trouble = Trouble::of(error);
        if matches!(trouble, Trouble::Lost(_) | Trouble::ReadOnly) {
            self.give_up();
        }
        trouble
    }

    async fn one(&self, command: Cmd) -> RedisResult<Value> {
        match &self.wire {
            Wire::Own(connection, batches) => batches.call(connection, command).await,
            Wire::Lent(connection) => connection.lend().req_packed_command(&command).await,
        }
    }

    /// Sends commands one behind the other and gives every reply, errors among them.
    pub(crate) fn pipeline<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        count: usize,
    ) -> BoxFuture<'a, RedisResult<Vec<Value>>> {
        Box::pin(async move {
            match &self.wire {
                Wire::Own(connection, _) => connection.clone().send_packed_commands(pipeline, 0, count).await,
                Wire::Lent(connection) => connection.lend().req_packed_commands(pipeline, 0, count).await,
            }
        })
    }
}

/// Notes a time that every call notes: mostly it stands there already, and what nobody writes to is at hand on every core.
fn note(place: &AtomicU64, time: u64) {
    if place.load(Ordering::Relaxed) != time {
        place.store(time, Ordering::Relaxed);
    }
}

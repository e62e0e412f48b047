//! One open connection, and what is known of the server behind it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jam_core::{Error, ErrorKind, Result, Timestamp};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::batch::Batches;
use super::clock::{Moment, ServerClock};
use super::known::Known;
use super::looks::Looks;
use super::removal::Removal;
use super::slots::Address;
use crate::error::{self, Trouble};
use crate::script::{self, Call};

/// What a server can do about the expiry of a hash field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Generation {
    /// Redis 6.2 to 7.2, Valkey 7.2 and 8: nothing.
    Emulated = 0,
    /// Redis 7.4: `HPEXPIREAT`.
    FieldExpiry = 1,
    /// Redis 8, Valkey 9: also `HSETEX`.
    SetWithExpiry = 2,
}

/// A field that no session has, for no id is empty.
const NO_ID: &str = "";

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
    wire: Wire,
    generation: AtomicU8,
    removal: AtomicU8,
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
}

impl Live {
    /// Asks the server what it can do, and leaves it the scripts.
    pub(crate) async fn greet(wire: Wire, probe_key: &[u8]) -> Result<Self> {
        let live = Self {
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
        };
        live.probe(probe_key).await?;
        Ok(live)
    }

    /// With the address that sentinels gave.
    pub(crate) fn at(mut self, at: Option<Address>) -> Self {
        self.at = at;
        self
    }

    #[cfg(feature = "near-cache")]
    pub(crate) fn led_to(&self) -> Option<&Address> {
        self.at.as_ref()
    }

    /// Finds out which commands there are by trying them, where they can do nothing: a server's version tells little
    /// (Valkey 9.1 says 7.2.4), and a user may be forbidden to ask. What no trial shows, which of the two it is, `HELLO` says.
    pub(crate) async fn probe(&self, key: &[u8]) -> Result<()> {
        let mut pipeline = Pipeline::with_capacity(5);
        // Sets nothing, for the field is not there.
        let set = pipeline.cmd("HSETEX").arg(key).arg("FXX").arg("PX").arg(1);
        set.arg("FIELDS").arg(1).arg(NO_ID).arg("");
        pipeline.cmd("HPEXPIRETIME").arg(key).arg("FIELDS").arg(1).arg(NO_ID);
        pipeline.cmd("TIME");
        pipeline.cmd("HGETDEL").arg(key).arg("FIELDS").arg(1).arg(NO_ID);
        pipeline.cmd("HELLO");
        let asked = Moment::now();
        let replies = self.pipeline(&pipeline, 5).await.map_err(error::unconnected)?;
        let [set, expiry, time, take, hello]: [Value; 5] = replies
            .try_into()
            .map_err(|_| error::unexpected("the Redis server answered too few commands"))?;
        // A server that wants a password first says of a command that it lacks only that; of this one it says more.
        Presence::of(time.clone())?;
        let expires = Presence::of(expiry)?;
        if let Value::ServerError(error) = &time
            && matches!(Trouble::of(error.clone().into()), Trouble::OtherGeneration)
        {
            return Err(Error::new(
                ErrorKind::Config,
                "the server has no TIME, so it is none that keeps data; a sentinel is opened with `redis+sentinel://`",
            ));
        }
        let generation = match (Presence::of(set)?, expires) {
            (Presence::Usable, Presence::Usable) => Generation::SetWithExpiry,
            (_, Presence::Usable) => Generation::FieldExpiry,
            (_, Presence::Absent) => Generation::Emulated,
            (_, Presence::Forbidden) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "the Redis user may not call HPEXPIRETIME, which this server has; grant it the commands of @hash",
                ));
            }
        };
        self.generation.store(generation as u8, Ordering::Relaxed);
        let has_take = generation == Generation::SetWithExpiry && Presence::of(take)? == Presence::Usable;
        let removal = Removal::of(&hello, has_take);
        self.removal.store(removal as u8, Ordering::Relaxed);
        if let Ok((seconds, micros)) = redis::from_redis_value::<(u64, u64)>(time) {
            self.clock
                .set(Timestamp::from_millis(seconds * 1_000 + micros / 1_000), asked);
        }
        self.leave_scripts(generation).await;
        Ok(())
    }

    /// So that no call has to send a script in full. A user who may not is served all the same.
    async fn leave_scripts(&self, generation: Generation) {
        let scripts = match generation {
            Generation::Emulated => script::emulated::ALL,
            _ => script::native::ALL,
        };
        let mut pipeline = Pipeline::with_capacity(scripts.len());
        for script in scripts {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script.code());
        }
        // What comes of it shows at the first call, which sends the script itself if need be.
        drop(self.pipeline(&pipeline, scripts.len()).await);
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

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether nothing was heard for so long that the other side, or something between, may have hung up.
    pub(crate) fn was_idle(&self, long: Duration) -> bool {
        let now = self.age();
        note(&self.looked, now);
        let silence = now.saturating_sub(self.heard.load(Ordering::Relaxed));
        Duration::from_millis(silence) > long
    }

    /// Asks whether anybody is there. If not, the connection is given up, and no call was lost on it.
    pub(crate) async fn is_there(&self) -> bool {
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        let there = self.pipeline(&ping, 1).await.is_ok();
        if there {
            self.heard.store(self.age(), Ordering::Relaxed);
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
            Ok(Err(_)) => Err(Trouble::Refused(error::unexpected(
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

    /// Makes a call and waits until so many replicas have what it wrote, or for so long; how many have.
    pub(crate) async fn call_and_wait(
        &self,
        mut call: Call<'_>,
        replicas: u32,
        within: Duration,
        patience: Duration,
        asking: bool,
    ) -> Result<(Value, u64), Trouble> {
        let mut pipeline = Pipeline::with_capacity(3);
        if asking {
            pipeline.cmd("ASKING");
        }
        // In full, for a second try would leave the first one's wait behind.
        pipeline.add_command(call.in_full().unwrap_or_else(|| call.take_command()));
        pipeline
            .cmd("WAIT")
            .arg(replicas)
            // 0 is no limit, and the server takes no time that its clock cannot count to; seven weeks are enough.
            .arg(u32::try_from(within.as_millis()).unwrap_or(u32::MAX).max(1));
        let count = 2 + usize::from(asking);
        let answer = async {
            let mut replies = match &self.wire {
                Wire::Own(connection, _) => {
                    let mut connection = connection.clone();
                    connection.set_response_timeout(patience);
                    connection.send_packed_commands(&pipeline, 0, count).await?
                }
                Wire::Lent(connection) => connection.lend().req_packed_commands(&pipeline, 0, count).await?,
            };
            let reached = replies.pop().unwrap_or(Value::Nil);
            let reply = replies.pop().unwrap_or(Value::Nil).extract_error()?;
            let reached = reached.extract_error();
            Ok((reply, reached.and_then(|reached| Ok(redis::from_redis_value(reached)?))))
        };
        let answer: RedisResult<(Value, RedisResult<u64>)> = answer.await;
        let (reply, reached) = answer.map_err(Trouble::of)?;
        self.heard.store(self.age(), Ordering::Relaxed);
        // The write was made, whatever became of the wait.
        let reached = reached.map_err(|error| Trouble::Unconfirmed(Trouble::of(error).into_error(true)))?;
        Ok((reply, reached))
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

/// What a trial of a command shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Absent,
    Forbidden,
    Usable,
}

impl Presence {
    /// # Errors
    /// What keeps the server from serving at all.
    fn of(reply: Value) -> Result<Self> {
        let Value::ServerError(error) = reply else {
            return Ok(Self::Usable);
        };
        let serves = !matches!(error.code(), "NOAUTH" | "WRONGPASS" | "LOADING" | "MASTERDOWN");
        let forbidden = error.code() == "NOPERM";
        match Trouble::of(RedisError::from(error)) {
            Trouble::OtherGeneration => Ok(Self::Absent),
            _ if forbidden => Ok(Self::Forbidden),
            // Such as READONLY, MISCONF, OOM, MOVED: the command is there.
            _ if serves => Ok(Self::Usable),
            trouble => Err(trouble.into_error(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use jam_test_servers::{Kind, Server};

    use super::*;

    /// The look is taken in the midst of things too, at the hash of the call that met another server.
    #[tokio::test]
    async fn looking_at_what_a_server_can_do_harms_no_session_whatever_it_is_called() {
        let server = Server::start(Kind::New);
        server.command(&["HSET", "sessions:user1", "probe", "{}"]);
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let live = Live::greet(connection.into(), b"sessions:user1").await.unwrap();
        assert_eq!(live.generation(), Generation::SetWithExpiry);
        let command = ["HPTTL", "sessions:user1", "FIELDS", "1", "probe"];
        assert_eq!(server.command(&command).array()[0].int(), -1);
    }
}

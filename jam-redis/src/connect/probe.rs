//! What a server can do, found out by trying.

use std::sync::atomic::Ordering;

use jam_core::{Error, ErrorKind, Result, Timestamp};
use redis::{Pipeline, RedisError, Value};

use super::clock::Moment;
use super::live::Live;
use super::removal::Removal;
use crate::error::{self, Trouble};
use crate::script;

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

impl Live {
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

//! `wait_replicas`: a call, and how many replicas have what the server holds after it.

use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind};
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::live::{Live, Wire};
use super::node::Replicas;
use crate::error::{self, Trouble};
use crate::script::Call;

/// A write that replicates and leaves everything as it was: a field that no session has, since no id is empty, comes and goes in
/// one step, so that nobody sees it. It is in the call's own hash, for its slot and for what the user may touch. What writes
/// without taking memory needs something that is there, so the script says that it may write on a full server.
const MARK: &str = include_str!("../lua/mark.lua");

impl Live {
    /// Makes a call and waits until so many replicas have what it wrote, or for so long; how many have. Where it found nothing in
    /// the hash `key`, until they have what the server holds: what somebody else ended may still be theirs.
    pub(crate) async fn call_and_wait(
        &self,
        mut call: Call<'_>,
        key: &[u8],
        wanted: Replicas,
        response_timeout: Duration,
        asking: bool,
    ) -> Result<(Value, u64), Trouble> {
        let begun = Instant::now();
        // In full, for a second try would leave the first one's wait behind.
        let command = call.in_full().unwrap_or_else(|| call.take_command());
        let (reply, reached) = self.then_wait(command, wanted, response_timeout, asking).await?;
        let reply = reply.map_err(Trouble::of)?;
        let reached = reached.map_err(unconfirmed)?;
        if !found_nothing(&reply) || reached < u64::from(wanted.count) {
            return Ok((reply, reached));
        }
        // `WAIT` has counted who has the last write of this connection, and that may be older than what has ended since.
        let mut mark = Cmd::new();
        mark.arg("EVAL").arg(MARK).arg(1).arg(key);
        let left = Replicas {
            within: wanted.within.saturating_sub(begun.elapsed()),
            ..wanted
        };
        let (marked, reached) = self.then_wait(mark, left, response_timeout, asking).await?;
        match marked {
            // Before Redis 7, which brought the flag, `WAIT` counts from the last write of all.
            Err(error) if !error::is_not_compiled(&error) => Err(match Trouble::of(error) {
                Trouble::Refused(error) => Trouble::Unconfirmed(error),
                // The call has done nothing, so it may be made again where the hash is now.
                trouble => trouble,
            }),
            _ => Ok((reply, reached.map_err(unconfirmed)?)),
        }
    }

    /// Sends a command with a `WAIT` behind it. Gives both replies.
    async fn then_wait(
        &self,
        command: Cmd,
        Replicas { count, within }: Replicas,
        response_timeout: Duration,
        asking: bool,
    ) -> Result<(RedisResult<Value>, RedisResult<u64>), Trouble> {
        let mut pipeline = Pipeline::with_capacity(3);
        if asking {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(command);
        pipeline
            .cmd("WAIT")
            .arg(count)
            // 0 is no limit, and the server takes no time that its clock cannot count to; seven weeks are enough.
            .arg(u32::try_from(within.as_millis()).unwrap_or(u32::MAX).max(1));
        let sent = 2 + usize::from(asking);
        let replies = match &self.wire {
            Wire::Own(connection, _) => {
                let mut connection = connection.clone();
                connection.set_response_timeout(response_timeout.saturating_add(within));
                connection.send_packed_commands(&pipeline, 0, sent).await
            }
            Wire::Lent(connection) => connection.lend().req_packed_commands(&pipeline, 0, sent).await,
        };
        let mut replies = replies.map_err(Trouble::of)?;
        self.heard_now();
        let reached = replies.pop().unwrap_or(Value::Nil).extract_error();
        let reply = replies.pop().unwrap_or(Value::Nil).extract_error();
        Ok((reply, reached.and_then(|reached| Ok(redis::from_redis_value(reached)?))))
    }
}

/// The command was carried out, whatever became of the wait.
fn unconfirmed(error: redis::RedisError) -> Trouble {
    match Trouble::of(error) {
        lost @ Trouble::Lost(_) => lost,
        trouble => Trouble::Unconfirmed(trouble.into_error(true)),
    }
}

/// Whether a call that ends sessions says that there were none: a count, or what `HGETDEL` took.
fn found_nothing(reply: &Value) -> bool {
    match reply {
        Value::Int(count) => *count == 0,
        Value::Array(taken) => matches!(taken[..], [Value::Nil]),
        _ => false,
    }
}

/// The reply, if enough replicas have what the server holds.
pub(super) fn confirmed(value: Value, reached: u64, wanted: Replicas) -> Result<Value, Trouble> {
    if reached >= u64::from(wanted.count) {
        return Ok(value);
    }
    let message = if found_nothing(&value) {
        "there is nothing to end on the primary, but too few replicas confirmed in time that they know; a failover now could \
         bring back what was ended before"
    } else {
        "the write was made, but too few replicas confirmed it in time; a failover now could undo it"
    };
    Err(Trouble::Unconfirmed(
        Error::new(ErrorKind::Unavailable, message)
            .with("replicas", reached.to_string())
            .with("wanted", wanted.count.to_string()),
    ))
}

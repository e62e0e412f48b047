//! Which server the sentinels call the primary.
//!
//! The driver's own sentinel client asks one sentinel after the other, and a silent one uses up the time of the others;
//! so all are asked at once, and the first primary that is one counts (Redis documentation, "Guidelines for Redis clients
//! with support for Redis Sentinel"), unless more of them name another one that is there.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jam_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, Value};

use super::slots::Address;
use super::votes::Votes;
use super::{Dial, node};
use crate::error;

/// The sentinels, and the name of the service they watch over.
pub(crate) struct Sentinels {
    watchers: Vec<Client>,
    service: String,
    /// To a server they name.
    dial: Dial,
}

/// What a sentinel says about the service.
#[derive(Debug)]
pub(crate) struct Watch {
    /// `None`: it knows no such service.
    pub(crate) primary: Option<Address>,
    /// Whether there are enough sentinels for a failover; `None` if the user may not ask.
    pub(crate) quorum: Option<bool>,
    /// It and others agree that the primary is down.
    pub(crate) calls_it_down: bool,
    /// The other sentinels it knows.
    pub(crate) others: u64,
}

/// What came of one step on the way.
enum Step {
    /// A sentinel named the primary, or knows of none.
    Named(Result<Option<Address>>),
    /// A connection to what was named.
    Reached(Address, Result<MultiplexedConnection>),
}

impl Sentinels {
    pub(crate) fn new(watchers: Vec<Client>, service: String, dial: Dial) -> Self {
        Self {
            watchers,
            service,
            dial,
        }
    }

    /// A connection to the primary, and its address. Of several primaries, the one that most sentinels name; once there is
    /// one, those who have not answered are waited for until it is `late`, and one that more of those who have answered name for as
    /// long again. The caller sees to the time it takes.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if every sentinel answers and none knows the service, or what is named is no sentinel, or
    /// asks for another password; [`ErrorKind::Unavailable`] if there is no primary now.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
        late: Duration,
    ) -> Result<(Address, MultiplexedConnection)> {
        let begun = Instant::now();
        let ask = |sentinel| self.ask(sentinel, config).map(Step::Named).boxed();
        let mut steps: FuturesUnordered<BoxFuture<'_, Step>> = self.watchers.iter().map(ask).collect();
        let mut votes = Votes::of(self.watchers.len());
        let mut reached: Vec<(Address, MultiplexedConnection)> = Vec::new();
        let mut strangers = 0;
        let mut failed: Option<Error> = None;
        loop {
            let step = if reached.is_empty() {
                steps.next().await
            } else {
                // One that more of them name may still be on its way.
                let is_outvoted = reached.iter().all(|(at, _)| votes.preferred_to(at).is_some());
                let patience = if is_outvoted { 2 * late } else { late };
                let left = patience.saturating_sub(begun.elapsed());
                tokio::time::timeout(left, steps.next()).await.unwrap_or_default()
            };
            let Some(step) = step else { break };
            let error = match step {
                Step::Named(Ok(Some(address))) => {
                    if votes.count(Some(&address)) {
                        let reaching = async {
                            let connection = self.reach(address.clone(), config, None).await;
                            Step::Reached(address, connection)
                        };
                        steps.push(reaching.boxed());
                    }
                    None
                }
                Step::Named(Ok(None)) => {
                    votes.count(None);
                    strangers += 1;
                    None
                }
                Step::Named(Err(error)) => {
                    votes.count(None);
                    Some(error)
                }
                Step::Reached(address, Ok(connection)) => {
                    reached.push((address, connection));
                    None
                }
                Step::Reached(address, Err(error)) => {
                    votes.failed(&address);
                    Some(error)
                }
            };
            if let Some(settled) = reached.iter().position(|(at, _)| votes.are_settled_on(at)) {
                return Ok(reached.swap_remove(settled));
            }
            // What is wrong with the config is worth more than that somebody is away.
            if error.is_some()
                && failed
                    .as_ref()
                    .is_none_or(|failed| failed.kind() == ErrorKind::Unavailable)
            {
                failed = error;
            }
        }
        // The first of those that most name.
        if let Some(most) = reached.into_iter().rev().max_by_key(|(at, _)| votes.by(at)) {
            return Ok(most);
        }
        Err(match failed {
            Some(error) if strangers == 0 => error,
            _ => Error::new(
                if strangers == self.watchers.len() {
                    ErrorKind::Config
                } else {
                    ErrorKind::Unavailable
                },
                "no sentinel that answered knows the service; is it the name that `sentinel monitor` gives it?",
            ),
        })
    }

    /// What each sentinel says, one by one.
    pub(crate) async fn watch(&self, config: &AsyncConnectionConfig) -> Vec<Result<Watch>> {
        join_all(self.watchers.iter().map(|sentinel| self.question(sentinel, config))).await
    }

    /// Whether [`connect`](Self::connect) would lead to another server than this one: more of the sentinels that answer
    /// before it is `late` name another primary, and that is there, or all have answered and none names this one any more. `None` if
    /// none has answered. Where those who are silent could still change it, or nobody has answered yet, they are waited for twice as
    /// long. In all, it takes three times as long as that at most.
    pub(crate) async fn prefer_another(
        &self,
        to: &Address,
        config: &AsyncConnectionConfig,
        late: Duration,
    ) -> Option<bool> {
        let begun = Instant::now();
        let ask = |sentinel| self.ask(sentinel, config);
        let mut answers: FuturesUnordered<_> = self.watchers.iter().map(ask).collect();
        let mut votes = Votes::of(self.watchers.len());
        let mut answered = 0;
        while !votes.are_settled_on(to) && !votes.are_settled_against(to) {
            // To leave a connection that works, on the word of one that was merely the quickest, would be a mistake.
            let would_leave = answered == 0 || votes.preferred_to(to).is_some();
            let patience = if would_leave { 2 * late } else { late };
            let left = patience.saturating_sub(begun.elapsed());
            let Ok(Some(answer)) = tokio::time::timeout(left, answers.next()).await else {
                break;
            };
            answered += usize::from(answer.is_ok());
            votes.count(answer.ok().flatten().as_ref());
        }
        if answered == 0 {
            return None;
        }
        let Some(other) = votes.preferred_to(to) else {
            return Some(false);
        };
        if votes.by(to) == 0 && answered == self.watchers.len() {
            return Some(true);
        }
        let reached = tokio::time::timeout(late, self.reach(other.clone(), config, None)).await;
        Some(matches!(reached, Ok(Ok(_))))
    }

    async fn question(&self, sentinel: &Client, config: &AsyncConnectionConfig) -> Result<Watch> {
        let primary = self.ask(sentinel, config).await?;
        let connection = sentinel.get_multiplexed_async_connection_with_config(config).await;
        let mut connection = connection.map_err(|error| of_a_sentinel(error::unconnected(error)))?;
        let mut questions = Pipeline::with_capacity(2);
        questions.cmd("SENTINEL").arg("CKQUORUM").arg(&self.service);
        questions.cmd("SENTINEL").arg("MASTER").arg(&self.service);
        let answers = connection.send_packed_commands(&questions, 0, 2).await;
        let answers = answers.map_err(|error| of_a_sentinel(error::unconnected(error)))?;
        let [quorum, service]: [Value; 2] = answers
            .try_into()
            .map_err(|_| error::unexpected("a sentinel answered too few commands"))?;
        let service: HashMap<String, String> = redis::from_redis_value(service).unwrap_or_default();
        Ok(Watch {
            primary,
            quorum: match quorum {
                Value::ServerError(error) => (error.code() == "NOQUORUM").then_some(false),
                _ => Some(true),
            },
            calls_it_down: service.get("flags").is_some_and(|flags| flags.contains("o_down")),
            others: service
                .get("num-other-sentinels")
                .and_then(|number| number.parse().ok())
                .unwrap_or_default(),
        })
    }

    async fn ask(&self, sentinel: &Client, config: &AsyncConnectionConfig) -> Result<Option<Address>> {
        let connection = sentinel.get_multiplexed_async_connection_with_config(config).await;
        let mut connection = connection.map_err(|error| of_a_sentinel(error::unconnected(error)))?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer: Option<(String, String)> = question
            .query_async(&mut connection)
            .await
            .map_err(|error| of_a_sentinel(error::unconnected(error)))?;
        match answer {
            None => Ok(None),
            Some((host, port)) => match port.parse() {
                Ok(port) => Ok(Some((host, port))),
                Err(_) => Err(error::unexpected("a sentinel named a primary without a port")),
            },
        }
    }

    /// Connects, and asks the server itself: the sentinel's word may be of yesterday. With `pushing`, it may push messages.
    pub(crate) async fn reach(
        &self,
        address: Address,
        config: &AsyncConnectionConfig,
        pushing: Option<&AsyncConnectionConfig>,
    ) -> Result<MultiplexedConnection> {
        let client = (self.dial)(&address)?;
        let mut connection = match pushing {
            #[cfg(feature = "near-cache")]
            Some(pushing) => node::connect(&node::pushed_to(&client)?, pushing).await?,
            _ => node::connect(&client, config).await?,
        };
        let role: Value = match redis::cmd("ROLE").query_async(&mut connection).await {
            Ok(role) => role,
            // A user who may not ask goes by the sentinel's word; a replica refuses writes.
            Err(error) if error.code() == Some("NOPERM") => return Ok(connection),
            Err(error) => return Err(error::unconnected(error)),
        };
        match role {
            Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role != b"master") => {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "the server that the sentinels name is not a primary (yet); a failover is under way",
                ))
            }
            _ => Ok(connection),
        }
    }
}

/// In place of what is said of a server.
fn of_a_sentinel(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable => error,
        ErrorKind::Config => Error::new(
            ErrorKind::Config,
            "a sentinel does not accept this user or password; those of the sentinels are `sentinel_username` and \
             `sentinel_password`, and the user must be allowed `SENTINEL GET-MASTER-ADDR-BY-NAME`",
        ),
        _ => Error::new(
            ErrorKind::Config,
            "what the URL names as a sentinel is none; it may be the server itself, then use `redis://`",
        ),
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels").finish_non_exhaustive()
    }
}

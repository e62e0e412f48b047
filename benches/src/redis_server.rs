//! jam on Redis and Valkey against the driver alone: the same commands on the same kind of connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jam_core::{SessionId, Sessions};
use jam_redis::RedisStore;
use jam_test_servers::{Kind, Server};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};

use super::measure::compare;
use super::{Failure, data, fill, get};

/// The driver, and the fields it reads.
struct Raw {
    connection: MultiplexedConnection,
    fields: Vec<(String, String)>,
    data: String,
    created: AtomicU64,
}

impl Raw {
    async fn open(url: &str) -> Result<Self, Failure> {
        let info = url.into_connection_info()?;
        let client = Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(1024);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let data = serde_json::to_string(&data())?;
        let mut fields = Vec::new();
        for number in 0..10_000 {
            let (key, field) = (
                format!("raw:user{}", number % 2_000),
                format!("565df195-b963-4ebb-8978-{number:012}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA"),
            );
            let mut command = redis::cmd("HSET");
            command.arg(&key).arg(&field).arg(&data);
            command.exec_async(&mut connection).await?;
            fields.push((key, field));
        }
        Ok(Self {
            connection,
            fields,
            data,
            created: AtomicU64::new(0),
        })
    }

    async fn get(self: &Arc<Self>, count: usize, tasks: usize) -> Result<(), Failure> {
        let mut running = Vec::new();
        for task in 0..tasks {
            let raw = Arc::clone(self);
            running.push(tokio::spawn(async move {
                let mut connection = raw.connection.clone();
                for number in 0..count / tasks {
                    let (key, field) = &raw.fields[(task * 7919 + number * 31) % raw.fields.len()];
                    let mut command = redis::cmd("HGET");
                    command.arg(key).arg(field);
                    let _: Vec<u8> = command.query_async(&mut connection).await?;
                }
                Ok::<_, redis::RedisError>(())
            }));
        }
        for task in running {
            task.await??;
        }
        Ok(())
    }

    async fn create(self: &Arc<Self>, count: usize, tasks: usize) -> Result<(), Failure> {
        let first = self.created.fetch_add(count as u64, Ordering::Relaxed);
        let mut running = Vec::new();
        for task in 0..tasks {
            let raw = Arc::clone(self);
            running.push(tokio::spawn(async move {
                let mut connection = raw.connection.clone();
                for number in 0..count / tasks {
                    let number = first + (task * (count / tasks) + number) as u64;
                    let key = format!("raw:user{}", number % 2_000);
                    let field = format!("565df195-b963-4ebb-8979-{number:012}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA");
                    let mut command = redis::cmd("HSETEX");
                    command.arg(key).arg("FNX").arg("PXAT").arg(2_767_225_600_000_u64);
                    command.arg("FIELDS").arg(1).arg(field).arg(&raw.data);
                    let _: u64 = command.query_async(&mut connection).await?;
                }
                Ok::<_, redis::RedisError>(())
            }));
        }
        for task in running {
            task.await??;
        }
        Ok(())
    }
}

async fn create(sessions: &Sessions, count: usize, tasks: usize) -> Result<(), Failure> {
    let mut running = Vec::new();
    for task in 0..tasks {
        let sessions = sessions.clone();
        running.push(tokio::spawn(async move {
            for number in 0..count / tasks {
                let user = (task * (count / tasks) + number) % 2_000;
                sessions.create(format!("user{user}"), data()).await?;
            }
            Ok::<_, jam_core::Error>(())
        }));
    }
    for task in running {
        task.await??;
    }
    Ok(())
}

pub(crate) async fn rows() -> Result<(), Failure> {
    let server = Server::start(Kind::New);
    let sessions = Sessions::new(RedisStore::open(server.url()).await?);
    let ids: Arc<Vec<SessionId>> = Arc::new(fill(&sessions, 10_000, 2_000).await?);
    let raw = Arc::new(Raw::open(&server.url()).await?);
    for tasks in [1, 64] {
        let count = if tasks == 1 { 10_000 } else { 100_000 };
        let outcome = compare(
            9,
            async || raw.get(count, tasks).await,
            async || get(&sessions, &ids, count, tasks).await,
        )
        .await?;
        println!("| Valkey: gets per second, {tasks} tasks / HGET of the driver | {outcome} | >= 0.9 |");
        let outcome = compare(
            9,
            async || raw.create(count / 2, tasks).await,
            async || create(&sessions, count / 2, tasks).await,
        )
        .await?;
        println!("| Valkey: creates per second, {tasks} tasks / HSETEX of the driver | {outcome} | >= 0.9 |");
    }
    Ok(())
}
